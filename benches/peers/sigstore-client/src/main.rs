//! sigstore-tuf's client as a command, to be measured:
//! `sigstore-client STATE URL NAME OUT` with STATE/root.json, `URL/metadata` and `URL/targets`.

use std::error::Error;
use std::path::Path;

use sigstore_tuf::{FileStore, HttpRepository, Updater, UpdaterConfig};
use tokio::runtime::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [state, url, name, out] = &arguments[..] else {
        return Err("usage: sigstore-client STATE URL NAME OUT".into());
    };
    let state = Path::new(state);
    let root = std::fs::read(state.join("root.json"))?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let image = runtime.block_on(async {
        let repository = HttpRepository::new(&format!("{url}/metadata"))?
            .with_targets_base(&format!("{url}/targets"))?;
        let mut config = UpdaterConfig::default();
        config.snapshot_max_length = 1 << 30;
        config.targets_max_length = 1 << 30;
        config.target_max_length = 1 << 40;
        config.max_root_rotations = 1024;
        config.max_delegations = 1024;
        let mut updater = Updater::new(repository, &root)?
            .with_config(config)
            .with_store(FileStore::new(state));
        let now = jiff::Timestamp::now();
        updater.refresh(now).await?;
        updater.get_target(name, now).await
    })?;
    Ok(std::fs::write(out, image)?)
}
