//! Updates that are carried to a vehicle (PURE-2).

use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

use countersign_client::fetch::{HttpFetcher, Patience, UrlFetcher};
use countersign_client::uptane::bundle::{
    self, BundleWriter, Collector, content_name, image_member,
};
use countersign_director_domain::DirectorError;
use countersign_director_domain::carrier::{Carried, Carrier};
use countersign_director_domain::desk::{Content, later};
use countersign_director_domain::keys::OfflineKeys;
use countersign_metadata::uptane::{DirectorCustom, OfflineName, Vin};
use countersign_metadata::{Hashes, Signed, Snapshot, TargetFile, UtcTime};
use futures_util::TryStreamExt as _;
use tempfile::{NamedTempFile, TempDir};
use tokio::io::AsyncWriteExt as _;

use super::images::spool_fails;
use super::known::Known;
use super::reports::unknown;
use super::{Actor, Inner, Service, record};
use crate::blobs::BlobName;
use crate::problem::{Kind, Problem};

/// The row of the Offline Snapshot.
const SNAPSHOT: &str = "snapshot";

impl Service {
    /// Makes a bundle with what is ordered of a vehicle, as the Offline Targets file `name`. The file is
    /// gone when what is returned goes.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn bundle(
        &self,
        vin: &Vin,
        name: &OfflineName,
        actor: &Actor,
    ) -> Result<NamedTempFile, Problem> {
        let database = &self.0.database;
        let stored = database.vehicle(vin).await?;
        let content = Known::of(vin, stored.ok_or_else(|| unknown(vin))?)?.content()?;
        let folder = TempDir::new_in(&self.0.spool).map_err(spool_fails)?;
        // Those that are stored here need not be fetched from the Image repository.
        let mut stored = Vec::new();
        for entry in content.values() {
            let travels = travels_as(entry)?;
            stored.push(match travels.sha256 {
                Some(digest) => self.bring(&hex::encode(digest), &folder).await?,
                None => None,
            });
        }
        let roots = database.roots().await?;
        let (carried, now) = self.issue(vin, name, &content, actor).await?;
        let mut members: Vec<(String, Vec<u8>)> = (1..)
            .zip(roots)
            .map(|(version, root)| (format!("{}{version}.root.json", bundle::DIRECTOR), root))
            .collect();
        let offline = |name: &str| format!("{}{name}.json", bundle::OFFLINE);
        members.push((offline(SNAPSHOT), carried.snapshot));
        members.push((offline(name.as_str()), carried.targets));
        self.work(move |inner| inner.bundle(members, &content, &stored, (&folder, now)))
            .await
    }

    /// Signs, and keeps what was signed before anybody sees it.
    async fn issue(
        &self,
        vin: &Vin,
        name: &OfflineName,
        content: &Content,
        actor: &Actor,
    ) -> Result<(Carried, UtcTime), Problem> {
        let database = &self.0.database;
        let reign = self.newest_reign().await?;
        let keys = self.0.keyring.offline(&reign.root);
        let keys: OfflineKeys = keys.map_err(|error| Problem::signing(error.to_string()))?;
        let last = database.offline_file(SNAPSHOT).await?;
        let last = last.map(|bytes| Signed::<Snapshot>::parse(bytes)?.decode_unverified());
        let skip = database.setting("offline-skip", "0").await?;
        let mut carrier = Carrier {
            snapshot: last.transpose()?,
            skip: skip.parse().unwrap_or_default(),
        };
        let now = self.now()?;
        let expires = later(now, self.0.rules.lifetimes.targets)?;
        let (of, orders, named) = (vin.clone(), content.clone(), name.clone());
        let carried = self
            .work(move |_| Ok(carrier.issue(&named, (&of, orders), expires, &keys)?))
            .await?;
        let (snapshot, targets) = carried.versions;
        let detail = [("name", name.as_str().into()), ("version", targets.into())];
        let record = record(now, actor, "bundle.signed", Some(vin), detail);
        let row = format!("targets/{name}");
        let files: [(&str, u64, &[u8]); 2] = [
            (SNAPSHOT, snapshot, &carried.snapshot),
            (&row, targets, &carried.targets),
        ];
        database.add_offline_files(&files, &[record]).await?;
        Ok((carried, now))
    }

    /// Copies an image out of the store, if it is there.
    async fn bring(&self, name: &str, folder: &TempDir) -> Result<Option<PathBuf>, Problem> {
        let name = BlobName::new(name)?;
        if !self.0.blobs.exists(&name).await? {
            return Ok(None);
        }
        let path = folder.path().join(name.as_str());
        let length = self.0.blobs.length(&name).await?;
        let mut bytes = self.0.blobs.get_range(&name, 0..length).await?;
        let mut file = tokio::fs::File::create(&path).await.map_err(spool_fails)?;
        while let Some(part) = bytes.try_next().await? {
            file.write_all(&part).await.map_err(spool_fails)?;
        }
        file.flush().await.map_err(spool_fails)?;
        Ok(Some(path))
    }
}

impl Inner {
    fn bundle(
        &self,
        members: Vec<(String, Vec<u8>)>,
        content: &Content,
        stored: &[Option<PathBuf>],
        (folder, now): (&TempDir, UtcTime),
    ) -> Result<NamedTempFile, Problem> {
        let away = |error: &dyn std::fmt::Display| {
            let message =
                format!("the Image repository does not give its part of the bundle: {error}");
            Problem::new(Kind::Unavailable, "image-repository", message)
        };
        let http = HttpFetcher::new(Patience::default(), self.images.authorities.clone());
        let repository = (&*self.images.url, &*self.images.root);
        let source = Collector::new(UrlFetcher::new(http), repository, folder.path(), now);
        let mut source = source.map_err(|error| away(&error))?;
        let mut images = Vec::new();
        for ((path, entry), stored) in content.iter().zip(stored) {
            let listed = source.find(path.as_str()).map_err(|error| away(&error))?;
            if !listed.file().hashes.agree(&entry.hashes) {
                return Err(DirectorError::Superseded(path.clone()).into());
            }
            let file = match stored {
                Some(file) => file.clone(),
                None => source.download(&listed).map_err(|error| away(&error))?,
            };
            images.push((file, travels_as(entry)?));
        }
        let metadata = source.metadata()?;
        let out = NamedTempFile::new_in(&self.spool).map_err(spool_fails)?;
        let mut tar = BundleWriter::new(BufWriter::new(out));
        let mut write = || -> io::Result<()> {
            for (name, bytes) in members.iter().chain(&metadata) {
                tar.add(name, bytes.len() as u64, &bytes[..])?;
            }
            for (file, hashes) in &images {
                let image = std::fs::File::open(file)?;
                let length = image.metadata()?.len();
                tar.add(&image_member(&content_name(hashes)), length, image)?;
            }
            Ok(())
        };
        write().map_err(spool_fails)?;
        let mut out = tar.finish().map_err(spool_fails)?;
        out.flush().map_err(spool_fails)?;
        out.into_inner()
            .map_err(|error| spool_fails(error.into_error()))
    }
}

/// The hashes of what travels: the ciphertext, if there is one.
fn travels_as(entry: &TargetFile) -> Result<Hashes, Problem> {
    Ok(match DirectorCustom::of(entry)?.encrypted {
        Some(encrypted) => encrypted.hashes,
        None => entry.hashes.clone(),
    })
}
