//! Images: looked up in the Image repository, uploaded, encrypted once, and given to the vehicles that are
//! to install them.

use std::io::{self, Read, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use countersign_client::client::{Client, initialise};
use countersign_client::fetch::{HttpFetcher, Patience, TlsRoots, UrlFetcher};
use countersign_client::store::DirStore;
use countersign_director_domain::catalogue::CatalogueImage;
use countersign_director_domain::vault::Vault;
use countersign_encryption::{ContentKey, FileInfo, METHOD, WrapContext, unwrap, wrap};
use countersign_metadata::uptane::{Confidentiality, DirectorCustom, EcuSerial, Vin};
use countersign_metadata::{Hashes, TargetPath, UtcTime};
use countersign_verifier::{Context, Profile};
use futures_util::Stream;
use ring::digest::{SHA256, SHA512};
use tempfile::NamedTempFile;
use tokio_util::io::{ReaderStream, StreamReader, SyncIoBridge};

use super::known::Known;
use super::reports::unknown;
use super::{Actor, Inner, Service, record};
use crate::blobs::{BlobName, BlobStream};
use crate::problem::{Kind, Problem};
use crate::storage::{StoredEncryption, StoredImage};

/// The Image repository, as a client sees it.
#[derive(Debug, Clone)]
pub struct ImageSource {
    /// Its base URL; it has `metadata/`.
    pub url: String,
    /// The Root that it is trusted by, obtained out of band.
    pub root: Vec<u8>,
    /// Where its metadata is kept, so that nobody can show an older one.
    pub folder: PathBuf,
    /// Who may vouch for it over https.
    pub authorities: TlsRoots,
}

/// Whether an image is encrypted when it is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encrypt {
    /// If the Image repository says that it is confidential.
    #[default]
    IfConfidential,
    /// In any case.
    Always,
}

/// An image as people see it.
pub type ImageView = StoredImage;

/// An image that a vehicle may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// What is stored.
    pub blob: BlobName,
    /// Its length in bytes.
    pub length: u64,
}

impl Service {
    /// Takes an image into the catalogue, as the Image repository lists it now. Its bytes stay there.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn list_image(&self, path: &TargetPath, actor: &Actor) -> Result<ImageView, Problem> {
        let (now, asked) = (self.now()?, path.clone());
        let image = self.work(move |inner| inner.look_up(&asked, now)).await?;
        let image = StoredImage {
            path: path.clone(),
            image,
            blob: None,
            encrypted: None,
        };
        self.enter(image, "image.listed", actor, now).await
    }

    /// Stores the bytes of an image, if they are those that the Image repository lists. A confidential one
    /// is encrypted on its way and is nowhere in plain.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn upload<S>(
        &self,
        path: &TargetPath,
        encrypt: Encrypt,
        bytes: S,
        actor: &Actor,
    ) -> Result<ImageView, Problem>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    {
        let (now, asked) = (self.now()?, path.clone());
        let image = self.work(move |inner| inner.look_up(&asked, now)).await?;
        let must = image.custom.confidentiality == Confidentiality::Required;
        let known = self.0.database.images_at([path]).await?;
        let known = known
            .into_iter()
            .find(|known| known.image.file == image.file);
        if let Some(known) = known.filter(|known| known.blob.is_some()) {
            // One ciphertext serves all vehicles, and one plaintext too.
            let serves = known.encrypted.is_some() || (!must && encrypt == Encrypt::IfConfidential);
            if serves {
                return Ok(known);
            }
        }
        let sealed = must || encrypt == Encrypt::Always;
        let (asked, listed) = (path.clone(), image.clone());
        let reader = SyncIoBridge::new(StreamReader::new(bytes));
        let (file, stored) = self
            .work(move |inner| inner.take_in(asked, listed, sealed, reader))
            .await?;
        let name = stored.blob.clone().unwrap_or_default();
        let bytes = tokio::fs::File::open(file.path()).await;
        let bytes = ReaderStream::with_capacity(bytes.map_err(spool_fails)?, 256 << 10);
        self.0.blobs.put(&BlobName::new(&name)?, bytes).await?;
        self.enter(stored, "image.uploaded", actor, now).await
    }

    async fn enter(
        &self,
        image: StoredImage,
        action: &str,
        actor: &Actor,
        now: UtcTime,
    ) -> Result<ImageView, Problem> {
        let detail = [
            ("image", image.path.as_str().into()),
            ("sha256", image.digest()?.into()),
            ("encrypted", image.encrypted.is_some().into()),
        ];
        let record = record(now, actor, action, None, detail);
        let database = &self.0.database;
        database.put_image(&image, &[record]).await?;
        let known = database.images_at([&image.path]).await?;
        let known = known
            .into_iter()
            .find(|known| known.image.file == image.image.file);
        Ok(known.unwrap_or(image))
    }

    /// What the vehicle gets under a name below `targets/`: what is ordered of one of its ECUs, and only
    /// in the form in which it travels.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn offered(&self, vin: &Vin, name: &str) -> Result<Offered, Problem> {
        let missing = || Problem::missing(format!("image {name} for this vehicle"));
        let (digest, path) = parse_name(name).ok_or_else(missing)?;
        let stored = self.0.database.vehicle(vin).await?;
        let known = Known::of(vin, stored.ok_or_else(|| unknown(vin))?)?;
        for (target, entry) in known.content()? {
            let travels = match DirectorCustom::of(&entry)?.encrypted {
                Some(encrypted) => (encrypted.filename, encrypted.length, encrypted.hashes),
                None => (target, entry.length, entry.hashes),
            };
            let (filename, length, hashes) = travels;
            if filename.as_str() == path && has(&hashes, &digest) {
                let blob = hashes.sha256.map(hex::encode).ok_or_else(missing)?;
                let blob = BlobName::new(&blob)?;
                return match self.0.blobs.exists(&blob).await? {
                    true => Ok(Offered { blob, length }),
                    false => Err(missing()),
                };
            }
        }
        Err(missing())
    }

    /// A part of an image.
    ///
    /// # Errors
    /// [`Problem`]
    pub async fn bytes_of(
        &self,
        offered: &Offered,
        range: std::ops::Range<u64>,
    ) -> Result<BlobStream, Problem> {
        Ok(self.0.blobs.get_range(&offered.blob, range).await?)
    }
}

/// `FOLDER/HASH.NAME`, as the hash and `FOLDER/NAME`.
fn parse_name(name: &str) -> Option<(String, String)> {
    let (folder, last) = match name.rsplit_once('/') {
        Some((folder, last)) => (format!("{folder}/"), last),
        None => (String::new(), name),
    };
    let (digest, last) = last.split_once('.')?;
    Some((digest.to_owned(), format!("{folder}{last}")))
}

fn has(hashes: &Hashes, digest: &str) -> bool {
    hashes.sha256.map(hex::encode).as_deref() == Some(digest)
        || hashes.sha512.map(hex::encode).as_deref() == Some(digest)
}

pub(super) fn spool_fails(error: io::Error) -> Problem {
    tracing::error!(%error, "the folder for uploads fails");
    Problem::unavailable("the director has no room for uploads now")
}

impl Inner {
    /// What the Image repository says of an image, to whoever verifies it as a vehicle does.
    pub(super) fn look_up(
        &self,
        path: &TargetPath,
        now: UtcTime,
    ) -> Result<CatalogueImage, Problem> {
        let _turn = self.images_turn();
        let away = |error: &dyn std::fmt::Display| {
            let message = format!("the Image repository does not say what {path} is: {error}");
            Problem::new(Kind::Unavailable, "image-repository", message)
        };
        let mut store = DirStore::open(&self.images.folder, Duration::from_secs(10))
            .map_err(|error| away(&error))?;
        initialise(&mut store, self.images.root.clone()).map_err(|error| away(&error))?;
        let url = format!("{}/metadata/", self.images.url.trim_end_matches('/'));
        let http = HttpFetcher::new(Patience::default(), self.images.authorities.clone());
        let mut client = Client::new(UrlFetcher::new(http), store, &url);
        let context = Context {
            profile: Profile::Image,
            ..Context::new(now)
        };
        let mut trusted = client.refresh(context).map_err(|error| away(&error))?;
        let listed = client.find(&mut trusted, path.as_str());
        let listed = listed.map_err(|error| match error.to_reject("image").code {
            countersign_verifier::Code::TargetNotFound => {
                let message =
                    format!("the Image repository lists no {path}; publish it there first");
                Problem::new(Kind::Missing, "image-unknown", message)
            }
            _ => away(&error),
        })?;
        CatalogueImage::of(listed.file()).map_err(|error| {
            let message = format!("{path} is not described for vehicles: {error}");
            Problem::new(Kind::Conflict, "image-not-described", message)
        })
    }

    /// Writes what is read into a file of the spool, encrypted if it has to be, and says what is stored.
    fn take_in(
        &self,
        path: TargetPath,
        image: CatalogueImage,
        sealed: bool,
        reader: impl Read,
    ) -> Result<(NamedTempFile, StoredImage), Problem> {
        // One byte more tells that there is more.
        let mut reader = Incoming {
            reader: reader.take(image.file.length.saturating_add(1)),
            broken: None,
        };
        let file = NamedTempFile::new_in(&self.spool).map_err(spool_fails)?;
        let mut out = io::BufWriter::with_capacity(256 << 10, file);
        let (digest, encrypted) = match sealed {
            true => {
                let mut vault = Vault::default();
                let target = vault.seal(&path, &image, &mut reader, &mut out);
                if let Some(why) = reader.broken {
                    return Err(broke_off(why));
                }
                let target = target?;
                let sealed = vault.image(&path, &image);
                let key = sealed.map(|sealed| sealed.key().clone());
                let key = key.ok_or_else(|| Problem::missing("content key"))?;
                let ciphertext = FileInfo {
                    length: target.length,
                    hashes: target.hashes,
                };
                let context = vault_context(&path, &image, &ciphertext)?;
                let own = self.vaults.first().ok_or_else(no_vault)?;
                let content_key = wrap(&key, own.0.public_key(), &context)?;
                let stored = StoredEncryption {
                    content_key,
                    ciphertext,
                };
                (stored.ciphertext.hashes.sha256, Some(stored))
            }
            false => (Some(copy(&path, &image, &mut reader, &mut out)?), None),
        };
        out.flush().map_err(spool_fails)?;
        let file = out
            .into_inner()
            .map_err(|error| spool_fails(error.into_error()))?;
        let stored = StoredImage {
            path,
            image,
            blob: digest.map(hex::encode),
            encrypted,
        };
        Ok((file, stored))
    }

    /// The content key of an encrypted image.
    pub(super) fn content_key(
        &self,
        stored: &StoredImage,
        encrypted: &StoredEncryption,
    ) -> Result<ContentKey, Problem> {
        let context = vault_context(&stored.path, &stored.image, &encrypted.ciphertext)?;
        let wrapped = &encrypted.content_key;
        let mut own = self.vaults.iter();
        let own = own.find(|own| own.0.public_key().id() == wrapped.keyid);
        Ok(unwrap(wrapped, &context, own.ok_or_else(no_vault)?)?)
    }
}

fn no_vault() -> Problem {
    let message = "the key to which this image's content key is wrapped is not in the settings; add it \
         to keys.vault";
    Problem::new(Kind::Unavailable, "vault-key", message)
}

/// An upload, and why it broke off if it did: that is no fault of what is done with its bytes.
struct Incoming<R> {
    reader: R,
    broken: Option<String>,
}

impl<R: Read> Read for Incoming<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer);
        if let Err(error) = &read
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.broken = Some(error.to_string());
        }
        read
    }
}

fn broke_off(why: impl std::fmt::Display) -> Problem {
    Problem::bad_request(format!("the upload broke off: {why}"))
}

/// Copies the plaintext, if it is what is listed, and gives its SHA-256.
fn copy(
    path: &TargetPath,
    image: &CatalogueImage,
    reader: &mut dyn Read,
    out: &mut dyn io::Write,
) -> Result<[u8; 32], Problem> {
    let mut sha256 = ring::digest::Context::new(&SHA256);
    let mut sha512 = ring::digest::Context::new(&SHA512);
    let (mut length, mut buffer) = (0, vec![0; 256 << 10]);
    loop {
        let read = reader.read(&mut buffer).map_err(broke_off)?;
        if read == 0 {
            break;
        }
        length += read as u64;
        sha256.update(&buffer[..read]);
        sha512.update(&buffer[..read]);
        out.write_all(&buffer[..read]).map_err(spool_fails)?;
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(sha256.finish().as_ref());
    let sha512 = sha512.finish();
    let listed = &image.file.hashes;
    let same = length == image.file.length
        && listed.any_known()
        && listed.sha256.is_none_or(|listed| listed == digest)
        && listed.sha512.is_none_or(|listed| listed == sha512.as_ref());
    match same {
        true => Ok(digest),
        false => Err(countersign_director_domain::DirectorError::OtherImage(path.clone()).into()),
    }
}

/// Binds a content key to its image, in this Director.
fn vault_context(
    path: &TargetPath,
    image: &CatalogueImage,
    ciphertext: &FileInfo,
) -> Result<WrapContext, Problem> {
    Ok(WrapContext {
        vin: Vin::new("DIRECTOR")?,
        serial: EcuSerial::new("VAULT")?,
        filename: path.clone(),
        release_counter: image.custom.release_counter,
        method: METHOD.into(),
        plaintext: FileInfo {
            length: image.file.length,
            hashes: image.file.hashes.clone(),
        },
        ciphertext: ciphertext.clone(),
    })
}
