//! The record on the disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{EcuState, StateError, format};
use crate::durable;
use crate::store::{Lock, StoreError};

const NAME: &str = "ecu-state.json";

/// The largest record that is read back, in bytes. One report of at most 64 KiB, doubled by
/// escapes, and 32 attacks of five short texts stay far below.
const MAX_STATE: u64 = 1024 * 1024;

/// An ECU's record in a directory, used by one process at a time.
#[derive(Debug)]
pub struct StateFile {
    directory: PathBuf,
    state: EcuState,
    _lock: Lock,
}

impl StateFile {
    /// Writes the first record, at the factory.
    ///
    /// # Errors
    /// [`StateError::AlreadyThere`] if there is any, [`StateError::Store`] if it cannot be
    /// written.
    pub fn provision(directory: &Path, state: EcuState) -> Result<Self, StateError> {
        durable::create_directory(directory)
            .map_err(StoreError::io("make the directory", directory))?;
        let lock = lock(directory, Duration::ZERO)?;
        let path = directory.join(NAME);
        if read(&path)?.is_some() {
            return Err(StateError::AlreadyThere { path });
        }
        let file = Self {
            directory: directory.to_owned(),
            state,
            _lock: lock,
        };
        file.write(&file.state)?;
        Ok(file)
    }

    /// Opens the record in `directory` and locks it until the value is dropped. Waits for another
    /// process for at most `patience`.
    ///
    /// # Errors
    /// [`StateError::Missing`] or [`StateError::Damaged`]: an ECU without its record does not
    /// start afresh. [`StateError::Store`] if it cannot be read or locked.
    pub fn open(directory: &Path, patience: Duration) -> Result<Self, StateError> {
        let path = directory.join(NAME);
        // Looked at first, because the lock would make a file.
        if read(&path)?.is_none() {
            return Err(StateError::Missing { path });
        }
        let lock = lock(directory, patience)?;
        durable::remove_unfinished(directory)
            .map_err(StoreError::io("remove what a killed run left", directory))?;
        let Some(bytes) = read(&path)? else {
            return Err(StateError::Missing { path });
        };
        let state = format::read(&bytes).map_err(|detail| StateError::Damaged { path, detail })?;
        Ok(Self {
            directory: directory.to_owned(),
            state,
            _lock: lock,
        })
    }

    /// The record.
    pub fn state(&self) -> &EcuState {
        &self.state
    }

    /// Changes the record. When this returns the change is durable; after an error nothing has
    /// changed.
    ///
    /// # Errors
    /// That of `change`, or [`StateError::Store`] if it cannot be written.
    pub fn change<T>(
        &mut self,
        change: impl FnOnce(&mut EcuState) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let mut next = self.state.clone();
        let result = change(&mut next)?;
        if next != self.state {
            self.write(&next)?;
            self.state = next;
        }
        Ok(result)
    }

    fn write(&self, state: &EcuState) -> Result<(), StateError> {
        let path = self.directory.join(NAME);
        let bytes = format::write(state).map_err(|detail| StateError::Damaged {
            path: path.clone(),
            detail,
        })?;
        // Metadata may list hashes of any length for an image.
        if bytes.len() as u64 > MAX_STATE {
            let length = bytes.len();
            return Err(StateError::TooLarge { path, length });
        }
        durable::write(&self.directory, NAME, &bytes).map_err(StoreError::io("write", &path))?;
        Ok(())
    }
}

fn lock(directory: &Path, patience: Duration) -> Result<Lock, StoreError> {
    Lock::take(&directory.join("lock"), directory, patience)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    durable::read(path, MAX_STATE).map_err(StoreError::io("read", path))
}
