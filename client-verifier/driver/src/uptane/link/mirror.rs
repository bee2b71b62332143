//! What a Primary serves to its Secondaries: the metadata it has verified, and image files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use countersign_metadata::RoleType;
use countersign_metadata::uptane::OfflineName;
use countersign_verifier::{RemoteName, StoreName};
use serde::Deserialize;

use super::{Fetch, LinkError, MAX_BODY, Part, Repository, Source, Wanted};
use crate::durable;
use crate::store::{Store, StoreError};

/// The Primary's verified metadata under the names of the repositories, and images that it was
/// told of. A version that it does not hold is absent.
pub struct Mirror<'a> {
    director: &'a mut dyn Store,
    image: &'a mut dyn Store,
    /// The Offline Targets file that is served in the place of the Director's Targets.
    offline: Option<OfflineName>,
    images: BTreeMap<String, PathBuf>,
    /// In the place of any other image.
    any_image: Option<PathBuf>,
    /// The metadata file of the last fetch: it comes in parts.
    last: Option<(Wanted, Vec<u8>)>,
}

impl<'a> Mirror<'a> {
    /// A mirror of the two repositories, as these stores hold them.
    pub fn new(director: &'a mut dyn Store, image: &'a mut dyn Store) -> Self {
        Self {
            director,
            image,
            offline: None,
            images: BTreeMap::new(),
            any_image: None,
            last: None,
        }
    }

    /// Serves what came out of an offline bundle (PURE-2): of the Director, the Offline Snapshot and
    /// the Offline Targets file of this name.
    pub fn set_offline(&mut self, name: Option<OfflineName>) {
        self.offline = name;
    }

    /// Serves the file at `file` as the image of this name. Nothing else on the disk can be had.
    pub fn add_image(&mut self, name: &str, file: PathBuf) {
        self.images.insert(name.into(), file);
    }

    /// Serves the file at `file` as any image that is not there under its own name, so that what is wrong
    /// with it is found by whoever asks.
    pub fn set_any_image(&mut self, file: PathBuf) {
        self.any_image = Some(file);
    }

    fn metadata(&mut self, wanted: &Wanted) -> Result<Option<Vec<u8>>, StoreError> {
        let (Wanted::Metadata { repository, .. }, Some(name)) = (wanted, wanted.remote_name())
        else {
            return Ok(None);
        };
        let store = match repository {
            Repository::Director => &mut self.director,
            Repository::Image => &mut self.image,
        };
        let carried = self.offline.as_ref().map(OfflineName::as_str);
        let carried = carried.filter(|_| *repository == Repository::Director);
        let (stored_as, version) = match name {
            RemoteName::Snapshot(None) if carried.is_some() => (StoreName::OfflineSnapshot, None),
            RemoteName::Targets(name, None) if carried == Some(name.as_str()) => {
                (StoreName::OfflineTargets(name), None)
            }
            RemoteName::Root(version) => (StoreName::RootHistory(version), Some(version)),
            RemoteName::Timestamp => (StoreName::Timestamp, None),
            RemoteName::Snapshot(version) => (StoreName::Snapshot, version),
            RemoteName::Targets(role, version) if role == RoleType::Targets.name() => {
                (StoreName::Targets, version)
            }
            RemoteName::Targets(role, version) => (StoreName::Delegated(role), version),
        };
        let stored = store.load(&stored_as)?.map(|stored| stored.bytes);
        Ok(stored.filter(|bytes| version.is_none() || version == version_of(bytes)))
    }
}

impl Source for Mirror<'_> {
    fn part(&mut self, fetch: &Fetch) -> Result<Option<Part>, LinkError> {
        if let Wanted::Image { name } = &fetch.file {
            return match self.images.get(name).or(self.any_image.as_ref()) {
                Some(file) => part_of_file(file, fetch),
                None => Ok(None),
            };
        }
        if self
            .last
            .as_ref()
            .is_none_or(|(file, _)| *file != fetch.file)
        {
            self.last = match self.metadata(&fetch.file)? {
                Some(bytes) => Some((fetch.file.clone(), bytes)),
                None => return Ok(None),
            };
        }
        Ok(self.last.as_ref().map(|(_, bytes)| Part {
            total: bytes.len() as u64,
            bytes: slice(bytes, fetch).to_vec(),
        }))
    }
}

fn slice<'b>(bytes: &'b [u8], fetch: &Fetch) -> &'b [u8] {
    let from = usize::try_from(fetch.from).unwrap_or(usize::MAX);
    let rest = bytes.get(from..).unwrap_or_default();
    &rest[..rest.len().min(fetch.max_len as usize)]
}

fn part_of_file(path: &Path, fetch: &Fetch) -> Result<Option<Part>, LinkError> {
    let read = |(mut file, total): (File, u64)| {
        let most = MAX_BODY.min(fetch.max_len as usize) as u64;
        let length = most.min(total.saturating_sub(fetch.from));
        // With room for all of it: one read, and nothing is copied by growing.
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.seek(SeekFrom::Start(fetch.from))?;
        file.take(length).read_to_end(&mut bytes)?;
        Ok(Part { total, bytes })
    };
    let part = durable::open_regular(path).and_then(|opened| opened.map(read).transpose());
    Ok(part.map_err(StoreError::io("read", path))?)
}

/// The version that a metadata file states. It was verified when it was stored.
fn version_of(bytes: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct File {
        signed: Signed,
    }
    #[derive(Deserialize)]
    struct Signed {
        version: u64,
    }
    let file: File = serde_json::from_slice(bytes).ok()?;
    Some(file.signed.version)
}
