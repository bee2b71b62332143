//! Many files made durable together: a disk takes as long for one as for hundreds.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::crash;
use crate::error::RepoError;
use crate::files::{create_folders, create_parent, sync_folder};

/// Files that wait at a time; each is open.
pub(crate) const BATCH: usize = match cfg!(test) {
    true => 2,
    false => 256,
};

/// Files that are written, but not yet under their names. Until [`Batch::finish`] some of them may
/// be and others not, each with its old content or its new.
pub(crate) struct Batch {
    unfinished: PathBuf,
    waiting: Vec<(NamedTempFile, PathBuf)>,
}

impl Batch {
    /// `unfinished` is a folder on the same file system.
    pub(crate) fn new(unfinished: PathBuf) -> Self {
        Self {
            unfinished,
            waiting: Vec::new(),
        }
    }

    /// Writes a file that will be at `path`.
    pub(crate) fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), RepoError> {
        let fail = |source| RepoError::io("write", path, source);
        create_folders(&self.unfinished)?;
        crash::point("batch: before").map_err(fail)?;
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(&self.unfinished)
            .map_err(fail)?;
        file.write_all(bytes).map_err(fail)?;
        self.waiting.push((file, path.into()));
        match self.waiting.len() < BATCH {
            true => Ok(()),
            false => self.finish(),
        }
    }

    /// Gives all files their names, durably.
    pub(crate) fn finish(&mut self) -> Result<(), RepoError> {
        persist(std::mem::take(&mut self.waiting))
    }
}

/// Makes files durable, then gives them their names, durably too.
pub(crate) fn persist(files: Vec<(NamedTempFile, PathBuf)>) -> Result<(), RepoError> {
    // One flush for all; what is asked of each file after that has been done, but for errors.
    #[cfg(target_os = "linux")]
    if let [(first, _), _, ..] = files.as_slice() {
        let _ = rustix::fs::syncfs(first.as_file());
    }
    for (file, path) in &files {
        let synced = file.as_file().sync_all();
        synced.map_err(|source| RepoError::io("write", path, source))?;
    }
    let mut folders = BTreeSet::new();
    for (file, path) in files {
        let fail = |source| RepoError::io("write", &path, source);
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        if folders.insert(folder) {
            create_parent(&path)?;
        }
        crash::point("batch: before the rename").map_err(fail)?;
        file.persist(&path).map_err(|error| fail(error.error))?;
        crash::point("batch: after the rename").map_err(fail)?;
    }
    folders.iter().try_for_each(|folder| sync_folder(folder))
}
