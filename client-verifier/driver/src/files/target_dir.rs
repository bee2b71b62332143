//! The directory of finished target files.
//!
//! Target `a/b/c` is the file `a/b/c` below it. Every component is opened from the one before
//! without following links, so that a link planted below the directory leads nowhere.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::{CHUNK, FilesError, ImageCheck};
use crate::{crash, durable};

/// While a file is copied from another file system it has this name, in its final directory.
const COPY_NAME: &str = ".countersign-copy";

/// The longest component of a path, in bytes.
const MAX_COMPONENT: usize = 255;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The directory of finished target files.
#[derive(Debug)]
pub struct TargetDir {
    path: PathBuf,
    root: File,
}

/// The folders and the file name of a target.
struct Place<'n> {
    folders: Vec<&'n str>,
    file: &'n str,
}

impl TargetDir {
    /// The directory at `path`, which is made if it is missing.
    ///
    /// # Errors
    /// [`FilesError::Io`] if it cannot be made or opened.
    pub fn open(path: &Path) -> Result<Self, FilesError> {
        durable::create_directory(path).map_err(FilesError::io("make the directory", path))?;
        let root = File::open(path).map_err(FilesError::io("open the directory", path))?;
        Ok(TargetDir {
            path: path.to_owned(),
            root,
        })
    }

    /// Where the target `name` is or will be.
    ///
    /// # Errors
    /// [`FilesError::UnsafeName`] if that would not be below the directory.
    pub fn path_of(&self, name: &str) -> Result<PathBuf, FilesError> {
        parse(name)?;
        Ok(self.path.join(name))
    }

    /// The proof for the target `name` if the file that is already there passes `check`.
    ///
    /// `None` if there is no file, or it has not `length` bytes, or the check refuses it.
    ///
    /// # Errors
    /// If there is something that cannot be read, or is not a file.
    pub fn existing<C: ImageCheck>(
        &self,
        name: &str,
        length: u64,
        mut check: C,
    ) -> Result<Option<C::Proof>, FilesError> {
        let path = self.path_of(name)?;
        let place = parse(name)?;
        let Some(folder) = self.folder(&place, false)? else {
            return Ok(None);
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = match rustix::fs::openat(&folder, place.file, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            // A link is not the file, whatever it points to. The download will replace it.
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            Err(e) => return Err(FilesError::io("open", &path)(e)),
        };
        let metadata = file.metadata().map_err(FilesError::io("read", &path))?;
        if !metadata.is_file() {
            return Err(FilesError::Obstructed {
                path,
                why: "the target's place is taken by something that is not a file",
            });
        }
        if metadata.len() != length {
            return Ok(None);
        }
        let mut buffer = vec![0; CHUNK];
        // One byte more than the length, so that a file which grows meanwhile is noticed.
        let mut left = length.saturating_add(1);
        while left > 0 {
            let most = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            match file.read(&mut buffer[..most]) {
                Ok(0) => break,
                Ok(n) => {
                    left -= n as u64;
                    if check.update(&buffer[..n]).is_err() {
                        return Ok(None);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(FilesError::io("read", &path)(e)),
            }
        }
        Ok(check.finish().ok())
    }

    /// Gives the proven file at `from` its final name, durably when this returns.
    pub(super) fn place(&self, from: &Path, name: &str) -> Result<PathBuf, FilesError> {
        let path = self.path_of(name)?;
        let place = parse(name)?;
        let failed = || FilesError::io::<Errno>("put the finished file at", &path);
        let Some(folder) = self.folder(&place, true)? else {
            return Err(failed()(Errno::NOENT));
        };
        crash::point();
        match rustix::fs::renameat(CWD, from, &folder, place.file) {
            Ok(()) => {}
            Err(Errno::XDEV) => self.copy(from, &folder, place.file, &path)?,
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                return Err(FilesError::Obstructed {
                    path,
                    why: "the target's place is taken by a directory",
                });
            }
            Err(e) => return Err(failed()(e)),
        }
        crash::point();
        rustix::fs::fsync(&folder).map_err(failed())?;
        Ok(path)
    }

    /// Copies across file systems. The name of the copy is taken by one process at a time.
    fn copy(
        &self,
        from: &Path,
        folder: &OwnedFd,
        file: &str,
        path: &Path,
    ) -> Result<(), FilesError> {
        self.root
            .lock()
            .map_err(FilesError::io("lock", &self.path))?;
        let result = copy_and_rename(from, folder, file);
        if result.is_err() {
            // Best effort: after a full disk the space is wanted back at once.
            let _ = rustix::fs::unlinkat(folder, COPY_NAME, AtFlags::empty());
        }
        let unlocked = self
            .root
            .unlock()
            .map_err(FilesError::io("unlock", &self.path));
        result.map_err(FilesError::io("copy the finished file to", path))?;
        unlocked?;
        std::fs::remove_file(from).map_err(FilesError::io("remove", from))
    }

    /// Opens the folder of `place`; `None` if it is missing and not to be made.
    fn folder(&self, place: &Place<'_>, make: bool) -> Result<Option<OwnedFd>, FilesError> {
        let mut path = self.path.clone();
        let open_failed = FilesError::io::<io::Error>("open the directory", &self.path);
        let mut at = self
            .root
            .as_fd()
            .try_clone_to_owned()
            .map_err(open_failed)?;
        for component in &place.folders {
            path.push(component);
            let opened = rustix::fs::openat(&at, *component, DIRECTORY, Mode::empty());
            at = match opened {
                Ok(fd) => fd,
                Err(Errno::NOENT) if !make => return Ok(None),
                Err(Errno::NOENT) => make_folder(&at, component)
                    .map_err(FilesError::io("make the directory", &path))?,
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    return Err(FilesError::Obstructed {
                        path,
                        why: "a file or a link stands where a directory is needed",
                    });
                }
                Err(e) => return Err(FilesError::io("open the directory", &path)(e)),
            };
        }
        Ok(Some(at))
    }
}

fn make_folder(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => return Err(e),
    }
    rustix::fs::fsync(parent)?;
    rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())
}

fn copy_and_rename(from: &Path, folder: &OwnedFd, file: &str) -> io::Result<()> {
    // What a killed run left may be anything by now; it is not written through.
    match rustix::fs::unlinkat(folder, COPY_NAME, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(e) => return Err(e.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(folder, COPY_NAME, flags, Mode::from_raw_mode(0o666))?;
    let mut copy = File::from(fd);
    io::copy(&mut File::open(from)?, &mut copy)?;
    copy.sync_all()?;
    crash::point();
    Ok(rustix::fs::renameat(folder, COPY_NAME, folder, file)?)
}

/// Takes a target's name apart if it stays below the directory it is joined to.
fn parse(name: &str) -> Result<Place<'_>, FilesError> {
    let refuse = |why| {
        Err(FilesError::UnsafeName {
            name: name.to_owned(),
            why,
        })
    };
    let mut folders: Vec<&str> = name.split('/').collect();
    for component in &folders {
        match *component {
            "" => return refuse("it starts or ends with '/', has an empty part, or is empty"),
            "." | ".." => return refuse("'.' and '..' could lead out of the directory"),
            COPY_NAME => return refuse("this name is used for files on their way"),
            c if c.contains('\0') => return refuse("no file name holds a NUL"),
            c if c.len() > MAX_COMPONENT => return refuse("a part is longer than 255 bytes"),
            _ => {}
        }
    }
    match folders.pop() {
        Some(file) => Ok(Place { folders, file }),
        None => refuse("it is empty"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Accepts the bytes it was made with.
    struct Exactly(&'static [u8], Vec<u8>);

    impl ImageCheck for Exactly {
        type Proof = ();
        type Refusal = ();
        fn update(&mut self, bytes: &[u8]) -> Result<(), ()> {
            self.1.extend_from_slice(bytes);
            Ok(())
        }
        fn finish(self) -> Result<(), ()> {
            if self.1 == self.0 { Ok(()) } else { Err(()) }
        }
    }

    fn existing(dir: &TargetDir, name: &str, bytes: &'static [u8]) -> Result<bool, FilesError> {
        let check = Exactly(bytes, Vec::new());
        Ok(dir.existing(name, bytes.len() as u64, check)?.is_some())
    }

    fn source(dir: &Path, bytes: &[u8]) -> PathBuf {
        let path = dir.join("source");
        fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn a_target_has_one_place_below_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let targets = TargetDir::open(&dir.path().join("T")).unwrap();
        for name in ["a/b/c", "plain", "with space", "ä?%2F", "..hidden", "a/b/d"] {
            assert!(!existing(&targets, name, b"x").unwrap());
            let path = targets.place(&source(dir.path(), b"x"), name).unwrap();
            assert_eq!(path, dir.path().join("T").join(name));
            assert!(existing(&targets, name, b"x").unwrap());
            assert!(!existing(&targets, name, b"y").unwrap());
            assert!(!existing(&targets, name, b"longer").unwrap());
        }
        assert!(!dir.path().join("source").exists());
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let targets = TargetDir::open(dir.path()).unwrap();
        let long = "x".repeat(256);
        for name in [
            "", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", "./a", "a\0", &long,
        ] {
            let refused = targets.path_of(name);
            assert!(
                matches!(refused, Err(FilesError::UnsafeName { .. })),
                "{name:?}"
            );
        }
    }

    #[test]
    fn links_below_the_directory_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), b"x").unwrap();
        let targets = TargetDir::open(&dir.path().join("T")).unwrap();
        symlink(&outside, dir.path().join("T/folder")).unwrap();
        symlink(outside.join("file"), dir.path().join("T/link")).unwrap();

        let planted = targets.place(&source(dir.path(), b"new"), "folder/file");
        assert!(matches!(planted, Err(FilesError::Obstructed { .. })));
        assert!(existing(&targets, "folder/file", b"x").is_err());
        // A link in the file's own place is replaced, and what it pointed to stays as it is.
        assert!(!existing(&targets, "link", b"x").unwrap());
        targets.place(&source(dir.path(), b"new"), "link").unwrap();
        assert!(existing(&targets, "link", b"new").unwrap());
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"x");
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let targets = TargetDir::open(&dir.path().join("T")).unwrap();
        targets.place(&source(dir.path(), b"x"), "a").unwrap();
        let below_a_file = targets.place(&source(dir.path(), b"x"), "a/b").unwrap_err();
        assert!(below_a_file.to_string().contains("T/a"), "{below_a_file}");
        fs::create_dir(dir.path().join("T/d")).unwrap();
        assert!(matches!(
            targets.place(&source(dir.path(), b"x"), "d"),
            Err(FilesError::Obstructed { .. })
        ));
        assert!(existing(&targets, "d", b"x").is_err());
    }

    #[test]
    fn a_copy_across_file_systems_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let targets = TargetDir::open(&dir.path().join("T")).unwrap();
        fs::write(
            dir.path().join("T").join(COPY_NAME),
            b"left by a killed run",
        )
        .unwrap();
        let from = source(dir.path(), b"content");
        let folder = targets.root.as_fd().try_clone_to_owned().unwrap();
        let path = dir.path().join("T/file");
        targets.copy(&from, &folder, "file", &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"content");
        assert_eq!(fs::read_dir(dir.path().join("T")).unwrap().count(), 1);
        assert!(!from.exists());
    }
}
