//! Where a repository keeps what: its folder, and the lock on it.
//!
//! ```text
//! repo.toml        the policy
//! keys/            key files, if they are kept here
//! staged/          metadata/: drafts; images/: the bytes of added images, by SHA-256; taken-in: while
//!                  many are added, which sources have been copied
//! state/           metadata/: what is published, file by file; roots/: every Root so far, and
//!                  since when it is public; keys.json: the public half of every key URI used here
//! confidential/    bytes that never enter the public tree, by SHA-256
//! published/       the public tree: metadata/ and targets/ (`destination` in repo.toml)
//! ```

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::batch::Batch;
use crate::error::RepoError;
use crate::files;
use crate::shelf::Shelf;

/// How long a second repo-tool waits for the first before it gives up.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// The folders of one repository.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    folder: PathBuf,
    destination: PathBuf,
    shelf: Arc<Shelf>,
}

/// Held while a process works on the repository, so that two of them cannot mix their work.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
    unfinished: [PathBuf; 2],
}

/// The folders for unfinished files go with the lock; in the public tree they would be seen.
impl Drop for Lock {
    fn drop(&mut self) {
        for folder in &self.unfinished {
            // Only if empty, and gone already is as good.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

impl Home {
    pub(crate) fn new(folder: &Path, destination: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            destination: folder.join(destination),
            shelf: Arc::default(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn destination(&self) -> &Path {
        &self.destination
    }

    pub(crate) fn drafts(&self) -> PathBuf {
        self.folder.join("staged/metadata")
    }

    pub(crate) fn staged_images(&self) -> PathBuf {
        self.folder.join("staged/images")
    }

    pub(crate) fn confidential(&self) -> PathBuf {
        self.folder.join("confidential")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    pub(crate) fn public_metadata(&self) -> PathBuf {
        self.destination.join("metadata")
    }

    pub(crate) fn public_targets(&self) -> PathBuf {
        self.destination.join("targets")
    }

    /// For unfinished files of the repository's own folder.
    pub(crate) fn unfinished(&self) -> PathBuf {
        self.folder.join(files::UNFINISHED)
    }

    /// For unfinished files of the public tree.
    pub(crate) fn unfinished_public(&self) -> PathBuf {
        self.destination.join(files::UNFINISHED)
    }

    /// Writes a file of the repository's own.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), RepoError> {
        self.shelf.forget(path);
        files::write(&self.unfinished(), path, bytes)?;
        self.shelf.written(path, bytes);
        Ok(())
    }

    /// Writes a file of the repository's own with others. It is read again once the batch is
    /// finished, not before.
    pub(crate) fn write_to(
        &self,
        batch: &mut Batch,
        path: &Path,
        bytes: &[u8],
    ) -> Result<(), RepoError> {
        self.shelf.forget(path);
        batch.write(path, bytes)
    }

    /// Removes a file of the repository's own; it may be gone already.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), RepoError> {
        self.shelf.forget(path);
        files::remove(path)
    }

    /// The repository's own files, as far as they have been read.
    pub(crate) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Writes a file of the public tree.
    pub(crate) fn write_public(&self, path: &Path, bytes: &[u8]) -> Result<(), RepoError> {
        files::write(&self.unfinished_public(), path, bytes)
    }

    /// Waits for the lock, then removes what a killed run left unfinished.
    pub(crate) fn lock(&self) -> Result<Lock, RepoError> {
        self.lock_within(LOCK_PATIENCE)
    }

    fn lock_within(&self, patience: Duration) -> Result<Lock, RepoError> {
        let path = self.folder.join(".countersign-lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| RepoError::io("open", &path, source))?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if start.elapsed() < patience => {
                    thread::sleep(Duration::from_millis(50));
                }
                Err(TryLockError::WouldBlock) => return Err(RepoError::Locked { path }),
                Err(TryLockError::Error(source)) => {
                    return Err(RepoError::io("lock", &path, source));
                }
            }
        }
        files::remove_folder(&self.unfinished())?;
        files::remove_folder(&self.unfinished_public())?;
        Ok(Lock {
            _file: file,
            unfinished: [self.unfinished(), self.unfinished_public()],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() -> Result<(), RepoError> {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::new(folder.path(), Path::new("published"));
        let left = home.unfinished().join("left");
        files::write(&home.unfinished(), &left, b"by a killed run")?;
        let held = home.lock()?;
        assert!(!left.exists());
        let refused = home.lock_within(Duration::from_millis(120));
        assert_eq!(refused.expect_err("held").name(), "locked");
        drop(held);
        assert!(home.lock_within(Duration::ZERO).is_ok());
        Ok(())
    }
}
