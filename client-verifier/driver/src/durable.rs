//! Reading and writing files such that a power cut leaves the old one or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::crash;
use crate::pieces::{self, PIECE};

/// The one name under which a directory may hold a file that is being written. There is one
/// writer at a time, so what stands there after taking the lock is from a run that was killed.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// Bytes of a file from which on it is written in pieces, past the page cache.
const LARGE: usize = 16 * PIECE;

/// Opens a regular file for reading, with its length in bytes; `None` if there is none.
///
/// # Errors
/// Also for what is no regular file: a FIFO would block for ever, a device never ends.
pub(crate) fn open_regular(path: &Path) -> io::Result<Option<(File, u64)>> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        // A file where a directory was expected: nothing can be below it.
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        Err(e) => return Err(e),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    Ok(Some((file, metadata.len())))
}

/// Reads a regular file of at most `max_len` bytes; `None` if there is none.
pub(crate) fn read(path: &Path, max_len: u64) -> io::Result<Option<Vec<u8>>> {
    let Some((file, length)) = open_regular(path)? else {
        return Ok(None);
    };
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("over {max_len} bytes"));
    if length > max_len {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(max_len.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_len {
        return Err(too_large());
    }
    Ok(Some(bytes))
}

/// Some bytes of a regular file; `None` if there is none, or it ends before.
pub(crate) fn read_part(path: &Path, range: Range<u64>) -> io::Result<Option<Vec<u8>>> {
    let Some((mut file, length)) = open_regular(path)? else {
        return Ok(None);
    };
    if range.end > length || range.start > range.end {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(range.start))?;
    let mut bytes = Vec::new();
    file.take(range.end - range.start).read_to_end(&mut bytes)?;
    let expected = range.end - range.start;
    Ok((bytes.len() as u64 == expected).then_some(bytes))
}

/// Replaces `directory/name` by `bytes`; when this returns, a power cut does not undo it.
pub(crate) fn write(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = directory.join(UNFINISHED);
    let result = write_and_rename(directory, &unfinished, name, bytes);
    if result.is_err() {
        // Best effort: after a full disk the space is wanted back at once.
        let _ = fs::remove_file(&unfinished);
    }
    result
}

fn write_and_rename(
    directory: &Path,
    unfinished: &Path,
    name: &str,
    bytes: &[u8],
) -> io::Result<()> {
    crash::point();
    // What stands there may be a second name of a file that is kept.
    remove_unfinished(directory)?;
    let file = File::create_new(unfinished)?;
    match bytes.len() > LARGE {
        true => pieces::write_all(file, bytes)?,
        false => write_small(file, bytes)?,
    }
    rename_durably(directory, unfinished, name)
}

fn write_small(mut file: File, bytes: &[u8]) -> io::Result<()> {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    crash::point();
    file.write_all(second)?;
    file.sync_all()
}

/// Gives the durable file `existing` a second name, `directory/name`; when this returns, a power cut does not undo it.
/// A file of that name is replaced. Where the file system has no links, it becomes a file of its own with these bytes.
pub(crate) fn link(existing: &Path, directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = directory.join(UNFINISHED);
    remove_unfinished(directory)?;
    crash::point();
    if fs::hard_link(existing, &unfinished).is_err() {
        return write(directory, name, bytes);
    }
    let result = rename_link(directory, &unfinished, name);
    if result.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    result
}

fn rename_link(directory: &Path, unfinished: &Path, name: &str) -> io::Result<()> {
    crash::point();
    // That the file has two names is durable before one of them can be taken away.
    File::open(unfinished)?.sync_all()?;
    rename_durably(directory, unfinished, name)
}

fn rename_durably(directory: &Path, unfinished: &Path, name: &str) -> io::Result<()> {
    crash::point();
    fs::rename(unfinished, directory.join(name))?;
    crash::point();
    sync_directory(directory)?;
    crash::point();
    Ok(())
}

/// Removes `path`, which is in `directory`, if it is there; when this returns, a power cut does not bring it back.
pub(crate) fn remove(directory: &Path, path: &Path) -> io::Result<()> {
    crash::point();
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
        Ok(()) => {}
    }
    crash::point();
    sync_directory(directory)
}

/// Makes the names in `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Makes `directory` and what is missing above it, durably.
pub(crate) fn create_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_directory(parent)?;
    match fs::create_dir(directory) {
        // Another process was faster.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {}
        Err(e) => return Err(e),
        Ok(()) => {}
    }
    sync_directory(parent)
}

/// Removes what a killed run left in `directory`.
pub(crate) fn remove_unfinished(directory: &Path) -> io::Result<()> {
    match fs::remove_file(directory.join(UNFINISHED)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
