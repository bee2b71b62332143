//! Making an offline bundle (PURE-2): what a director assigns, and what the Image repository says
//! of it, in one file on a stick.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use countersign_client::fetch::UrlFetcher;
use countersign_client::uptane::bundle::{
    self, BundleWriter, Collector, content_name, image_member,
};
use countersign_metadata::uptane::{DirectorCustom, EncryptedTarget, OfflineName, Vin};
use countersign_metadata::{Hashes, TargetFile};

use crate::director::DirectorError;
use crate::error::SimError;
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
    let folder = tempfile::tempdir().map_err(SimError::io("make", Path::new("")))?;
    let repository = (&*from.url, &*from.root);
    let mut source = Collector::new(from.fetcher, repository, folder.path(), now)?;
    let mut images = Vec::new();
    for (image, order) in &orders {
        let listed = source.find(image.as_str())?;
        if !listed.file().hashes.agree(&order.hashes) {
            return Err(DirectorError::Superseded(image.clone()).into());
        }
        images.push(match encrypted(order) {
            Some(target) => (service.blob(&target), target.hashes),
            None => (source.download(&listed)?, order.hashes.clone()),
        });
    }
    let members = service.director().carry(vin, name, now)?;
    let snapshot = members.get(&format!("{}snapshot.json", bundle::OFFLINE));
    snapshot.map_or(Ok(()), |snapshot| keep(snapshot))?;

    let unfinished = path.with_extension("unfinished");
    let metadata = members
        .into_iter()
        .chain(source.metadata().map_err(DirectorError::from)?);
    let written = write(&unfinished, metadata, &images).map_err(SimError::io("write", &unfinished));
    match written {
        Ok(()) => fs::rename(&unfinished, path).map_err(SimError::io("name", path)),
        Err(error) => {
            let _ = fs::remove_file(&unfinished);
            Err(error)
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

fn encrypted(order: &TargetFile) -> Option<EncryptedTarget> {
    DirectorCustom::of(order).ok()?.encrypted
}
