//! The trusted metadata of one client.
//!
//! A [`Store`] keeps what the verifier accepted, each file byte for byte as it was served, and
//! with it the version of the Root in force at that moment: from those two facts the verifier
//! derives at every start what to go on from and what to forget (TUF 5.3.11). So there is no third
//! thing that a power cut could leave out of step.

mod dir;
mod error;
mod lock;
mod memory;
mod name;
mod note;

pub use dir::DirStore;
pub use error::StoreError;
pub(crate) use error::advice;
pub(crate) use lock::Lock;
pub use memory::MemoryStore;
pub use name::file_stem;
pub(crate) use note::sha256_hex;

use std::ops::Range;

pub use countersign_verifier::{StoreName, Stored};

/// The largest file that is read back. Far above what the verifier accepts for any role.
pub const MAX_FILE: u64 = 512 * 1024 * 1024;

/// Keeps trusted metadata. But for the trusted Root and the outline of Targets, nothing in it is believed: the verifier
/// checks it again.
pub trait Store {
    /// What is kept under `name`; `None` if nothing is.
    ///
    /// # Errors
    /// If there is something that cannot be read. That is never the same as nothing being there:
    /// a client that lost its floor would accept old metadata again.
    fn load(&mut self, name: &StoreName) -> Result<Option<Stored>, StoreError>;

    /// Keeps `bytes` under `name`, durably when this returns.
    ///
    /// `root_version` is the version of the Root in force: for [`StoreName::Root`] its own, for
    /// every other role the one that the file was accepted under. Saving Root keeps it in the
    /// history first.
    ///
    /// # Errors
    /// If that was not possible; then the file that was there before still is.
    fn save(&mut self, name: &StoreName, bytes: &[u8], root_version: u64)
    -> Result<(), StoreError>;

    /// Whether [`Store::load_part`] reads no more than it returns, and saving Targets forgets its outline first
    /// ([`StoreName::TargetsOutline`]). Then an outline is kept, and images are looked up in it.
    fn reads_parts(&self) -> bool {
        false
    }

    /// Some bytes of what is kept under `name`; `None` if there is nothing, or not so much.
    ///
    /// # Errors
    /// As [`Store::load`].
    fn load_part(
        &mut self,
        name: &StoreName,
        range: Range<u64>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.load(name)?.and_then(|stored| stored.part(range)))
    }

    /// As [`Store::save`], of bytes whose SHA-256 may be known: for a store that needs it too.
    ///
    /// # Errors
    /// As [`Store::save`].
    fn save_hashed(
        &mut self,
        name: &StoreName,
        bytes: &[u8],
        _sha256: Option<[u8; 32]>,
        root_version: u64,
    ) -> Result<(), StoreError> {
        self.save(name, bytes, root_version)
    }
}
