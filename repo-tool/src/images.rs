//! The bytes of images: kept by their SHA-256, and put into the public tree by links.

use std::cell::Cell;
use std::io::Read;
use std::path::{Path, PathBuf};

use countersign_metadata::json::{Object, Value};
use countersign_metadata::{Hashes, TargetFile, TargetPath};
use ring::digest::{Context, SHA256, SHA512};

use crate::error::RepoError;
use crate::files;
use crate::progress::Progress;

/// Memory used for one image, whatever its size.
const CHUNK: usize = 256 << 10;

thread_local! {
    /// What a thread reads images into: for small ones, new memory each time would cost as much as hashing them.
    static READ: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Whether the bytes of an image are public.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Visibility {
    /// They are published beside the metadata.
    #[default]
    Public,
    /// Only the metadata is published; `custom.encryption` is `required`.
    Confidential,
}

impl Visibility {
    /// What an image's `custom` says.
    pub fn of(file: &TargetFile) -> Self {
        let required = Value::from("required");
        let encryption = file
            .custom
            .as_ref()
            .and_then(|custom| custom.get("encryption"));
        match encryption == Some(&required) {
            true => Self::Confidential,
            false => Self::Public,
        }
    }

    /// Writes it into `custom`.
    pub(crate) fn mark(self, custom: &mut Option<Object>) {
        if self == Self::Confidential {
            custom
                .get_or_insert_with(Object::new)
                .insert("encryption".into(), "required".into());
        }
    }
}

/// Reads an image and tells whether it is `file`.
pub(crate) fn matches(
    path: &Path,
    file: &TargetFile,
    progress: &dyn Progress,
) -> Result<bool, RepoError> {
    let read = |error| RepoError::io("read", path, error);
    let mut input = files::open(path)?;
    if input.metadata().map_err(read)?.len() != file.length {
        return Ok(false);
    }
    progress.start(&path.display().to_string(), file.length);
    let mut hasher = Hasher::new();
    hasher.read_all(&mut input, progress, |_| Ok(()), read)?;
    progress.finish();
    let found = hasher.finish();
    let same = |listed: Option<&[u8]>, found: Option<&[u8]>| listed.is_none() || listed == found;
    let (listed, found) = (&file.hashes, &found.hashes);
    Ok(listed.any_known()
        && same(
            listed.sha256.as_ref().map(|d| &d[..]),
            found.sha256.as_ref().map(|d| &d[..]),
        )
        && same(
            listed.sha512.as_ref().map(|d| &d[..]),
            found.sha512.as_ref().map(|d| &d[..]),
        ))
}

/// Where the folder `targets` has an image: once per listed hash in a consistent repository
/// (TUF 6.2.1: a client may ask by any of them), else once.
pub(crate) fn places(
    targets: &Path,
    path: &TargetPath,
    file: &TargetFile,
    consistent: bool,
) -> Vec<PathBuf> {
    if !consistent {
        return vec![targets.join(path.as_str())];
    }
    let sha256 = file.hashes.sha256.as_ref().map(hex::encode);
    let sha512 = file.hashes.sha512.as_ref().map(hex::encode);
    let digests = sha256.into_iter().chain(sha512);
    digests
        .map(|digest| targets.join(path.with_prefix(&digest)))
        .collect()
}

/// The name of an image in the repository's own folders; empty if it lists no SHA-256, which
/// only an image that came in with imported metadata can.
pub(crate) fn sha256_of(file: &TargetFile) -> String {
    file.hashes
        .sha256
        .as_ref()
        .map(hex::encode)
        .unwrap_or_default()
}

/// The hashes that are listed of an image, and its length.
pub(crate) struct Hasher {
    sha256: Context,
    sha512: Context,
    pub(crate) length: u64,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self {
            sha256: Context::new(&SHA256),
            sha512: Context::new(&SHA512),
            length: 0,
        }
    }

    pub(crate) fn read_all(
        &mut self,
        input: &mut impl Read,
        progress: &dyn Progress,
        mut each: impl FnMut(&[u8]) -> Result<(), RepoError>,
        fail: impl Fn(std::io::Error) -> RepoError,
    ) -> Result<(), RepoError> {
        let mut chunk = READ.take();
        chunk.resize(CHUNK, 0);
        let done = loop {
            let count = match input.read(&mut chunk) {
                Ok(0) => break Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => break Err(fail(error)),
            };
            let part = &chunk[..count];
            self.sha256.update(part);
            self.sha512.update(part);
            self.length += count as u64;
            if let Err(error) = each(part) {
                break Err(error);
            }
            progress.advance(count as u64);
        };
        READ.set(chunk);
        done
    }

    pub(crate) fn finish(self) -> TargetFile {
        let hashes = Hashes {
            sha256: self.sha256.finish().as_ref().try_into().ok(),
            sha512: self.sha512.finish().as_ref().try_into().ok(),
            ..Hashes::default()
        };
        TargetFile::new(self.length, hashes)
    }
}
