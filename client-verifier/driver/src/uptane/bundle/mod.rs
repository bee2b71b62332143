//! Offline bundles (PURE-2): both repositories' metadata for exactly one update, and its images, in
//! one plain tar on a stick.
//!
//! ```text
//! director/metadata/N.root.json        every Root of the Director from version 1 or later on
//! director/offline/snapshot.json       the Offline Snapshot
//! director/offline/NAME.json           exactly one Offline Targets file
//! image/metadata/N.root.json           every Root of the Image repository
//! image/metadata/snapshot.json         its Snapshot
//! image/metadata/VERSION.ROLE.json     Targets and the delegated roles on the way
//! images/CONTENT-NAME                  the images, named by their content
//! ```
//!
//! CONTENT-NAME is `sha256-` and the digest in hexadecimal, or `sha512-` where there is only that,
//! of what travels: the ciphertext of an encrypted image. It is cut off after 100 characters, so that
//! every reader of tar files can have it.
//!
//! Only regular files with such names are taken, and each name once. Nothing is unpacked: a bundle
//! is a fetcher like others, and what comes out of it is verified like everything that is fetched.

mod collect;
mod write;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use countersign_metadata::Hashes;
use countersign_metadata::uptane::OfflineName;

use crate::durable;
use crate::fetch::{Body, FetchError, Fetcher};

pub use collect::Collector;
pub use write::BundleWriter;

/// Members of one bundle: two chains of 1,024 Roots, 64 roles, and the images of a large vehicle.
const MAX_MEMBERS: usize = 4096;

/// The folder of the Director's Roots.
pub const DIRECTOR: &str = "director/metadata/";

/// The folder of the Offline Snapshot and of the Offline Targets file.
pub const OFFLINE: &str = "director/offline/";

/// The folder of the Image repository's metadata.
pub const IMAGE: &str = "image/metadata/";

const IMAGES: &str = "images/";

const SNAPSHOT: &str = "snapshot.json";

/// The name of a member is a folder of at most 155 and a file of at most 100 characters.
const MAX_NAME: usize = 100;

/// The content name of an image with these hashes.
pub fn content_name(hashes: &Hashes) -> String {
    match (&hashes.sha256, &hashes.sha512) {
        (Some(digest), _) => format!("sha256-{}", hex::encode(digest)),
        (None, digest) => format!("sha512-{}", hex::encode(digest.unwrap_or([0; 64]))),
    }
}

/// The member that is the image of this content name.
pub fn image_member(content_name: &str) -> String {
    let cut = content_name.get(..MAX_NAME).unwrap_or(content_name);
    format!("{IMAGES}{cut}")
}

/// Why a file is no offline bundle. No member of it was used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// It cannot be read.
    #[error("{}: cannot read the bundle: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It is no tar of the expected members.
    #[error("{}: not an offline bundle: {detail}", .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
}

/// A bundle, open for reading. As a [`Fetcher`] it takes the names of members for URLs.
#[derive(Debug)]
pub struct Bundle {
    file: File,
    /// Where each member begins, and how long it is, in bytes.
    members: BTreeMap<String, (u64, u64)>,
    targets: OfflineName,
}

impl Bundle {
    /// Opens a bundle and looks through its members.
    ///
    /// # Errors
    /// [`BundleError`]: among others when there is not exactly one Offline Targets file.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let io_failed = |source| BundleError::Io {
            path: path.to_owned(),
            source,
        };
        let malformed = |detail| BundleError::Malformed {
            path: path.to_owned(),
            detail,
        };
        let opened = durable::open_regular(path).map_err(io_failed)?;
        let (file, length) = opened.ok_or_else(|| io_failed(io::ErrorKind::NotFound.into()))?;
        let members = members(&file, length).map_err(malformed)?;
        let targets = the_targets(members.keys().map(String::as_str)).map_err(malformed)?;
        Ok(Self {
            file,
            members,
            targets,
        })
    }

    /// The name of the one Offline Targets file, without `.json`.
    pub fn targets_name(&self) -> &OfflineName {
        &self.targets
    }
}

impl Fetcher for Bundle {
    fn open(&mut self, url: &str, range_from: u64) -> Result<Body<'_>, FetchError> {
        let Some((start, length)) = self.members.get(url).copied() else {
            return Err(FetchError::NotFound {
                url: url.into(),
                status: None,
            });
        };
        let from = range_from.min(length);
        let sought = self.file.seek(SeekFrom::Start(start + from));
        sought.map_err(|error| FetchError::from_io(url, error))?;
        let rest = length - from;
        Ok(Body::new(url, (&self.file).take(rest), Some(rest), from))
    }
}

/// All members by name: where they begin and how long they are.
fn members(file: &File, length: u64) -> Result<BTreeMap<String, (u64, u64)>, String> {
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries_with_seek().map_err(|e| e.to_string())?;
    let mut members = BTreeMap::new();
    // Neither GNU nor PAX extensions: what they say would come before what is checked here.
    for entry in entries.raw(true) {
        let entry = entry.map_err(|error| error.to_string())?;
        let path = entry.path_bytes();
        let name = std::str::from_utf8(&path).unwrap_or_default();
        if !entry.header().entry_type().is_file() {
            return Err(format!("member {name:?} is no regular file"));
        }
        if !is_member(name) {
            return Err(format!("member {name:?} has no place in a bundle"));
        }
        let (start, size) = (entry.raw_file_position(), entry.size());
        if start.checked_add(size).is_none_or(|end| end > length) {
            return Err(format!("member {name} goes on beyond the end"));
        }
        if members.insert(name.to_owned(), (start, size)).is_some() {
            return Err(format!("member {name} stands twice"));
        }
        if members.len() > MAX_MEMBERS {
            return Err(format!("it has more than {MAX_MEMBERS} members"));
        }
    }
    Ok(members)
}

/// Whether `name` is one of the names above.
fn is_member(name: &str) -> bool {
    let folders = [DIRECTOR, OFFLINE, IMAGE, IMAGES];
    let within = folders.iter().find_map(|folder| name.strip_prefix(folder));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    let whole =
        |file: &str| !file.is_empty() && !file.starts_with('.') && file.bytes().all(is_plain);
    within.is_some_and(|file| whole(file) && (name.starts_with(IMAGES) || file.ends_with(".json")))
}

/// PURE-2: exactly one Offline Targets file.
fn the_targets<'m>(members: impl Iterator<Item = &'m str>) -> Result<OfflineName, String> {
    let offline = members.filter_map(|name| name.strip_prefix(OFFLINE));
    let targets: Vec<&str> = offline.filter(|file| *file != SNAPSHOT).collect();
    match targets[..] {
        [file] => OfflineName::new(file.strip_suffix(".json").unwrap_or(file))
            .map_err(|error| format!("the name of the Offline Targets file {file}: {error}")),
        _ => Err(format!(
            "it has {} Offline Targets files, not one",
            targets.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::fetch_bytes;

    fn header(size: u64, kind: tar::EntryType) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header
    }

    fn open(members: &[(&str, &[u8], tar::EntryType)]) -> Result<Bundle, BundleError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bundle.tar");
        let mut archive = tar::Builder::new(File::create(&path).unwrap());
        for (name, bytes, kind) in members {
            let mut header = header(bytes.len() as u64, *kind);
            // Raw, because the builder refuses names that a thief would not.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            archive.append(&header, *bytes).unwrap();
        }
        archive.finish().unwrap();
        Bundle::open(&path)
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;
    const TARGETS: (&str, &[u8], tar::EntryType) = ("director/offline/spring.json", b"{}", FILE);

    #[test]
    fn members_are_fetched_whole_or_from_the_middle() {
        let root = ("image/metadata/2.root.json", &b"root"[..], FILE);
        let mut bundle = open(&[TARGETS, root]).unwrap();
        assert_eq!(bundle.targets_name().as_str(), "spring");
        assert_eq!(fetch_bytes(&mut bundle, root.0, 4).unwrap(), b"root");
        assert!(matches!(
            fetch_bytes(&mut bundle, root.0, 3),
            Err(FetchError::TooLarge { .. })
        ));
        let mut rest = [0; 8];
        let mut body = bundle.open(root.0, 3).unwrap();
        assert_eq!((body.starts_at(), body.read(&mut rest).unwrap()), (3, 1));
        drop(body);
        let absent = fetch_bytes(&mut bundle, "image/metadata/3.root.json", 9);
        assert!(absent.unwrap_err().is_not_found());
    }

    #[test]
    fn a_tar_with_anything_else_in_it_is_no_bundle() {
        for (name, kind) in [
            ("../x.json", FILE),
            ("/etc/passwd", FILE),
            ("director/metadata/../x.json", FILE),
            ("director/metadata/a/b.json", FILE),
            ("director/metadata/.json", FILE),
            ("director/metadata/x", FILE),
            ("notes.txt", FILE),
            ("images/", FILE),
            ("director/metadata/1.root.json", tar::EntryType::Symlink),
            ("director/metadata/1.root.json", tar::EntryType::Link),
            ("director/metadata/1.root.json", tar::EntryType::Directory),
            ("director/metadata/1.root.json", tar::EntryType::GNULongName),
            ("director/metadata/1.root.json", tar::EntryType::XHeader),
        ] {
            let refused = open(&[TARGETS, (name, b"{}", kind)]);
            assert!(
                matches!(refused, Err(BundleError::Malformed { .. })),
                "{name} {kind:?}"
            );
        }
    }

    #[test]
    fn there_is_one_offline_targets_file_and_every_name_once() {
        let other = ("director/offline/autumn.json", &b"{}"[..], FILE);
        let snapshot = ("director/offline/snapshot.json", &b"{}"[..], FILE);
        for members in [&[snapshot][..], &[TARGETS, other], &[TARGETS, TARGETS]] {
            let refused = open(members).unwrap_err().to_string();
            assert!(
                refused.contains("Targets files") || refused.contains("twice"),
                "{refused}"
            );
        }
        assert!(open(&[TARGETS, snapshot]).is_ok());
        // Where they are served further, such names mean other files.
        for role in ["root", "targets", "timestamp", "a%20b"] {
            let name = format!("director/offline/{role}.json");
            let refused = open(&[(&name, b"{}", FILE)]).unwrap_err().to_string();
            assert!(refused.contains(role), "{refused}");
        }
    }

    #[test]
    fn names_of_images_are_short_enough_for_every_tar() {
        let long = format!("sha512-{}", "ab".repeat(64));
        let name = image_member(&long);
        assert_eq!(name.len(), "images/".len() + 100);
        assert!(open(&[TARGETS, (&name, b"image", FILE)]).is_ok());
        assert_eq!(image_member("sha256-00"), "images/sha256-00");
    }

    #[test]
    fn a_bundle_that_was_cut_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bundle.tar");
        let mut archive = tar::Builder::new(Vec::new());
        for name in ["director/offline/spring.json", "images/sha256-00"] {
            let mut header = header(2000, FILE);
            archive
                .append_data(&mut header, name, &[0; 2000][..])
                .unwrap();
        }
        let whole = archive.into_inner().unwrap();
        for length in (0..whole.len()).step_by(37) {
            std::fs::write(&path, &whole[..length]).unwrap();
            match Bundle::open(&path) {
                // Only the padding and the end marker are missing.
                Ok(bundle) => {
                    assert!(
                        length >= 512 + 2048 + 512 + 2000 || bundle.members.len() == 1,
                        "{length}"
                    );
                }
                Err(BundleError::Malformed { .. }) => {}
                Err(other) => panic!("{length}: {other}"),
            }
        }
        assert!(matches!(
            Bundle::open(&directory.path().join("absent")),
            Err(BundleError::Io { .. })
        ));
    }
}
