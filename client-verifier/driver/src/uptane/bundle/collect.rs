//! The Image repository's part of a bundle: what a vehicle will need to verify its images, and the images.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_metadata::{MetadataError, Role, Root, Signed, Targets, UtcTime};
use countersign_verifier::{Context, ListedTarget, Profile, RemoteName, StoreName, Trusted};

use super::IMAGE;
use crate::client::{Client, ClientError};
use crate::fetch::Fetcher;
use crate::files::{FilesError, TargetDir};
use crate::store::{MemoryStore, Store as _};

/// A client of the Image repository that begins with its first Root, as a vehicle does, and so has in its
/// store what a vehicle will need.
pub struct Collector<F> {
    client: Client<F, MemoryStore>,
    trusted: Trusted,
    url: String,
    folder: PathBuf,
}

impl<F: Fetcher> Collector<F> {
    /// A client of the repository at `url`, which has `metadata/` and `targets/`. Downloads go to
    /// `folder`.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn new(
        fetcher: F,
        (url, root): (&str, &[u8]),
        folder: &Path,
        now: UtcTime,
    ) -> Result<Self, ClientError> {
        let url = format!("{}/", url.trim_end_matches('/'));
        let mut store = MemoryStore::new();
        store.save(&StoreName::Root, root, 1)?;
        let mut client = Client::new(fetcher, store, &format!("{url}metadata/"));
        let trusted = client.refresh(Context {
            profile: Profile::Image,
            ..Context::new(now)
        })?;
        Ok(Self {
            client,
            trusted,
            url,
            folder: folder.into(),
        })
    }

    /// What the repository says of an image. All that leads there will be in the bundle.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn find(&mut self, path: &str) -> Result<ListedTarget, ClientError> {
        self.client.find(&mut self.trusted, path)
    }

    /// Downloads an image.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn download(&mut self, listed: &ListedTarget) -> Result<PathBuf, ClientError> {
        let partial = self.folder.join("partial");
        fs::create_dir_all(&partial).map_err(|source| FilesError::Io {
            action: "make",
            path: partial.clone(),
            source,
        })?;
        let images = TargetDir::open(&self.folder.join("images"))?;
        let url = format!("{}targets/", self.url);
        let quietly = |_| ();
        let image =
            self.client
                .download(&self.trusted, listed, &url, &images, &partial, &quietly)?;
        Ok(image.path)
    }

    /// What was verified on the way, by the names that files have in a bundle.
    ///
    /// # Errors
    /// [`MetadataError`] in no case where the store holds what was put into it.
    pub fn metadata(&mut self) -> Result<Vec<(String, Vec<u8>)>, MetadataError> {
        let consistent = self.trusted.root().content().consistent_snapshot;
        let files = self.client.store().files();
        let named = files.filter_map(|(name, stored)| {
            let bytes = &stored.bytes;
            let role = |name: &str| {
                let version = version_of::<Targets>(bytes)?;
                Ok(RemoteName::Targets(
                    name.into(),
                    consistent.then_some(version),
                ))
            };
            let name = match name {
                StoreName::Root => version_of::<Root>(bytes).map(RemoteName::Root),
                StoreName::RootHistory(version) => Ok(RemoteName::Root(*version)),
                StoreName::Snapshot => Ok(RemoteName::Snapshot(None)),
                StoreName::Targets => role("targets"),
                StoreName::Delegated(name) => role(name),
                _ => return None,
            };
            Some(name.map(|name| (format!("{IMAGE}{}", name.file_name()), bytes.clone())))
        });
        named.collect()
    }
}

fn version_of<T: Role>(bytes: &[u8]) -> Result<u64, MetadataError> {
    Ok(Signed::<T>::parse(bytes.to_vec())?
        .decode_unverified()?
        .version())
}
