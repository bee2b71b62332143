//! The files of one release, and the order in which they become visible.
//!
//! What a client can ask for by a new name goes out first: images, then (in a consistent
//! repository) Targets roles and Snapshot under their versions. Then the release is decided by
//! one rename in `state/`; then `timestamp.json` flips in the public tree. A new Root goes out
//! after the Timestamp that both its keys and the old ones signed; or before it, where no such
//! Timestamp exists. `rotation.rs` says which keys sign from then on.
//!
//! Without consistent snapshots, files are replaced under the names that clients are asking for,
//! so clients that ask in between are refused and have to try again. That window is inherent in
//! such a repository (TUF 6.2 is about avoiding it).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;

use countersign_metadata::Role;
use countersign_verifier::RemoteName;

use crate::batch::Batch;
use crate::crash;
use crate::error::RepoError;
use crate::files;
use crate::published::Published;
use crate::repository::Repository;

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    At(PathBuf),
    Bytes(Vec<u8>),
}

impl Content {
    pub(crate) fn read(&self) -> Result<Vec<u8>, RepoError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::At(path) => files::read(path)?
                .ok_or_else(|| RepoError::io("find", path, std::io::ErrorKind::NotFound.into())),
        }
    }
}

/// One metadata file to publish, under its versioned name.
#[derive(Debug, Clone)]
pub(crate) struct NewFile {
    pub(crate) name: RemoteName,
    pub(crate) content: Content,
}

impl NewFile {
    /// The role and its version, as reports show them.
    pub(crate) fn role(&self) -> Cow<'_, str> {
        match &self.name {
            RemoteName::Root(_) => "root".into(),
            RemoteName::Timestamp => "timestamp".into(),
            RemoteName::Snapshot(_) => "snapshot".into(),
            RemoteName::Targets(role, _) => role.into(),
        }
    }

    /// The name in the public tree.
    pub(crate) fn public_name(&self, consistent: bool) -> RemoteName {
        match (&self.name, consistent) {
            (RemoteName::Snapshot(_), false) => RemoteName::Snapshot(None),
            (RemoteName::Targets(role, _), false) => RemoteName::Targets(role.clone(), None),
            (name, _) => name.clone(),
        }
    }
}

/// Where the Root stands in the order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum RootOrder {
    /// After the Timestamp, which its keys accept as well as the old ones.
    #[default]
    Last,
    /// Before the Timestamp, which the old keys do not accept.
    First,
}

/// An image and all the places it goes to.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    pub(crate) from: PathBuf,
    pub(crate) to: Vec<PathBuf>,
}

/// Everything that one release publishes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Release {
    pub(crate) consistent: bool,
    pub(crate) order: RootOrder,
    pub(crate) images: Vec<Placement>,
    /// Targets roles, delegated ones first, then Snapshot, Timestamp and Root as far as new.
    pub(crate) files: Vec<NewFile>,
}

impl Release {
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub(crate) fn files_in_order(&self) -> impl Iterator<Item = &NewFile> {
        self.files.iter()
    }

    pub(crate) fn root(&self) -> Option<&NewFile> {
        self.files
            .iter()
            .find(|file| matches!(file.name, RemoteName::Root(_)))
    }

    fn timestamp(&self) -> Option<&NewFile> {
        self.files
            .iter()
            .find(|file| matches!(file.name, RemoteName::Timestamp))
    }

    /// Targets roles and Snapshot.
    fn versioned(&self) -> impl Iterator<Item = &NewFile> {
        self.files
            .iter()
            .filter(|file| matches!(file.name, RemoteName::Targets(..) | RemoteName::Snapshot(_)))
    }
}

impl Repository {
    /// Publishes a release that clients would accept.
    pub(crate) fn execute(&mut self, release: &Release) -> Result<(), RepoError> {
        let mut folders = BTreeSet::new();
        for image in &release.images {
            // The further names are links to the first, which is on the same file system.
            let mut from = &image.from;
            for to in &image.to {
                files::link(&self.home.unfinished_public(), from, to)?;
                folders.extend(to.parent());
                from = to;
            }
        }
        for folder in folders {
            files::sync_folder(folder)?;
        }
        // Nobody asks for these names before the release is decided, so their order is free.
        let mut public = Batch::new(self.home.unfinished_public());
        let mut kept = Batch::new(self.home.unfinished());
        for file in release.versioned() {
            let bytes = file.content.read()?;
            if release.consistent {
                let folder = self.home.public_metadata();
                public.write(&folder.join(file.name.file_name()), &bytes)?;
            }
            self.home
                .write_to(&mut kept, &self.published.path(&file.name), &bytes)?;
        }
        public.finish()?;
        kept.finish()?;
        for file in release.versioned() {
            if let Content::At(draft) = &file.content {
                let path = self.published.path(&file.name);
                self.home.shelf().copied(draft, &path);
            }
        }
        if release.order == RootOrder::First {
            self.release_root(release)?;
        }
        let decision = self.published.path(&RemoteName::Timestamp);
        let point =
            |name| crash::point(name).map_err(|error| RepoError::io("write", &decision, error));
        let replaced = self.replaced_by(release);
        if let Some(timestamp) = release.timestamp() {
            let bytes = timestamp.content.read()?;
            point("release: before it is decided")?;
            self.home
                .write(&self.published.path(&RemoteName::Timestamp), &bytes)?;
            point("release: decided")?;
            if !release.consistent {
                for file in release.versioned() {
                    let bytes = file.content.read()?;
                    self.write_public(&file.public_name(false), &bytes)?;
                }
            }
            self.write_public(&RemoteName::Timestamp, &bytes)?;
            point("release: visible")?;
        }
        if release.order == RootOrder::Last {
            self.release_root(release)?;
        }
        self.published = Published::load(&self.home)?;
        self.drop_published_drafts()?;
        for path in replaced {
            self.home.remove(&path)?;
        }
        Ok(())
    }

    fn release_root(&self, release: &Release) -> Result<(), RepoError> {
        let Some(root) = release.root() else {
            return Ok(());
        };
        let bytes = root.content.read()?;
        let RemoteName::Root(version) = root.name else {
            return Ok(());
        };
        self.home
            .write(&self.published.root_path(version), &bytes)?;
        self.write_public_root(&root.name, &bytes)?;
        self.note_public(version)
    }

    /// Under its version for clients (TUF 5.3.3), and as `root.json` for people who set one up.
    fn write_public_root(&self, name: &RemoteName, bytes: &[u8]) -> Result<(), RepoError> {
        self.write_public(name, bytes)?;
        let newest = self.home.public_metadata().join("root.json");
        self.home.write_public(&newest, bytes)
    }

    fn write_public(&self, name: &RemoteName, bytes: &[u8]) -> Result<(), RepoError> {
        let path = self.home.public_metadata().join(name.file_name());
        self.home.write_public(&path, bytes)
    }

    /// The state's copies of the files that a release makes old.
    fn replaced_by(&self, release: &Release) -> Vec<PathBuf> {
        let mut old = Vec::new();
        for file in release.versioned() {
            let version = match &file.name {
                RemoteName::Targets(role, _) => Some(self.published.version_of(role)),
                _ => self.published.snapshot.as_ref().map(|file| file.version()),
            };
            let Some(version) = version.filter(|version| *version > 0) else {
                continue;
            };
            let name = match &file.name {
                RemoteName::Targets(role, _) => RemoteName::Targets(role.clone(), Some(version)),
                _ => RemoteName::Snapshot(Some(version)),
            };
            if name != file.name {
                old.push(self.published.path(&name));
            }
        }
        old
    }

    /// What of the decided release the public tree lacks, one line for each file.
    pub(crate) fn lacking(&self) -> Result<Vec<String>, RepoError> {
        let mut expected = Vec::new();
        if let Some(root) = &self.published.root {
            let version = self
                .published
                .root_content()?
                .map_or(0, |root| root.version());
            let name = RemoteName::Root(version).file_name();
            expected.extend([
                (name, root.received()),
                ("root.json".into(), root.received()),
            ]);
        }
        if let Some(timestamp) = &self.published.timestamp {
            let name = RemoteName::Timestamp.file_name();
            expected.push((name, timestamp.received()));
        }
        let mut lines = Vec::new();
        for (name, content) in expected {
            let path = self.home.public_metadata().join(name);
            match files::read(&path)? {
                Some(bytes) if bytes == content => {}
                Some(_) => lines.push(format!(
                    "{} is not the one that was published last",
                    path.display()
                )),
                None => lines.push(format!("{} is missing", path.display())),
            }
        }
        Ok(lines)
    }

    /// Brings the public tree in line with what was decided before a run was killed, or before
    /// the destination was emptied or changed. Images are not kept elsewhere and cannot be
    /// brought back. Whether there was anything to do.
    pub(crate) fn finish_interrupted(&self) -> Result<bool, RepoError> {
        let (root, timestamp) = (self.root_is_public()?, self.timestamp_is_public()?);
        if !root {
            for version in self.published.root_versions()? {
                let name = RemoteName::Root(version);
                if let Some(bytes) = files::read(&self.published.root_path(version))? {
                    self.write_public_root(&name, &bytes)?;
                }
            }
        }
        if !root || !self.root_is_noted()? {
            self.note_root_is_public()?;
        }
        if !timestamp {
            self.rewrite_metadata()?;
        }
        Ok(!root || !timestamp)
    }

    fn root_is_public(&self) -> Result<bool, RepoError> {
        let Some(root) = self.published.root_content()? else {
            return Ok(true);
        };
        let expected = files::read(&self.published.root_path(root.version()))?;
        let name = RemoteName::Root(root.version()).file_name();
        let folder = self.home.public_metadata();
        Ok(files::read(&folder.join(name))? == expected
            && files::read(&folder.join("root.json"))? == expected)
    }

    fn timestamp_is_public(&self) -> Result<bool, RepoError> {
        let Some(timestamp) = &self.published.timestamp else {
            return Ok(true);
        };
        let name = RemoteName::Timestamp.file_name();
        let public = files::read(&self.home.public_metadata().join(name))?;
        Ok(public.as_deref() == Some(timestamp.received()))
    }

    fn rewrite_metadata(&self) -> Result<(), RepoError> {
        let consistent = self.policy.consistent_snapshot;
        let Some(snapshot) = &self.published.snapshot else {
            return Ok(());
        };
        let mut names = Vec::new();
        for (file, meta) in snapshot.meta.iter() {
            if let Some(role) = file.strip_suffix(".json") {
                names.push(RemoteName::Targets(role.into(), Some(meta.version)));
            }
        }
        // Delegated roles before the role that leads to them.
        names.sort_by_key(|name| matches!(name, RemoteName::Targets(role, _) if role == "targets"));
        names.push(RemoteName::Snapshot(Some(snapshot.version())));
        names.push(RemoteName::Timestamp);
        for name in names {
            let Some(bytes) = files::read(&self.published.path(&name))? else {
                continue;
            };
            let file = NewFile {
                name,
                content: Content::Bytes(Vec::new()),
            };
            let public = file.public_name(consistent);
            let path = self.home.public_metadata().join(public.file_name());
            if files::read(&path)?.as_deref() != Some(&bytes[..]) {
                self.write_public(&public, &bytes)?;
            }
        }
        Ok(())
    }
}
