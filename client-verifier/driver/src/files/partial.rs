//! A download under way, in a directory where nobody looks for finished files.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::{CHUNK, FilesError, ImageCheck};
use crate::store::sha256_hex;
use crate::{crash, durable};

/// The unfinished file of one target.
pub(super) struct Partial {
    directory: PathBuf,
    path: PathBuf,
    file: File,
    /// Bytes in the file, all of which the current check has seen.
    length: u64,
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
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o666))
            .map_err(FilesError::io("open", &path))?;
        let file = File::from(fd);
        if !file
            .metadata()
            .map_err(FilesError::io("read", &path))?
            .is_file()
        {
            return Err(FilesError::Obstructed {
                path,
                why: "something that is not a file stands in a download's place",
            });
        }
        Ok(Partial {
            directory: directory.to_owned(),
            path,
            file,
            length: 0,
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
        match replay(&mut self.file, length, check) {
            Ok(Some(n)) => {
                self.length = n;
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
        self.length
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FilesError> {
        crash::point();
        self.file
            .write_all(bytes)
            .map_err(FilesError::io("write", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), FilesError> {
        self.file
            .sync_all()
            .map_err(FilesError::io("write", &self.path))
    }

    /// Starts over with an empty file.
    pub(super) fn clear(&mut self) -> Result<(), FilesError> {
        self.length = 0;
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(FilesError::io("empty", &self.path))?;
        Ok(())
    }

    /// Keeps what arrived for another run, if anything did.
    pub(super) fn keep(self) -> Result<(), FilesError> {
        if self.length == 0 {
            return self.remove();
        }
        Ok(())
    }

    /// Removes the file, if it is still there, and the directory with it.
    pub(super) fn remove(self) -> Result<(), FilesError> {
        remove(&self.directory, &self.path)
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
    match fs::remove_dir(directory) {
        Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(FilesError::io("remove", directory)(e)),
        Ok(()) => Ok(()),
    }
}

fn replay<C: ImageCheck>(file: &mut File, length: u64, check: &mut C) -> io::Result<Option<u64>> {
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
