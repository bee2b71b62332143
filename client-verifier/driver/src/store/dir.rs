//! A store in a directory.
//!
//! ```text
//! D/root.json timestamp.json snapshot.json targets.json ROLE.json   trusted, as served
//! D/root_history/N.root.json                                        every Root that was in force
//! D/state/outline+targets.json                                      where targets.json lists what
//! D/state/lock                                                      one process at a time
//! D/state/notes/ROLE.note                                           see note.rs
//! D/partial/HASH                                                    unfinished downloads
//! ```

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::lock::Lock;
use super::name::file_stem;
use super::note::{MAX_NOTE, Note, sha256_hex, to_hex};
use super::{MAX_FILE, Store, StoreError, StoreName, Stored};
use crate::durable;

/// The longest file name of every file system that we know of, in bytes.
const MAX_FILE_NAME: usize = 255;

/// A store in a directory, durable at every step and used by one process at a time.
#[derive(Debug)]
pub struct DirStore {
    directory: PathBuf,
    history: PathBuf,
    state: PathBuf,
    notes: PathBuf,
    _lock: Lock,
}

impl DirStore {
    /// Opens the store in `directory`, which is made if it is missing, and locks it until the
    /// value is dropped. Waits for another process for at most `patience`.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if the other process does not finish in that time;
    /// [`StoreError::Io`] if the directory cannot be made or written.
    pub fn open(directory: &Path, patience: Duration) -> Result<Self, StoreError> {
        let history = directory.join("root_history");
        let state = directory.join("state");
        let notes = state.join("notes");
        for needed in [directory, &history, &state, &notes] {
            durable::create_directory(needed)
                .map_err(StoreError::io("make the directory", needed))?;
        }
        let lock = Lock::take(&state.join("lock"), directory, patience)?;
        for written in [directory, &history, &state, &notes] {
            durable::remove_unfinished(written)
                .map_err(StoreError::io("remove what a killed run left", written))?;
        }
        Ok(DirStore {
            directory: directory.to_owned(),
            history,
            state,
            notes,
            _lock: lock,
        })
    }

    /// Where unfinished downloads are kept; it is made when needed and removed when empty.
    pub fn partial_directory(&self) -> PathBuf {
        self.directory.join("partial")
    }

    /// The file that holds `name`, whether it exists or not.
    ///
    /// # Errors
    /// [`StoreError::NameTooLong`] if no file system holds such a name.
    pub fn path_of(&self, name: &StoreName) -> Result<PathBuf, StoreError> {
        Ok(self.folder(name).join(self.file_name(name)?))
    }

    fn folder(&self, name: &StoreName) -> &Path {
        match name {
            StoreName::RootHistory(_) => &self.history,
            StoreName::TargetsOutline => &self.state,
            _ => &self.directory,
        }
    }

    fn file_name(&self, name: &StoreName) -> Result<String, StoreError> {
        let file_name = file_stem(name) + ".json";
        if file_name.len() > MAX_FILE_NAME {
            return Err(StoreError::NameTooLong {
                path: self.directory.clone(),
                length: file_name.len(),
            });
        }
        Ok(file_name)
    }

    fn read(&self, name: &StoreName) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path_of(name)?;
        durable::read(&path, MAX_FILE).map_err(StoreError::io("read", &path))
    }

    fn write(&self, name: &StoreName, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path_of(name)?;
        durable::write(self.folder(name), &self.file_name(name)?, bytes)
            .map_err(StoreError::io("write", &path))
    }

    /// The history first: a Root in force that is missing there could not be explained later. It is one file with two
    /// names, of which nothing is deleted when the next one comes: a device that was away for years takes many.
    fn save_root(&self, bytes: &[u8], version: u64) -> Result<(), StoreError> {
        let kept = StoreName::RootHistory(version);
        self.write(&kept, bytes)?;
        let (kept, path) = (self.path_of(&kept)?, self.path_of(&StoreName::Root)?);
        durable::link(
            &kept,
            &self.directory,
            &self.file_name(&StoreName::Root)?,
            bytes,
        )
        .map_err(StoreError::io("write", &path))
    }

    fn remove(&self, name: &StoreName) -> Result<(), StoreError> {
        let path = self.path_of(name)?;
        durable::remove(self.folder(name), &path).map_err(StoreError::io("remove", &path))
    }

    /// The name of the note of `name`, as long as the file's own; none for Root and its history, and for what says
    /// itself what it was accepted under.
    fn note_name(name: &StoreName) -> Option<String> {
        match name {
            StoreName::Root | StoreName::RootHistory(_) | StoreName::TargetsOutline => None,
            other => Some(file_stem(other) + ".note"),
        }
    }

    fn read_note(&self, note_name: &str) -> Result<Note, StoreError> {
        let path = self.notes.join(note_name);
        let bytes = durable::read(&path, MAX_NOTE).map_err(StoreError::io("read", &path))?;
        Ok(Note::parse(&bytes.unwrap_or_default()))
    }
}

impl Store for DirStore {
    fn load(&mut self, name: &StoreName) -> Result<Option<Stored>, StoreError> {
        let Some(bytes) = self.read(name)? else {
            return Ok(None);
        };
        let accepted_under = match Self::note_name(name) {
            Some(note_name) => self.read_note(&note_name)?.version_for(&bytes),
            None => None,
        };
        Ok(Some(Stored {
            bytes,
            accepted_under,
        }))
    }

    fn reads_parts(&self) -> bool {
        true
    }

    fn load_part(
        &mut self,
        name: &StoreName,
        range: Range<u64>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path_of(name)?;
        durable::read_part(&path, range).map_err(StoreError::io("read", &path))
    }

    fn save(
        &mut self,
        name: &StoreName,
        bytes: &[u8],
        root_version: u64,
    ) -> Result<(), StoreError> {
        self.save_hashed(name, bytes, None, root_version)
    }

    fn save_hashed(
        &mut self,
        name: &StoreName,
        bytes: &[u8],
        sha256: Option<[u8; 32]>,
        root_version: u64,
    ) -> Result<(), StoreError> {
        if *name == StoreName::Root {
            return self.save_root(bytes, root_version);
        }
        if let Some(note_name) = Self::note_name(name) {
            // The name is checked before anything is written.
            self.file_name(name)?;
            if *name == StoreName::Targets {
                self.remove(&StoreName::TargetsOutline)?;
            }
            let known = self.read_note(&note_name)?;
            let known = match known.has_room() {
                true => known,
                false => known.of(&self.read(name)?.unwrap_or_default()),
            };
            let sha256 = sha256.map_or_else(|| sha256_hex(bytes), |digest| to_hex(&digest));
            let note = known.before_replacing(sha256, root_version);
            durable::write(&self.notes, &note_name, &note.to_bytes())
                .map_err(StoreError::io("write", &self.notes.join(&note_name)))?;
        }
        self.write(name, bytes)
    }
}

#[cfg(test)]
mod tests;
