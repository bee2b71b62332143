//! An asynchronous client whose fetcher and store are the device's own. Nothing of HTTP is compiled in.

#![allow(
    dead_code,
    clippy::print_stdout,
    reason = "a command; tests use its parts"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Cursor;
use std::sync::Arc;

use countersign_client::fetch::FetchError;
use countersign_client::store::{StoreError, StoreName, Stored};
use countersign_metadata::UtcTime;
use countersign_tokio::client::Client;
use countersign_tokio::fetch::{Body, Fetcher};
use countersign_tokio::store::Store;
use countersign_verifier::{Context, ListedTarget};
use tokio::sync::Mutex;

// [fetcher]
/// What brings files here. It answers one GET at a time.
pub(crate) struct Carrier {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) in_reach: bool,
}

impl Fetcher for Carrier {
    async fn open(&mut self, url: &str, range_from: u64) -> Result<Body, FetchError> {
        // A real one waits here.
        tokio::task::yield_now().await;
        if !self.in_reach {
            // "I do not know" is never "there is none": that would hide a new Root.
            return Err(FetchError::Disconnected {
                url: url.to_owned(),
                detail: "the carrier is out of reach".into(),
            });
        }
        let Some(file) = self.files.get(url) else {
            return Err(FetchError::NotFound {
                url: url.to_owned(),
                status: None,
            });
        };
        // From the byte that was asked for, or all of it. Any `AsyncRead` will do.
        let from = usize::try_from(range_from).ok();
        let (rest, starts_at) = match from.and_then(|from| file.get(from..)) {
            Some(rest) => (rest.to_vec(), range_from),
            None => (file.clone(), 0),
        };
        let length = rest.len() as u64;
        Ok(Body::new(url, Cursor::new(rest), Some(length), starts_at))
    }
}
// [end fetcher]

// [store]
/// The Root version that a file was accepted under, and the file.
type Record = (u64, Vec<u8>);

/// The device's database, which many tasks share. A record in it is durable at once.
#[derive(Clone, Default)]
pub(crate) struct Database(Arc<Mutex<BTreeMap<StoreName, Record>>>);

impl Store for Database {
    async fn load(&mut self, name: &StoreName) -> Result<Option<Stored>, StoreError> {
        let record = self.0.lock().await.get(name).cloned();
        Ok(record.map(|(version, bytes)| Stored {
            bytes,
            accepted_under: Some(version),
        }))
    }

    async fn save(
        &mut self,
        name: &StoreName,
        bytes: &[u8],
        root_version: u64,
    ) -> Result<(), StoreError> {
        let record = (root_version, bytes.to_vec());
        let mut records = self.0.lock().await;
        // From here on there is no await: a dropped future has put both or none. With one in between,
        // the history has to come first.
        if *name == StoreName::Root {
            records.insert(StoreName::RootHistory(root_version), record.clone());
        }
        records.insert(name.clone(), record);
        Ok(())
    }
}
// [end store]

// [use]
/// What the repository says of `name`.
pub(crate) async fn look_up(
    carrier: Carrier,
    store: Database,
    now: UtcTime,
    name: &str,
) -> Result<ListedTarget, Box<dyn Error + Send + Sync>> {
    let mut client = Client::new(carrier, store, "carrier:/metadata");
    let mut trusted = client.refresh(Context::new(now)).await?;
    Ok(client.find(&mut trusted, name).await?)
}
// [end use]

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let carrier = Carrier {
        files: BTreeMap::new(),
        in_reach: false,
    };
    let now = "2026-01-01T00:00:00Z".parse()?;
    let unprovisioned = look_up(carrier, Database::default(), now, "a.img").await;
    println!(
        "{:?}",
        unprovisioned.map(|target| target.path().to_string())
    );
    Ok(())
}
