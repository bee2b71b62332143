//! The trusted metadata of one client, without blocking a task.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_client::store::{DirStore, MemoryStore, Store as BlockingStore, StoreError};
use countersign_verifier::{StoreName, Stored};
use tokio::sync::Mutex;

use crate::blocking::blocking;

/// Keeps trusted metadata, as [`countersign_client::store::Store`] does. Nothing in it is believed:
/// the verifier checks all of it again.
///
/// Write both methods as `async fn`. A future that is dropped may leave the old file or the new one,
/// and what is called afterwards has to see which: a write that goes on behind its back could bring an
/// older file in the place of a newer one.
pub trait Store: Send {
    /// What is kept under `name`; `None` if nothing is.
    ///
    /// # Errors
    /// If there is something that cannot be read. That is never the same as nothing being there: a
    /// client that lost its floor would accept old metadata again.
    fn load(
        &mut self,
        name: &StoreName,
    ) -> impl Future<Output = Result<Option<Stored>, StoreError>> + Send;

    /// Keeps `bytes` under `name`, durably when this is done.
    ///
    /// `root_version` is the version of the Root in force: for [`StoreName::Root`] its own, for every
    /// other role the one that the file was accepted under. Saving Root keeps it in the history
    /// first.
    ///
    /// # Errors
    /// If that was not possible; then the file that was there before still is.
    fn save(
        &mut self,
        name: &StoreName,
        bytes: &[u8],
        root_version: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A blocking store, on tokio's threads for blocking work. One call at a time: also one whose future
/// was dropped comes to its end before the next begins.
#[derive(Debug)]
pub struct Blocking<S> {
    store: Arc<Mutex<S>>,
}

impl<S: BlockingStore + Send + 'static> Blocking<S> {
    /// Over `store`.
    pub fn new(store: S) -> Self {
        let store = Arc::new(Mutex::new(store));
        Self { store }
    }

    /// Does anything else with the store, such as
    /// [`initialise`](countersign_client::client::initialise).
    ///
    /// # Errors
    /// [`StoreError::Other`] when the runtime is shutting down.
    pub async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        // The lock goes along with the work, and is held to its end even if nobody waits for it.
        let mut store = Arc::clone(&self.store).lock_owned().await;
        let done = blocking(move || work(&mut store)).await;
        done.map_err(StoreError::other)
    }
}

impl Blocking<DirStore> {
    /// The store in `directory`: see [`DirStore::open`].
    ///
    /// # Errors
    /// As there.
    pub async fn open(directory: &Path, patience: Duration) -> Result<Self, StoreError> {
        let directory = directory.to_owned();
        let opened = blocking(move || DirStore::open(&directory, patience)).await;
        opened.map_err(StoreError::other)?.map(Self::new)
    }
}

impl<S: BlockingStore + Send + 'static> Store for Blocking<S> {
    async fn load(&mut self, name: &StoreName) -> Result<Option<Stored>, StoreError> {
        let name = name.clone();
        self.with(move |store| store.load(&name)).await?
    }

    async fn save(
        &mut self,
        name: &StoreName,
        bytes: &[u8],
        root_version: u64,
    ) -> Result<(), StoreError> {
        let (name, bytes) = (name.clone(), bytes.to_vec());
        self.with(move |store| store.save(&name, &bytes, root_version))
            .await?
    }
}

/// It does not block.
impl Store for MemoryStore {
    async fn load(&mut self, name: &StoreName) -> Result<Option<Stored>, StoreError> {
        BlockingStore::load(self, name)
    }

    async fn save(
        &mut self,
        name: &StoreName,
        bytes: &[u8],
        root_version: u64,
    ) -> Result<(), StoreError> {
        BlockingStore::save(self, name, bytes, root_version)
    }
}
