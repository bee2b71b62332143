//! Writing files so that a power cut leaves the old content or the new, never a mixture.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::crash;
use crate::error::RepoError;

/// The folder for unfinished files, beside the files they will become so that a rename is
/// enough. It is emptied when the lock is taken: what is in it then is a killed run's.
pub(crate) const UNFINISHED: &str = ".countersign-tmp";

/// The largest file that is read into memory: metadata or a request for a million images fits.
const MAX_FILE: u64 = 1 << 30;

/// Writes `path` through a temporary file in `unfinished`, on the same file system.
pub(crate) fn write(unfinished: &Path, path: &Path, bytes: &[u8]) -> Result<(), RepoError> {
    let fail = |source| RepoError::io("write", path, source);
    create_folders(unfinished)?;
    create_parent(path)?;
    crash::point("write: before").map_err(fail)?;
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(unfinished)
        .map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    crash::point("write: before the rename").map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    crash::point("write: after the rename").map_err(fail)?;
    sync_parent(path)
}

/// Makes `to` the same file as `from` where one file system holds both, a copy elsewhere.
/// Replaces what was at `to` in one step. `from` must never be written again. Durable once the
/// folder of `to` is ([`sync_folder`]).
pub(crate) fn link(unfinished: &Path, from: &Path, to: &Path) -> Result<(), RepoError> {
    let fail = |source| RepoError::io("publish", to, source);
    create_parent(to)?;
    crash::point("link: before").map_err(fail)?;
    if fs::hard_link(from, to).is_ok() {
        return crash::point("link: after").map_err(fail);
    }
    if same_file(from, to) {
        return Ok(());
    }
    // There is something, or it is elsewhere.
    create_folders(unfinished)?;
    let folder = tempfile::tempdir_in(unfinished).map_err(fail)?;
    let between = folder.path().join("file");
    if fs::hard_link(from, &between).is_err() {
        copy(from, &between).map_err(fail)?;
    }
    crash::point("link: before the rename").map_err(fail)?;
    fs::rename(&between, to).map_err(fail)?;
    crash::point("link: after the rename").map_err(fail)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    io::copy(&mut File::open(from)?, &mut File::create_new(to)?)?;
    let file = File::open(to)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.sync_all()
}

/// Whether both names lead to one file.
fn same_file(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// The content, or `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, RepoError> {
    match read_up_to(path, MAX_FILE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(RepoError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The content of a regular file of at most `limit` bytes.
pub(crate) fn read_up_to(path: &Path, limit: u64) -> Result<Vec<u8>, RepoError> {
    let file = open(path)?;
    let expected = file.metadata().map_or(0, |file| file.len()).min(limit);
    // One byte more, so that the end is seen without growing.
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0).saturating_add(1));
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| RepoError::io("read", path, source))?;
    match bytes.len() as u64 > limit {
        true => Err(RepoError::TooLarge {
            path: path.into(),
            limit,
        }),
        false => Ok(bytes),
    }
}

/// Opens a regular file for reading, and nothing else: a FIFO would wait for a writer for ever,
/// a device may have no end.
pub(crate) fn open(path: &Path) -> Result<File, RepoError> {
    let fail = |source| RepoError::io("read", path, source);
    let file = File::options()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .map_err(fail)?;
    match file.metadata().map_err(fail)?.is_file() {
        true => Ok(file),
        false => Err(RepoError::NotAFile { path: path.into() }),
    }
}

/// Removes a file; it may be gone already.
pub(crate) fn remove(path: &Path) -> Result<(), RepoError> {
    match crash::point("remove: before").and_then(|()| fs::remove_file(path)) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(RepoError::io("remove", path, source)),
    }
}

/// Removes a folder and all in it; it may be gone already.
pub(crate) fn remove_folder(path: &Path) -> Result<(), RepoError> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(RepoError::io("remove", path, source)),
    }
}

/// The names of the files in a folder, sorted; none if the folder does not exist.
pub(crate) fn list(folder: &Path) -> Result<Vec<String>, RepoError> {
    let fail = |source| RepoError::io("list", folder, source);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(fail(source)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fail)?;
        if entry.file_type().map_err(fail)?.is_file() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

/// Creates a folder with its parents, durably.
pub(crate) fn create_folders(folder: &Path) -> Result<(), RepoError> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        create_folders(parent)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => sync_parent(folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(source) => Err(RepoError::io("create", folder, source)),
    }
}

pub(crate) fn create_parent(path: &Path) -> Result<(), RepoError> {
    match path.parent() {
        // A bare name is in the working directory, which exists.
        Some(parent) if !parent.as_os_str().is_empty() => create_folders(parent),
        _ => Ok(()),
    }
}

/// A rename is durable once the folder is.
pub(crate) fn sync_parent(path: &Path) -> Result<(), RepoError> {
    sync_folder(path.parent().unwrap_or(Path::new("")))
}

/// Makes the names in a folder durable; without a name it is the working directory.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), RepoError> {
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| RepoError::io("make durable", folder, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_replaces_and_a_second_one_changes_nothing() -> Result<(), RepoError> {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        write(&at("tmp"), &at("a"), b"new")?;
        write(&at("tmp"), &at("sub/b"), b"old")?;
        for _ in 0..2 {
            link(&at("tmp"), &at("a"), &at("sub/b"))?;
            assert_eq!(read(&at("sub/b"))?.as_deref(), Some(&b"new"[..]));
        }
        assert_eq!(list(&at("tmp"))?, [""; 0]);
        assert_eq!(fs::metadata(at("a")).expect("a file").mode() & 0o777, 0o644);
        Ok(())
    }

    #[test]
    fn a_bare_name_has_no_folder_to_make() -> Result<(), RepoError> {
        create_parent(Path::new("bare"))
    }
}
