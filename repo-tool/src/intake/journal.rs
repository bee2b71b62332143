//! Which sources have been copied in, while many are.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use countersign_metadata::{Hashes, TargetFile};
use serde::{Deserialize, Serialize};

use super::{Incoming, store};
use crate::crash;
use crate::error::RepoError;
use crate::files;
use crate::home::Home;
use crate::images::{Visibility, sha256_of};

/// A clock of the kernel may stand still for this long (seconds, generously), so that a file that was
/// changed this late may change again and look the same.
const SETTLED_AFTER: i64 = if cfg!(test) { -2 } else { 2 };

/// What the kernel says of a source. Nobody can set `changed`, and every write moves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(file: &fs::Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            length: file.len(),
            written: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    /// Whether the file was not written to in between. What else moves `changed`, as that its name
    /// now leads to another file, does not matter to a copy.
    pub(super) fn is_same_content(&self, later: &Self) -> bool {
        let content = |stamp: &Self| (stamp.device, stamp.inode, stamp.length, stamp.written);
        content(self) == content(later)
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs());
        i64::try_from(now).is_ok_and(|now| self.changed.0 + SETTLED_AFTER < now)
    }
}

/// One line of the journal.
#[derive(Serialize, Deserialize)]
struct Line {
    source: Stamp,
    confidential: bool,
    sha256: String,
    sha512: String,
}

pub(super) struct Journal {
    path: PathBuf,
    file: Option<File>,
    known: HashMap<(Stamp, bool), TargetFile>,
}

fn path(home: &Home) -> PathBuf {
    home.folder().join("staged/taken-in")
}

pub(super) fn remove(home: &Home) -> Result<(), RepoError> {
    files::remove(&path(home))
}

impl Journal {
    /// What a run that was killed left.
    pub(super) fn open(home: &Home) -> Result<Self, RepoError> {
        let path = path(home);
        let text = files::read(&path)?.unwrap_or_default();
        // A line that is damaged, as the last one may be, is a source that will be read again.
        let lines = text.split(|byte| *byte == b'\n');
        let known = lines.filter_map(|line| entry(serde_json::from_slice(line).ok()?));
        Ok(Self {
            known: known.collect(),
            path,
            file: None,
        })
    }

    /// What was listed of an image, if the copy is there.
    pub(super) fn find(
        &self,
        home: &Home,
        image: &Incoming<'_>,
    ) -> Result<Option<TargetFile>, RepoError> {
        if self.known.is_empty() {
            return Ok(None);
        }
        let source = files::open(image.source)?;
        let source = source.metadata();
        let source = source.map_err(|error| RepoError::io("read", image.source, error))?;
        let confidential = image.visibility == Visibility::Confidential;
        let Some(file) = self.known.get(&(Stamp::of(&source), confidential)) else {
            return Ok(None);
        };
        let copy = fs::metadata(store(home, image.visibility).join(sha256_of(file)));
        let is_there = copy.is_ok_and(|copy| copy.is_file() && copy.len() == file.length);
        Ok(is_there.then(|| file.clone()))
    }

    /// Notes sources whose copies are durable.
    pub(super) fn add(
        &mut self,
        entries: &[(Stamp, Visibility, TargetFile)],
    ) -> Result<(), RepoError> {
        let mut text = Vec::new();
        for (source, visibility, file) in entries {
            if !source.is_settled() {
                continue;
            }
            let line = Line {
                source: source.clone(),
                confidential: *visibility == Visibility::Confidential,
                sha256: sha256_of(file),
                sha512: file.hashes.sha512.map(hex::encode).unwrap_or_default(),
            };
            text.push(b'\n');
            text.extend(serde_json::to_vec(&line).unwrap_or_default());
        }
        let fail = |error| RepoError::io("write", &self.path, error);
        if text.is_empty() {
            return Ok(());
        }
        crash::point("journal: before").map_err(fail)?;
        if self.file.is_none() {
            files::create_parent(&self.path)?;
            let file = File::options().create(true).append(true).open(&self.path);
            self.file = Some(file.map_err(fail)?);
        }
        match &mut self.file {
            Some(file) => file.write_all(&text).map_err(fail),
            None => Ok(()),
        }
    }
}

fn entry(line: Line) -> Option<((Stamp, bool), TargetFile)> {
    let mut hashes = Hashes::default();
    let (mut sha256, mut sha512) = ([0; 32], [0; 64]);
    hex::decode_to_slice(&line.sha256, &mut sha256).ok()?;
    hex::decode_to_slice(&line.sha512, &mut sha512).ok()?;
    hashes.sha256 = Some(sha256);
    hashes.sha512 = Some(sha512);
    let file = TargetFile::new(line.source.length, hashes);
    Some(((line.source, line.confidential), file))
}
