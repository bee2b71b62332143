//! The bytes of images: hashed once while they are copied in, kept by their SHA-256, and put
//! into the public tree by links.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use countersign_metadata::json::{Object, Value};
use countersign_metadata::{Hashes, TargetFile, TargetPath};
use ring::digest::{Context, SHA256, SHA512};

use crate::crash;
use crate::error::RepoError;
use crate::files;
use crate::home::Home;
use crate::progress::Progress;

/// Memory used for one image, whatever its size.
const CHUNK: usize = 256 << 10;

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

/// Copies the image at `source` into the repository, hashing it on the way. Where `sha256` says
/// what its hash has to be, only such a copy is kept.
///
/// # Errors
/// [`RepoError::ImageChanged`] when it is written to meanwhile, [`RepoError::Sha256Mismatch`].
pub(crate) fn take_in(
    home: &Home,
    source: &Path,
    sha256: Option<&[u8; 32]>,
    visibility: Visibility,
    progress: &dyn Progress,
) -> Result<TargetFile, RepoError> {
    let read = |error| RepoError::io("read", source, error);
    let input = files::open(source)?;
    let before = input.metadata().map_err(read)?;
    let store = match visibility {
        Visibility::Public => home.staged_images(),
        Visibility::Confidential => home.confidential(),
    };
    files::create_folders(&home.unfinished())?;
    files::create_folders(&store)?;
    let write = |error| RepoError::io("copy the image into", &store, error);
    crash::point("image: before").map_err(write)?;
    let mut copy = tempfile::Builder::new()
        .permissions(Permissions::from_mode(match visibility {
            Visibility::Public => 0o644,
            Visibility::Confidential => 0o600,
        }))
        .tempfile_in(home.unfinished())
        .map_err(write)?;
    progress.start(&source.display().to_string(), before.len());
    let mut hasher = Hasher::new();
    // One byte more shows that it has grown; all that it may still grow by would fill the disk.
    hasher.read_all(
        &mut (&input).take(before.len().saturating_add(1)),
        progress,
        |chunk| copy.write_all(chunk).map_err(write),
        read,
    )?;
    progress.finish();
    let after = input.metadata().map_err(read)?;
    let stamp = |of: &fs::Metadata| (of.len(), of.mtime(), of.mtime_nsec(), of.ino());
    if stamp(&before) != stamp(&after) || hasher.length != before.len() {
        return Err(RepoError::ImageChanged {
            path: source.into(),
        });
    }
    let file = hasher.finish();
    check_sha256(source, &file, sha256)?;
    copy.as_file().sync_all().map_err(write)?;
    let path = store.join(sha256_of(&file));
    copy.persist(&path).map_err(|error| write(error.error))?;
    crash::point("image: after").map_err(write)?;
    files::sync_parent(&path)?;
    Ok(file)
}

fn check_sha256(
    source: &Path,
    file: &TargetFile,
    sha256: Option<&[u8; 32]>,
) -> Result<(), RepoError> {
    match sha256 {
        Some(expected) if file.hashes.sha256.as_ref() != Some(expected) => {
            Err(RepoError::Sha256Mismatch {
                path: source.into(),
                found: sha256_of(file),
                expected: hex::encode(expected),
            })
        }
        _ => Ok(()),
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

struct Hasher {
    sha256: Context,
    sha512: Context,
    length: u64,
}

impl Hasher {
    fn new() -> Self {
        Self {
            sha256: Context::new(&SHA256),
            sha512: Context::new(&SHA512),
            length: 0,
        }
    }

    fn read_all(
        &mut self,
        input: &mut impl Read,
        progress: &dyn Progress,
        mut each: impl FnMut(&[u8]) -> Result<(), RepoError>,
        fail: impl Fn(std::io::Error) -> RepoError,
    ) -> Result<(), RepoError> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match input.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(fail(error)),
            };
            let part = &chunk[..count];
            self.sha256.update(part);
            self.sha512.update(part);
            self.length += count as u64;
            each(part)?;
            progress.advance(count as u64);
        }
    }

    fn finish(self) -> TargetFile {
        let hashes = Hashes {
            sha256: self.sha256.finish().as_ref().try_into().ok(),
            sha512: self.sha512.finish().as_ref().try_into().ok(),
            ..Hashes::default()
        };
        TargetFile::new(self.length, hashes)
    }
}
