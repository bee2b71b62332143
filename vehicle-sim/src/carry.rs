//! Making an offline bundle (PURE-2): what a director assigns, and what the Image repository says
//! of it, in one file on a stick.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use countersign_client::client::{Client, ClientError};
use countersign_client::fetch::UrlFetcher;
use countersign_client::files::TargetDir;
use countersign_client::store::{MemoryStore, Store as _};
use countersign_client::uptane::bundle::{self, BundleWriter, image_member};
use countersign_metadata::uptane::{DirectorCustom, EncryptedTarget, OfflineName, Vin};
use countersign_metadata::{
    Hashes, MetadataError, Role, Root, Signed, TargetFile, TargetPath, Targets, UtcTime,
};
use countersign_verifier::{Context, ListedTarget, Profile, RemoteName, StoreName, Trusted};

use crate::director::DirectorError;
use crate::error::SimError;
use crate::provision::make_folder;
use crate::service::Shared;

/// The Image repository, as a client finds it.
pub struct ImageRepository {
    /// Its base URL, which has `metadata/` and `targets/`.
    pub url: String,
    /// Its first Root.
    pub root: Vec<u8>,
    /// What fetches from it.
    pub fetcher: UrlFetcher,
}

/// Writes what is assigned in a vehicle into the bundle at `path`, with the Offline Targets file
/// `name`. `keep` makes the Offline Snapshot durable as soon as it is signed, so that no version is
/// signed twice.
///
/// # Errors
/// [`SimError`]; then there is no new bundle.
pub fn carry(
    service: &Shared,
    vin: &Vin,
    name: &OfflineName,
    from: ImageRepository,
    path: &Path,
    keep: impl FnOnce(&[u8]) -> Result<(), SimError>,
) -> Result<(), SimError> {
    let mut service = service.lock();
    let now = service.clock().now()?;
    let orders = service.director().orders(vin);
    let cargo = Cargo::gather(&orders, from, now, |target| service.blob(target))?;
    let members = service.director().carry(vin, name, now)?;
    let snapshot = members.get(&format!("{}snapshot.json", bundle::OFFLINE));
    snapshot.map_or(Ok(()), |snapshot| keep(snapshot))?;
    cargo.write(members, path)
}

/// Everything in a bundle that is not the director's word.
pub struct Cargo {
    source: Source,
    images: Vec<(PathBuf, Hashes)>,
}

impl Cargo {
    /// Fetches what is ordered, and what the Image repository says of it. `blob` says where the
    /// ciphertext of an encrypted image is.
    ///
    /// # Errors
    /// [`SimError`]
    pub fn gather(
        orders: &BTreeMap<TargetPath, TargetFile>,
        from: ImageRepository,
        now: UtcTime,
        blob: impl Fn(&EncryptedTarget) -> PathBuf,
    ) -> Result<Self, SimError> {
        let mut source = Source::new(from, now)?;
        let mut images = Vec::new();
        for (image, order) in orders {
            let listed = source.client.find(&mut source.trusted, image.as_str())?;
            if !listed.file().hashes.agree(&order.hashes) {
                return Err(DirectorError::Superseded(image.clone()).into());
            }
            images.push(match encrypted(order) {
                Some(target) => (blob(&target), target.hashes),
                None => (source.download(&listed)?, order.hashes.clone()),
            });
        }
        Ok(Self { source, images })
    }

    /// Writes the bundle at `path`, with what the director says in it: `members`, by the names that
    /// files have in a bundle.
    ///
    /// # Errors
    /// [`SimError`]; then there is no new bundle.
    pub fn write(
        mut self,
        members: BTreeMap<String, Vec<u8>>,
        path: &Path,
    ) -> Result<(), SimError> {
        let unfinished = path.with_extension("unfinished");
        let metadata = members.into_iter().chain(self.source.metadata()?);
        let written = write(&unfinished, metadata, &self.images);
        match written.map_err(SimError::io("write", &unfinished)) {
            Ok(()) => fs::rename(&unfinished, path).map_err(SimError::io("name", path)),
            Err(error) => {
                let _ = fs::remove_file(&unfinished);
                Err(error)
            }
        }
    }
}

fn write(
    path: &Path,
    metadata: impl IntoIterator<Item = (String, Vec<u8>)>,
    images: &[(PathBuf, Hashes)],
) -> io::Result<()> {
    let mut tar = BundleWriter::new(BufWriter::new(File::create(path)?));
    for (name, bytes) in metadata {
        tar.add(&name, bytes.len() as u64, &bytes[..])?;
    }
    for (file, hashes) in images {
        let image = File::open(file)?;
        let length = image.metadata()?.len();
        tar.add(&image_member(&content_name(hashes)), length, image)?;
    }
    let mut file = tar.finish()?;
    file.flush()?;
    file.get_ref().sync_all()
}

/// A client of the Image repository, which has in its store what a vehicle will need.
struct Source {
    client: Client<UrlFetcher, MemoryStore>,
    trusted: Trusted,
    url: String,
    folder: tempfile::TempDir,
}

impl Source {
    fn new(from: ImageRepository, now: UtcTime) -> Result<Self, SimError> {
        let url = format!("{}/", from.url.trim_end_matches('/'));
        let mut store = MemoryStore::new();
        store.save(&StoreName::Root, &from.root, 1)?;
        let mut client = Client::new(from.fetcher, store, &format!("{url}metadata/"));
        let trusted = client.refresh(Context {
            profile: Profile::Image,
            ..Context::new(now)
        })?;
        let folder = tempfile::tempdir().map_err(SimError::io("make", Path::new("")))?;
        Ok(Self {
            client,
            trusted,
            url,
            folder,
        })
    }

    fn download(&mut self, listed: &ListedTarget) -> Result<PathBuf, SimError> {
        let partial = self.folder.path().join("partial");
        make_folder(&partial)?;
        let images =
            TargetDir::open(&self.folder.path().join("images")).map_err(ClientError::from)?;
        let url = format!("{}targets/", self.url);
        let quietly = |_| ();
        let image =
            self.client
                .download(&self.trusted, listed, &url, &images, &partial, &quietly)?;
        Ok(image.path)
    }

    /// What it has verified, by the names that files have in a bundle.
    fn metadata(&mut self) -> Result<Vec<(String, Vec<u8>)>, SimError> {
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
            Some(name.map(|name| (name, bytes.clone())))
        });
        named
            .map(|file| {
                let (name, bytes) = file.map_err(DirectorError::from)?;
                Ok((format!("{}{}", bundle::IMAGE, name.file_name()), bytes))
            })
            .collect()
    }
}

fn version_of<T: Role>(bytes: &[u8]) -> Result<u64, MetadataError> {
    Ok(Signed::<T>::parse(bytes.to_vec())?
        .decode_unverified()?
        .version())
}

fn encrypted(order: &TargetFile) -> Option<EncryptedTarget> {
    DirectorCustom::of(order).ok()?.encrypted
}

fn content_name(hashes: &Hashes) -> String {
    match (&hashes.sha256, &hashes.sha512) {
        (Some(digest), _) => format!("sha256-{}", hex::encode(digest)),
        (None, digest) => format!("sha512-{}", hex::encode(digest.unwrap_or([0; 64]))),
    }
}
