//! Images on their way in: hashed while they are copied, on all cores, some hundred at a time.
//!
//! While many come in, a journal beside the copies says of each source that was copied which copy
//! it is, so that the same command, run again after it was killed, does not read them again. It
//! goes by what the kernel says of the source: file, length, and when it was changed last, which nobody
//! can set. It is never more than a short cut to a copy that was hashed here, and `publish` hashes
//! the copies once more.

mod journal;

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use countersign_metadata::TargetFile;
use tempfile::NamedTempFile;

use self::journal::{Journal, Stamp};
use crate::batch::{self, BATCH};
use crate::crash;
use crate::error::RepoError;
use crate::files;
use crate::home::Home;
use crate::images::{Hasher, Visibility, sha256_of};
use crate::parallel;
use crate::progress::{Progress, Silent};

/// An image to take in.
pub(crate) struct Incoming<'a> {
    pub(crate) source: &'a Path,
    /// What its SHA-256 has to be: only such a copy is kept.
    pub(crate) sha256: Option<&'a [u8; 32]>,
    pub(crate) visibility: Visibility,
}

/// Copies images into the repository. What is listed of each is in their order.
///
/// # Errors
/// [`RepoError::ImageChanged`] when one is written to meanwhile, [`RepoError::Sha256Mismatch`].
pub(crate) fn take_in(
    home: &Home,
    images: &[Incoming<'_>],
    progress: &dyn Progress,
) -> Result<Vec<TargetFile>, RepoError> {
    files::create_folders(&home.unfinished())?;
    for image in images {
        files::create_folders(&store(home, image.visibility))?;
    }
    if let [image] = images {
        let copied = copy(home, image, progress)?;
        batch::persist(vec![(copied.copy, copied.path)])?;
        return Ok(vec![copied.file]);
    }
    let length = |image: &Incoming<'_>| fs::metadata(image.source).map_or(0, |file| file.len());
    let total = images.iter().map(length).sum();
    let mut journal = Journal::open(home)?;
    let mut listed = Vec::with_capacity(images.len());
    progress.start(&format!("{} images", images.len()), total);
    for images in images.chunks(BATCH) {
        let results = parallel::each(images, |image| match journal.find(home, image)? {
            Some(file) => {
                check_sha256(image, &file)?;
                progress.advance(file.length);
                Ok((file, None))
            }
            None => {
                let copied = copy(home, image, &Quiet(progress))?;
                Ok((copied.file, Some((copied.copy, copied.path, copied.stamp))))
            }
        })?;
        let (mut copies, mut entries) = (Vec::new(), Vec::new());
        for ((file, copied), image) in results.into_iter().zip(images) {
            if let Some((copy, path, stamp)) = copied {
                copies.push((copy, path));
                entries.push((stamp, image.visibility, file.clone()));
            }
            listed.push(file);
        }
        batch::persist(copies)?;
        journal.add(&entries)?;
    }
    progress.finish();
    Ok(listed)
}

/// Forgets which sources were copied: what they are listed as is staged, or no use any more.
pub(crate) fn forget(home: &Home) -> Result<(), RepoError> {
    journal::remove(home)
}

/// One of many: only its bytes are reported.
struct Quiet<'a>(&'a dyn Progress);

impl Progress for Quiet<'_> {
    fn start(&self, what: &str, bytes: u64) {
        Silent.start(what, bytes);
    }

    fn advance(&self, bytes: u64) {
        self.0.advance(bytes);
    }

    fn finish(&self) {}
}

fn store(home: &Home, visibility: Visibility) -> PathBuf {
    match visibility {
        Visibility::Public => home.staged_images(),
        Visibility::Confidential => home.confidential(),
    }
}

/// A copy that is not yet in its place.
struct Copied {
    copy: NamedTempFile,
    path: PathBuf,
    file: TargetFile,
    stamp: Stamp,
}

fn copy(home: &Home, image: &Incoming<'_>, progress: &dyn Progress) -> Result<Copied, RepoError> {
    let source = image.source;
    let read = |error| RepoError::io("read", source, error);
    let input = files::open(source)?;
    let before = input.metadata().map_err(read)?;
    let store = store(home, image.visibility);
    let write = |error| RepoError::io("copy the image into", &store, error);
    crash::point("image: before").map_err(write)?;
    let mut copy = tempfile::Builder::new()
        .permissions(Permissions::from_mode(match image.visibility {
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
    let stamp = Stamp::of(&before);
    if !stamp.is_same_content(&Stamp::of(&after)) || hasher.length != before.len() {
        return Err(RepoError::ImageChanged {
            path: source.into(),
        });
    }
    let file = hasher.finish();
    check_sha256(image, &file)?;
    Ok(Copied {
        copy,
        path: store.join(sha256_of(&file)),
        file,
        stamp,
    })
}

fn check_sha256(image: &Incoming<'_>, file: &TargetFile) -> Result<(), RepoError> {
    match image.sha256 {
        Some(expected) if file.hashes.sha256.as_ref() != Some(expected) => {
            Err(RepoError::Sha256Mismatch {
                path: image.source.into(),
                found: sha256_of(file),
                expected: hex::encode(expected),
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_copied_before_is_not_read_again_unless_it_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::new(folder.path(), Path::new("published"));
        let source = |number: usize| folder.path().join(format!("{number}.img"));
        let sources: Vec<PathBuf> = (0..5).map(source).collect();
        for path in &sources[..4] {
            fs::write(path, path.display().to_string()).expect("writes");
        }
        let incoming: Vec<Incoming<'_>> = sources
            .iter()
            .map(|source| Incoming {
                source,
                sha256: None,
                visibility: Visibility::Public,
            })
            .collect();
        // The last is missing, so the first four come in and it ends there.
        assert!(take_in(&home, &incoming, &Silent).is_err());
        let copy = |path: &PathBuf| {
            let bytes = path.display().to_string();
            home.staged_images()
                .join(sha256_of(&TargetFile::describing(bytes.as_bytes())))
        };
        let length = fs::read(copy(&sources[0])).expect("a copy").len();
        fs::write(copy(&sources[0]), vec![b'x'; length]).expect("marks");
        fs::remove_file(copy(&sources[1])).expect("removes");
        fs::write(&sources[2], vec![b'y'; length]).expect("changes");
        fs::write(&sources[4], b"there now").expect("writes");

        let listed = take_in(&home, &incoming, &Silent).expect("takes in");
        assert_eq!(
            fs::read(copy(&sources[0])).expect("a copy"),
            vec![b'x'; length]
        );
        assert!(copy(&sources[1]).exists());
        for (path, file) in sources.iter().zip(&listed) {
            let expected = TargetFile::describing(&fs::read(path).expect("reads"));
            assert_eq!(*file, expected);
        }
        forget(&home).expect("forgets");
        take_in(&home, &incoming, &Silent).expect("takes in");
        assert_ne!(
            fs::read(copy(&sources[0])).expect("a copy"),
            vec![b'x'; length]
        );
    }
}
