//! A store that forgets when it is dropped.

use std::collections::BTreeMap;

use super::{Store, StoreError, StoreName, Stored};

/// A store in memory, for tests and for embedders that keep metadata in their own way.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    files: BTreeMap<StoreName, Stored>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything in it.
    pub fn files(&self) -> impl Iterator<Item = (&StoreName, &Stored)> {
        self.files.iter()
    }
}

impl Store for MemoryStore {
    fn load(&mut self, name: &StoreName) -> Result<Option<Stored>, StoreError> {
        Ok(self.files.get(name).cloned())
    }

    fn save(
        &mut self,
        name: &StoreName,
        bytes: &[u8],
        root_version: u64,
    ) -> Result<(), StoreError> {
        let is_root = matches!(name, StoreName::Root | StoreName::RootHistory(_));
        let stored = Stored {
            bytes: bytes.to_vec(),
            accepted_under: (!is_root).then_some(root_version),
        };
        if *name == StoreName::Root {
            self.files
                .insert(StoreName::RootHistory(root_version), stored.clone());
        }
        self.files.insert(name.clone(), stored);
        Ok(())
    }
}
