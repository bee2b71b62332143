//! Reading with bounds, writing so that a power cut leaves the old content or the new.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use countersign_repo::RepoError;

use crate::{CeremonyError, crash};

use super::error::PkiError;

/// The content of a regular file of at most `limit` bytes. `what` it should be.
pub(crate) fn read(path: &Path, limit: u64, what: &'static str) -> Result<Vec<u8>, CeremonyError> {
    let fail = |source| CeremonyError::io("read", path, source);
    let file = File::options()
        .read(true)
        // A pipe would wait for a writer for ever.
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .map_err(fail)?;
    if !file.metadata().map_err(fail)?.is_file() {
        return Err(PkiError::NotAFile(path.into()).into());
    }
    let mut bytes = Vec::new();
    let mut bounded = file.take(limit.saturating_add(1));
    bounded.read_to_end(&mut bytes).map_err(fail)?;
    match bytes.len() as u64 > limit {
        true => Err(PkiError::TooLarge {
            path: path.into(),
            limit,
            what,
        }
        .into()),
        false => Ok(bytes),
    }
}

/// Whether a file becomes durable with this call, or with a later [`sync_all`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    Now,
    Later,
}

/// Replaces a file in one step.
pub(crate) fn replace(path: &Path, bytes: &[u8], durable: Durable) -> Result<(), CeremonyError> {
    let fail = |source| CeremonyError::io("write", path, source);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = path.with_file_name(format!(".{name}.tmp"));
    // What a killed run left; and a link would lead the content elsewhere.
    let _ = fs::remove_file(&unfinished);
    let mut file = File::create_new(&unfinished).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    if durable == Durable::Now {
        file.sync_all().map_err(fail)?;
    }
    crash::point();
    fs::rename(&unfinished, path).map_err(fail)?;
    match durable {
        Durable::Now => sync_folder_of(path),
        Durable::Later => Ok(()),
    }
}

/// Writes what a person asked for to a file that they named, durably. A file that is there is
/// left alone; if it is another one, that is an error.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CeremonyError> {
    if path.symlink_metadata().is_err() {
        return replace(path, bytes, Durable::Now);
    }
    let there = read(path, bytes.len() as u64, "the same file");
    match there.is_ok_and(|there| there == bytes) {
        true => Ok(()),
        false => Err(RepoError::AlreadyExists { path: path.into() }.into()),
    }
}

/// Refuses a path in a folder that does not exist, before anything is done for it: it may be
/// misspelt.
pub(crate) fn check_folder_of(path: &Path) -> Result<(), CeremonyError> {
    let folder = folder_of(path);
    let found = fs::metadata(folder).and_then(|found| match found.is_dir() {
        true => Ok(()),
        false => Err(std::io::ErrorKind::NotADirectory.into()),
    });
    found.map_err(|source| CeremonyError::io("write to", folder, source))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A new or renamed file is durable once its folder is.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), CeremonyError> {
    let folder = folder_of(path);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| CeremonyError::io("make durable", folder, source))
}

/// Makes everything on the file system of `folder` durable.
pub(crate) fn sync_all(folder: &Path) -> Result<(), CeremonyError> {
    let synced = File::open(folder).and_then(|folder| Ok(rustix::fs::syncfs(&folder)?));
    synced.map_err(|source| CeremonyError::io("make durable", folder, source))
}
