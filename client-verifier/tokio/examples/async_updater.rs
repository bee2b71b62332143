//! An updater on tokio: follows a repository and brings one image here, with a limit on the time.
//!
//! ```text
//! async_updater provision STATE 1.root.json
//! async_updater update STATE https://fw.example.com boards/a/kernel.img
//! ```

#![allow(
    dead_code,
    clippy::print_stdout,
    reason = "a command; tests use its parts"
)]

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign_client::client::read_root;
use countersign_client::clock::system_time;
use countersign_client::fetch::{Patience, TlsRoots};
use countersign_client::files::TargetDir;
use countersign_client::install::{FileSlots, Installer};
use countersign_client::store::DirStore;
use countersign_tokio::client::{Client, Image, initialise};
use countersign_tokio::fetch::{HttpFetcher, UrlFetcher};
use countersign_tokio::store::Blocking;
use countersign_verifier::Context;

type Failure = Box<dyn Error + Send + Sync>;

/// How long to wait for another process that uses the same directory.
const LOCK: Duration = Duration::from_secs(30);

// [provision]
/// At manufacture: the first Root, which came here out of band. Makes no request.
pub(crate) async fn provision(state: &Path, root: &Path) -> Result<(), Failure> {
    let mut store = Blocking::open(&state.join("metadata"), LOCK).await?;
    initialise(&mut store, read_root(root)?).await?;
    Ok(())
}
// [end provision]

// [update]
/// Follows the repository below `url`, and brings the image `name` here. `progress` is told how many
/// of its bytes are there.
pub(crate) async fn update(
    state: &Path,
    url: &str,
    name: &str,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Image, Failure> {
    let store: Blocking<DirStore> = Blocking::open(&state.join("metadata"), LOCK).await?;
    let partial = store.with(|store| store.partial_directory()).await?;
    let http = HttpFetcher::new(Patience::default(), TlsRoots::mozilla());
    let mut client = Client::new(UrlFetcher::new(http), store, &format!("{url}/metadata"));

    let now = system_time().ok_or("the clock is outside the years 0 to 9999")?;
    let mut trusted = client.refresh(Context::new(now)).await?;
    let target = client.find(&mut trusted, name).await?;
    let images = Arc::new(TargetDir::open(&state.join("images"))?);
    let targets_url = format!("{url}/targets");
    let image = client
        .download(&trusted, &target, &targets_url, &images, &partial, progress)
        .await?;
    Ok(image)
}
// [end update]

// [cancel]
/// The same, for as long as there is time. Where it stops does not matter: what was verified is in
/// the store, what was downloaded is on the disk, and the next run goes on from both.
pub(crate) async fn update_within(
    limit: Duration,
    state: &Path,
    url: &str,
    name: &str,
) -> Result<Option<Image>, Failure> {
    tokio::select! {
        image = update(state, url, name, &|_| ()) => image.map(Some),
        () = tokio::time::sleep(limit) => Ok(None),
    }
}
// [end cancel]

// [install]
/// Puts the image into the slot that is not in use, and switches to it: on trial. Installing blocks,
/// so it has a thread of its own.
pub(crate) async fn install(state: &Path, image: Image) -> Result<PathBuf, Failure> {
    let slots = state.join("slots");
    let work = tokio::task::spawn_blocking(move || {
        let mut slots = FileSlots::open(&slots, LOCK)?;
        let now = system_time().ok_or("the clock is outside the years 0 to 9999")?;
        let stream = image.verified.target().clone().open(now)?;
        let verified = slots.stage(stream, &mut File::open(&image.path)?)?;
        slots.activate(verified, now)?;
        Ok(slots.active_image())
    });
    work.await?
}
// [end install]

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["provision", state, root] => provision(Path::new(state), Path::new(root)).await,
        ["update", state, url, name] => {
            let state = Path::new(state);
            let image = update(state, url, name, &|bytes| println!("{bytes}")).await?;
            install(state, image).await.map(drop)
        }
        _ => Err("usage: async_updater provision STATE ROOT | update STATE URL NAME".into()),
    }
}
