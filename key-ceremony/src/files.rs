//! Reading with bounds, and writing so that a file is whole and durable or not there.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::crash;
use crate::error::CeremonyError;

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, CeremonyError> {
    let fail = |error| CeremonyError::io("read", path, error);
    let file = OpenOptions::new()
        .read(true)
        // A FIFO in place of the file must not hang the caller.
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .map_err(fail)?;
    if !file.metadata().map_err(fail)?.is_file() {
        return Err(CeremonyError::Exchange {
            path: path.into(),
            why: "it is not a regular file".into(),
        });
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(fail)?;
    match bytes.len() as u64 > limit {
        false => Ok(bytes),
        true => Err(CeremonyError::Exchange {
            path: path.into(),
            why: format!("it is longer than {limit} bytes, which no such file is"),
        }),
    }
}

/// As [`read`]; `None` if there is no such file.
pub(crate) fn read_if_there(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, CeremonyError> {
    match read(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(CeremonyError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether an existing file may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It is somebody's work: refuse, unless the bytes are the same.
    Keep,
    /// It was derived and can be derived again.
    Replace,
}

/// Writes a whole file, durably.
pub(crate) fn write(path: &Path, bytes: &[u8], existing: Existing) -> Result<(), CeremonyError> {
    let fail = |error| CeremonyError::io("write", path, error);
    if existing == Existing::Keep && path.symlink_metadata().is_ok() {
        return match read(path, bytes.len() as u64) {
            Ok(there) if there == bytes => Ok(()),
            _ => Err(CeremonyError::Exists { path: path.into() }),
        };
    }
    let folder = folder_of(path);
    let mut start = OsString::from(".unfinished-");
    start.push(path.file_name().unwrap_or_default());
    start.push("-");
    remove_unfinished(folder, &start);
    crash::point();
    let mut file = tempfile::Builder::new()
        .prefix(&start)
        .tempfile_in(folder)
        .map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    crash::point();
    match existing {
        Existing::Replace => file.persist(path).map_err(|error| fail(error.error))?,
        Existing::Keep => file
            .persist_noclobber(path)
            .map_err(|error| fail(error.error))?,
    };
    sync_folder(folder)?;
    crash::point();
    Ok(())
}

/// Removes what runs that were killed left of this file. A run that is alive and loses its file
/// fails when it gives it its name. Nothing depends on it, so errors are of no interest.
fn remove_unfinished(folder: &Path, start: &OsStr) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name
            .as_encoded_bytes()
            .starts_with(start.as_encoded_bytes())
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), CeremonyError> {
    crash::point();
    match fs::remove_file(path) {
        Ok(()) => sync_folder(folder_of(path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CeremonyError::io("remove", path, error)),
    }
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), CeremonyError> {
    fs::create_dir_all(path).map_err(|error| CeremonyError::io("create", path, error))?;
    sync_folder(folder_of(path))
}

pub(crate) fn sync_folder(folder: &Path) -> Result<(), CeremonyError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| CeremonyError::io("sync", folder, error))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
