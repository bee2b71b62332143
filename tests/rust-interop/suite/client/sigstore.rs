//! sigstore-tuf's `Updater`, kept from one refresh to the next.

use std::fs;
use std::io::ErrorKind;

use sigstore_tuf::{Error, MemoryStore, MetadataStore, StoreRepository, Updater};
use tokio::runtime::{Builder, Runtime};

use super::{Client, Refusal, refusal};
use crate::tree::Tree;

pub(crate) struct Sigstore {
    updater: Updater,
    runtime: Runtime,
}

/// It serves repositories out of anything that stores files; so here is the published tree.
impl MetadataStore for Tree {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = match name.strip_prefix("targets/") {
            Some(target) => self.targets().join(target),
            None => self.metadata().join(name),
        };
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(path.display().to_string(), error)),
        }
    }

    fn store(&self, name: &str, _: &[u8]) -> Result<(), Error> {
        panic!("a client wrote {name} into the repository")
    }
}

impl Client for Sigstore {
    const WRONG_IMAGE: &str = "sha256 mismatch";
    const WRONG_TIMESTAMP: &str = "threshold not met for role timestamp";

    fn new(tree: &Tree) -> Result<Self, Refusal> {
        let repository = StoreRepository::new(tree.clone());
        let updater = Updater::new(repository, &tree.first_root()).map_err(refusal)?;
        Ok(Self {
            updater: updater.with_store(MemoryStore::new()),
            runtime: Builder::new_current_thread().build().expect("a runtime"),
        })
    }

    fn fetch(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let Self { updater, runtime } = self;
        runtime.block_on(get(updater, name)).map_err(refusal)
    }
}

async fn get(updater: &mut Updater, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let now = jiff::Timestamp::now();
    updater.refresh(now).await?;
    match updater.get_target_info(name, now).await? {
        // Not out of its cache, so that what is published now is what is judged.
        Some(target) => updater.download_target(&target, name).await.map(Some),
        None => Ok(None),
    }
}
