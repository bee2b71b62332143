//! What is published, as this repository remembers it.
//!
//! `state/` holds every published file under its version, and `timestamp.json`, whose rename is
//! the moment a publish is decided. The public tree is brought in line after that, so a run that
//! is killed between the two is finished by the next one, and the same version is never published
//! with two contents.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_metadata::{Role, Root, Signed, Snapshot, Targets, Timestamp, UtcTime};
use countersign_verifier::RemoteName;

use crate::error::RepoError;
use crate::files;
use crate::home::Home;

/// The published state. Its files are this repository's own and were verified before they came
/// here; delegated roles are read when they are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    home: Home,
    pub(crate) root: Option<Signed<Root>>,
    pub(crate) timestamp: Option<Signed<Timestamp>>,
    pub(crate) snapshot: Option<Arc<Snapshot>>,
}

impl Published {
    pub(crate) fn load(home: &Home) -> Result<Self, RepoError> {
        let mut published = Self {
            home: home.clone(),
            root: None,
            timestamp: None,
            snapshot: None,
        };
        if let Some(newest) = published.root_versions()?.last() {
            published.root = published.read(&published.root_path(*newest))?;
        }
        published.timestamp = published.read(&published.path(&RemoteName::Timestamp))?;
        if let Some(timestamp) = published.timestamp_content()? {
            let name = RemoteName::Snapshot(Some(timestamp.snapshot.version));
            published.snapshot = published.need_content(&name)?;
        }
        Ok(published)
    }

    /// The file under which the state keeps a metadata file other than a Root.
    pub(crate) fn path(&self, name: &RemoteName) -> PathBuf {
        self.home.state().join("metadata").join(name.file_name())
    }

    pub(crate) fn root_path(&self, version: u64) -> PathBuf {
        let name = RemoteName::Root(version).file_name();
        self.home.state().join("roots").join(name)
    }

    /// The file that says since when a Root is public.
    pub(crate) fn public_since_path(&self, version: u64) -> PathBuf {
        let name = format!("{version}.public-since");
        self.home.state().join("roots").join(name)
    }

    /// A time at which a Root was public for sure; `None` if it is not known, or not readable.
    pub(crate) fn public_since(&self, version: u64) -> Result<Option<UtcTime>, RepoError> {
        let text = files::read(&self.public_since_path(version))?;
        Ok(text.and_then(|text| std::str::from_utf8(&text).ok()?.trim_end().parse().ok()))
    }

    /// What a Root so far says.
    pub(crate) fn root_at(&self, version: u64) -> Result<Option<Root>, RepoError> {
        let file = self.read(&self.root_path(version))?;
        file.as_ref().map(decode).transpose()
    }

    /// The versions of all Roots so far, ascending.
    pub(crate) fn root_versions(&self) -> Result<Vec<u64>, RepoError> {
        let names = files::list(&self.home.state().join("roots"))?;
        let version = |name: &String| name.strip_suffix(".root.json")?.parse().ok();
        let mut versions: Vec<u64> = names.iter().filter_map(version).collect();
        versions.sort_unstable();
        Ok(versions)
    }

    pub(crate) fn root_content(&self) -> Result<Option<Root>, RepoError> {
        self.root.as_ref().map(decode).transpose()
    }

    pub(crate) fn timestamp_content(&self) -> Result<Option<Timestamp>, RepoError> {
        self.timestamp.as_ref().map(decode).transpose()
    }

    /// The published version of a Targets role, 0 if it never was published. A role whose
    /// delegation was removed keeps its entry (TUF 5.5.5), and so its version.
    pub(crate) fn version_of(&self, role: &str) -> u64 {
        let entry = self.snapshot.as_ref().and_then(|file| file.role(role));
        entry.map_or(0, |meta| meta.version)
    }

    /// The published file of a Targets role.
    pub(crate) fn targets(&self, role: &str) -> Result<Option<Signed<Targets>>, RepoError> {
        match self.version_of(role) {
            0 => Ok(None),
            version => self.need(&RemoteName::Targets(role.into(), Some(version))),
        }
    }

    /// What the published file of a Targets role says.
    pub(crate) fn targets_content(&self, role: &str) -> Result<Option<Arc<Targets>>, RepoError> {
        match self.version_of(role) {
            0 => Ok(None),
            version => self.need_content(&RemoteName::Targets(role.into(), Some(version))),
        }
    }

    /// The published Snapshot as a file.
    pub(crate) fn snapshot_file(&self) -> Result<Option<Signed<Snapshot>>, RepoError> {
        match &self.snapshot {
            Some(snapshot) => self.need(&RemoteName::Snapshot(Some(snapshot.version()))),
            None => Ok(None),
        }
    }

    /// A file that another one names, so that its absence is an error.
    fn need<T: Role>(&self, name: &RemoteName) -> Result<Option<Signed<T>>, RepoError> {
        let path = self.path(name);
        match self.read(&path)? {
            Some(file) => Ok(Some(file)),
            None => Err(RepoError::io(
                "find",
                &path,
                std::io::ErrorKind::NotFound.into(),
            )),
        }
    }

    fn read<T: Role>(&self, path: &Path) -> Result<Option<Signed<T>>, RepoError> {
        self.home.shelf().signed(path)
    }

    fn need_content<T: Role + Send + Sync + 'static>(
        &self,
        name: &RemoteName,
    ) -> Result<Option<Arc<T>>, RepoError> {
        self.need::<T>(name)?;
        self.home.shelf().content(&self.path(name))
    }
}

pub(crate) fn decode<T: Role>(file: &Signed<T>) -> Result<T, RepoError> {
    file.decode_unverified()
        .map_err(|error| RepoError::metadata(format!("the {} file", T::TYPE), error))
}
