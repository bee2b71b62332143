//! A download under way, in a directory where nobody looks for finished files.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::{CHUNK, FilesError, ImageCheck};
use crate::durable;
use crate::pieces::PieceWriter;
use crate::store::sha256_hex;

/// How long another download of the same file is waited for. It is one that was given up in the
/// middle of a write; longer than this only two at once take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at a file that is in use.
const POLL: Duration = Duration::from_millis(20);

/// The unfinished file of one target, locked until this is dropped: with two writers the bytes that
/// were checked would not be those in the file.
#[derive(Debug)]
pub(super) struct Partial {
    directory: PathBuf,
    path: PathBuf,
    /// The current check has seen all of its bytes.
    out: Box<PieceWriter>,
}

impl Partial {
    /// Opens or makes the unfinished file for `key` in `directory`, and removes those of other
    /// keys: only the latest interrupted download is worth its space.
    pub(super) fn open(directory: &Path, key: &str) -> Result<Self, FilesError> {
        durable::create_directory(directory)
            .map_err(FilesError::io("make the directory", directory))?;
        let name = sha256_hex(key.as_bytes());
        remove_others(directory, &name).map_err(FilesError::io("tidy the directory", directory))?;
        let path = directory.join(name);
        let file = open_locked(directory, &path)?;
        Ok(Partial {
            directory: directory.to_owned(),
            path,
            out: Box::new(PieceWriter::new(file, 0)),
        })
    }

    /// Feeds `check` what an earlier run has left and goes on from there. What cannot be the
    /// start of a file of `length` bytes that passes is thrown away, and the answer is `false`:
    /// then the check has to be made anew.
    pub(super) fn replay<C: ImageCheck>(
        &mut self,
        length: u64,
        check: &mut C,
    ) -> Result<bool, FilesError> {
        match replay(self.out.file(), length, check) {
            Ok(Some(n)) => {
                self.out.go_on_at(n);
                Ok(true)
            }
            Ok(None) => {
                self.clear()?;
                Ok(false)
            }
            Err(e) => Err(FilesError::io("read", &self.path)(e)),
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.out.length()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next bytes go; never empty.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.out.room()
    }

    /// The first `n` bytes of the room belong to the file.
    pub(super) fn filled(&mut self, n: usize) -> Result<(), FilesError> {
        let kept = self.out.filled(n);
        kept.map_err(FilesError::io("write", &self.path))
    }

    /// All of it is durable when this returns.
    pub(super) fn sync(&mut self) -> Result<(), FilesError> {
        let synced = self.out.sync();
        synced.map_err(FilesError::io("write", &self.path))
    }

    /// Starts over with an empty file.
    pub(super) fn clear(&mut self) -> Result<(), FilesError> {
        let cleared = self.out.clear();
        cleared.map_err(FilesError::io("empty", &self.path))
    }

    /// Keeps what arrived for another run, if anything did.
    pub(super) fn keep(&mut self) -> Result<(), FilesError> {
        if self.length() == 0 {
            return self.remove();
        }
        let written = self.out.flush();
        written.map_err(FilesError::io("write", &self.path))
    }

    /// Removes the file, if it is still there, and the directory with it.
    pub(super) fn remove(&self) -> Result<(), FilesError> {
        // What stands there may be another download's by now.
        match is_at(self.out.file(), &self.path).map_err(FilesError::io("remove", &self.path))? {
            true => remove(&self.directory, &self.path),
            false => remove_directory(&self.directory),
        }
    }
}

/// Opens the file at `path`, alone. Whoever had it before may have put it in its place meanwhile: then
/// it is no longer ours to write, and another one is made.
fn open_locked(directory: &Path, path: &Path) -> Result<File, FilesError> {
    let start = Instant::now();
    loop {
        let file = match open(path) {
            // The directory went with the file of whoever had it before.
            Err(FilesError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && start.elapsed() < PATIENCE =>
            {
                durable::create_directory(directory)
                    .map_err(FilesError::io("make the directory", directory))?;
                continue;
            }
            opened => opened?,
        };
        match file.try_lock() {
            Ok(()) if is_at(&file, path).map_err(FilesError::io("open", path))? => return Ok(file),
            Ok(()) => continue,
            Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                std::thread::sleep(POLL);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(FilesError::Obstructed {
                    path: path.to_owned(),
                    why: "another download of the same file is writing there",
                });
            }
            Err(TryLockError::Error(e)) => return Err(FilesError::io("lock", path)(e)),
        }
    }
}

fn open(path: &Path) -> Result<File, FilesError> {
    let flags =
        OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::from_raw_mode(0o666))
        .map_err(FilesError::io("open", path))?;
    let file = File::from(fd);
    let metadata = file.metadata().map_err(FilesError::io("read", path))?;
    match metadata.is_file() {
        true => Ok(file),
        false => Err(FilesError::Obstructed {
            path: path.to_owned(),
            why: "something that is not a file stands in a download's place",
        }),
    }
}

/// Whether `path` still leads to this file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (ours, there) = (file.metadata()?, fs::symlink_metadata(path));
    match there {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Removes what a run that was killed after it had placed the file left for `key`.
pub(super) fn discard(directory: &Path, key: &str) -> Result<(), FilesError> {
    remove(directory, &directory.join(sha256_hex(key.as_bytes())))
}

fn remove(directory: &Path, path: &Path) -> Result<(), FilesError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(FilesError::io("remove", path)(e));
        }
        _ => {}
    }
    remove_directory(directory)
}

fn remove_directory(directory: &Path) -> Result<(), FilesError> {
    match fs::remove_dir(directory) {
        Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(FilesError::io("remove", directory)(e)),
        Ok(()) => Ok(()),
    }
}

fn replay<C: ImageCheck>(mut file: &File, length: u64, check: &mut C) -> io::Result<Option<u64>> {
    if file.metadata()?.len() > length {
        return Ok(None);
    }
    let mut buffer = vec![0; CHUNK];
    let mut seen = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Some(seen)),
            Ok(n) => {
                seen += n as u64;
                if seen > length || check.update(&buffer[..n]).is_err() {
                    return Ok(None);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

fn remove_others(directory: &Path, name: &str) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name() != name && !entry.file_type()?.is_dir() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
