//! A published repository on disk, as a web server or a medium holds it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use countersign_metadata::UtcTime;
use url::Url;

/// Images by name.
pub(crate) type Images = BTreeMap<String, Vec<u8>>;

/// The folder with `metadata/` and `targets/`.
#[derive(Debug, Clone)]
pub(crate) struct Tree(PathBuf);

impl Tree {
    pub(crate) fn at(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        for part in ["metadata", "targets"] {
            fs::create_dir_all(folder.join(part)).expect("folders");
        }
        Self(folder)
    }

    pub(crate) fn metadata(&self) -> PathBuf {
        self.0.join("metadata")
    }

    pub(crate) fn targets(&self) -> PathBuf {
        self.0.join("targets")
    }

    pub(crate) fn metadata_url(&self) -> Url {
        Url::from_directory_path(self.metadata()).expect("an absolute path")
    }

    pub(crate) fn targets_url(&self) -> Url {
        Url::from_directory_path(self.targets()).expect("an absolute path")
    }

    /// The Root that clients are shipped with.
    pub(crate) fn first_root(&self) -> Vec<u8> {
        fs::read(self.metadata().join("1.root.json")).expect("the first root")
    }

    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.0.join(path);
        let folder = path.parent().expect("a folder");
        fs::create_dir_all(folder).expect("folders");
        fs::write(path, bytes).expect("a file");
    }

    /// Changes the last byte of every published copy of an image, keeping its length.
    pub(crate) fn spoil_image(&self, name: &str) {
        let spoilt = change_files(&self.targets(), &|file| file.ends_with(name), &|bytes| {
            *bytes.last_mut().expect("not empty") ^= 1;
        });
        assert_ne!(spoilt, 0, "{name} is not published");
    }

    /// Changes a published metadata file without signing it again.
    pub(crate) fn spoil_metadata(&self, file: &str) {
        let spoilt = change_files(&self.metadata(), &|name| name == file, &|bytes| {
            let at = find(bytes, b"expires").expect("a date") + br#"expires":"20"#.len();
            let year = find(&bytes[at..], b"-").expect("a year") + at - 1;
            bytes[year] = if bytes[year] == b'9' { b'8' } else { b'9' };
        });
        assert_eq!(spoilt, 1, "{file} is not published");
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Changes the files below `folder` whose names are `wanted`; how many there were.
fn change_files(
    folder: &Path,
    wanted: &dyn Fn(&str) -> bool,
    change: &dyn Fn(&mut Vec<u8>),
) -> usize {
    let mut changed = 0;
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        if path.is_dir() {
            changed += change_files(&path, wanted, change);
        } else if wanted(&name) {
            let mut bytes = fs::read(&path).expect("a file");
            change(&mut bytes);
            // Published files may be read-only links: put another file in their place.
            fs::remove_file(&path).expect("removable");
            fs::write(&path, bytes).expect("writable");
            changed += 1;
        }
    }
    changed
}

/// The system's time: the other clients take no other.
pub(crate) fn now() -> UtcTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    UtcTime::from_unix(since.as_secs() as i64).expect("a year of four digits")
}

pub(crate) fn in_days(days: i64) -> UtcTime {
    now().plus_seconds(days * 86_400).expect("a time")
}
