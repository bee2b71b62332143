//! A director on a disk: what it has to remember between two commands.
//!
//! ```text
//! D/director.json              where the repositories are
//! D/image.root.json            the Image repository's first Root
//! D/keys/NAME.pem              the root key; online keys by the version of the Root that names them
//! D/roots/N.root.json          every Root
//! D/offline.snapshot.json      the last Offline Snapshot
//! D/vehicles/VIN.json          what is known of a vehicle
//! D/vehicles/VIN.manifest      its last manifest
//! D/content-keys/IMAGE         content key of an encrypted image, digests of both forms; secret
//! D/published/                 what is served
//! ```
//!
//! Assignments and versions are read back from the published files, so that there is one place
//! where they are.

use std::fs;
use std::io::{ErrorKind, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use countersign_client::client::Client;
use countersign_client::fetch::UrlFetcher;
use countersign_client::store::{MemoryStore, Store as _};
use countersign_encryption::{ContentKey, KEY_LEN};
use countersign_metadata::uptane::{EcuSerial, Mapping, OfflineName, Vin};
use countersign_metadata::{Hashes, TargetPath, percent_encode};
use countersign_signing::{Algorithm, KeyUri, Secrets, Signer};
use countersign_verifier::{Context, StoreName};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::carry::{ImageRepository, carry};
use crate::director::{Director, DirectorKeys, Lifetimes, OfflineKeys, OnlineKeys};
use crate::error::SimError;
use crate::plan::Plan;
use crate::provision::{Factory, make_folder, provision, write};
use crate::records;
use crate::service::{Clock, Service, Shared};

const SETTINGS: &str = "director.json";
const OFFLINE_SNAPSHOT: &str = "offline.snapshot.json";

/// Where the repositories are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Base URL of the Image repository; it has `metadata/` and `targets/`.
    pub image_url: String,
    /// Base URL under which `published/` is served.
    pub director_url: String,
}

/// A director on a disk.
pub struct Office {
    folder: PathBuf,
    settings: Settings,
    service: Shared,
    fetch: Box<dyn Fn() -> UrlFetcher>,
}

impl Office {
    /// A new director in `folder`, with keys in files.
    ///
    /// # Errors
    /// [`SimError::AlreadyThere`], or what failed.
    pub fn create(folder: &Path, settings: &Settings, image_root: &[u8]) -> Result<(), SimError> {
        if folder.join(SETTINGS).exists() {
            return Err(SimError::AlreadyThere {
                folder: folder.into(),
            });
        }
        for part in ["keys", "roots", "vehicles", "content-keys", "published"] {
            make_folder(&folder.join(part))?;
        }
        let secrets = Secrets::unattended(folder);
        let keys = DirectorKeys {
            root: make_key(&secrets, "root")?,
            online: make_online_keys(&secrets, 1)?,
            offline: offline_keys(|name| make_key(&secrets, name))?,
        };
        let now = Clock::default().now()?;
        let director = Director::new(keys, Lifetimes::default(), now)?;
        keep_roots(folder, &director)?;
        write(&folder.join("image.root.json"), image_root)?;
        let text = serde_json::to_vec_pretty(settings).map_err(|error| damaged(folder, error))?;
        // Last, because it is what makes it a director.
        write(&folder.join(SETTINGS), &text)
    }

    /// The director in `folder`. `fetch` makes what fetches for it and for vehicles.
    ///
    /// # Errors
    /// [`SimError`]
    pub fn open(
        folder: &Path,
        clock: Clock,
        fetch: impl Fn() -> UrlFetcher + 'static,
    ) -> Result<Self, SimError> {
        let path = folder.join(SETTINGS);
        let settings: Settings =
            serde_json::from_slice(&read(&path)?).map_err(|error| damaged(&path, error))?;
        let mut roots = Vec::new();
        while let Ok(root) = fs::read(root_path(folder, roots.len() + 1)) {
            roots.push(root);
        }
        let secrets = Secrets::unattended(folder);
        let keys = DirectorKeys {
            root: open_key(&secrets, "root")?,
            online: open_online_keys(&secrets, roots.len())?,
            offline: offline_keys(|name| open_key(&secrets, name))?,
        };
        let mut director = Director::restore(keys, Lifetimes::default(), roots)?;
        let offline = folder.join(OFFLINE_SNAPSHOT);
        match fs::read(&offline) {
            Ok(snapshot) => director.restore_carried(snapshot)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(SimError::io("read", &offline)(error)),
        }
        let service = Service::new(director, folder.join("published"), clock);
        let office = Self {
            folder: folder.into(),
            settings,
            service: service.shared(),
            fetch: Box::new(fetch),
        };
        for vin in office.vins()? {
            office.restore_vehicle(&vin)?;
        }
        Ok(office)
    }

    /// The director's service.
    pub fn service(&self) -> &Shared {
        &self.service
    }

    /// Makes a vehicle in `vehicle`, and registers it.
    ///
    /// # Errors
    /// [`SimError`]
    pub fn provision(&self, vehicle: &Path, plan: &Plan) -> Result<(), SimError> {
        let mut service = self.service.lock();
        let name = service.folder_of(&plan.vin);
        let name = name.file_name().unwrap_or_default().to_string_lossy();
        let director_url = format!("{}{}/", with_slash(&self.settings.director_url), name);
        let image_url = with_slash(&self.settings.image_url);
        let mapping = Mapping::both(vec![director_url], vec![image_url])?;
        let director_root = read(&root_path(&self.folder, 1))?;
        let factory = Factory {
            director_root: &director_root,
            image_root: &self.image_root()?,
            mapping: &mapping,
        };
        let record = provision(vehicle, plan, &factory, &Secrets::unattended(vehicle))?;
        service.register(&plan.vin, record.clone())?;
        records::keep(&self.vehicle_path(&plan.vin, "json"), &record)
    }

    /// Encrypts a confidential image of the Image repository.
    ///
    /// # Errors
    /// [`SimError`]
    pub fn encrypt(&self, image: &TargetPath, bytes: &mut dyn Read) -> Result<(), SimError> {
        self.look_up(image)?;
        self.restore_encrypted(image)?;
        let mut service = self.service.lock();
        let target = service.encrypt(image, bytes)?;
        let director = service.director();
        let plain = director
            .catalogue()
            .image(image)
            .map(|listed| sha256_of(&listed.file.hashes));
        let Some(key) = director.content_key(image) else {
            return Ok(());
        };
        let key = Zeroizing::new(hex::encode(key.expose()));
        let (plain, cipher) = (plain.unwrap_or_default(), sha256_of(&target.hashes));
        let text = Zeroizing::new(format!("{} {cipher} {plain}\n", *key));
        let path = self.content_key_path(image);
        let unfinished = path.with_extension("unfinished");
        let mut options = fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        options
            .open(&unfinished)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&unfinished, &path))
            .map_err(SimError::io("write", &path))
    }

    /// Assigns an image to an ECU.
    ///
    /// # Errors
    /// [`SimError`]
    pub fn assign(
        &self,
        vin: &Vin,
        serial: &EcuSerial,
        image: &TargetPath,
    ) -> Result<(), SimError> {
        self.look_up(image)?;
        self.restore_encrypted(image)?;
        self.service.lock().assign(vin, serial, image)
    }

    /// Writes what is assigned in a vehicle into the offline bundle at `path`, with the Offline
    /// Targets file `name`.
    ///
    /// # Errors
    /// [`SimError`]
    pub fn carry(&self, vin: &Vin, name: &OfflineName, path: &Path) -> Result<(), SimError> {
        let from = ImageRepository {
            url: self.settings.image_url.clone(),
            root: self.image_root()?,
            fetcher: self.fetcher(),
        };
        let orders = self.service.lock().director().orders(vin);
        for image in orders.keys() {
            self.look_up(image)?;
            self.restore_encrypted(image)?;
        }
        carry(&self.service, vin, name, from, path, |snapshot| {
            let path = self.folder.join(OFFLINE_SNAPSHOT);
            let unfinished = path.with_extension("unfinished");
            let written = fs::File::create(&unfinished).and_then(|mut file| {
                file.write_all(snapshot)?;
                file.sync_all()?;
                fs::rename(&unfinished, &path)
            });
            written.map_err(SimError::io("write", &path))
        })
    }

    /// Replaces the director's online keys by a new Root, and publishes everything anew.
    ///
    /// # Errors
    /// [`SimError`]
    pub fn rotate(&self) -> Result<(), SimError> {
        let vins = self.vins()?;
        let mut service = self.service.lock();
        let next = service.director().roots().len() + 1;
        let keys = make_online_keys(&Secrets::unattended(&self.folder), next)?;
        let now = service.clock().now()?;
        service.director().rotate_online_keys(keys, now)?;
        keep_roots(&self.folder, service.director())?;
        vins.iter().try_for_each(|vin| service.publish(vin))
    }

    /// Where vehicles connect, and what they fetch with.
    pub fn fetcher(&self) -> UrlFetcher {
        (self.fetch)()
    }

    /// Keeps what vehicles have reported.
    ///
    /// # Errors
    /// [`SimError::Io`]
    pub fn keep(&self) -> Result<(), SimError> {
        let service = self.service.lock();
        for (vin, manifest) in service.accepted() {
            write(&self.vehicle_path(vin, "manifest"), manifest)?;
        }
        Ok(())
    }

    /// Finds an image in the Image repository, as a client would.
    fn look_up(&self, image: &TargetPath) -> Result<(), SimError> {
        let mut store = MemoryStore::new();
        store.save(&StoreName::Root, &self.image_root()?, 1)?;
        let url = format!("{}metadata/", with_slash(&self.settings.image_url));
        let mut client = Client::new(self.fetcher(), store, &url);
        let mut service = self.service.lock();
        let mut trusted = client.refresh(Context::new(service.clock().now()?))?;
        let listed = client.find(&mut trusted, image.as_str())?;
        Ok(service.director().catalogue().add(&listed)?)
    }

    fn restore_encrypted(&self, image: &TargetPath) -> Result<(), SimError> {
        let path = self.content_key_path(image);
        let text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(SimError::io("read", &path)(error)),
        };
        let unreadable = || damaged(&path, "it is not a content key and two digests");
        let mut words = text.split_whitespace();
        let (Some(key), Some(blob), Some(plain)) = (words.next(), words.next(), words.next())
        else {
            return Err(unreadable());
        };
        let mut service = self.service.lock();
        let director = service.director();
        let listed = director.catalogue().image(image);
        if listed.is_none_or(|listed| sha256_of(&listed.file.hashes) != plain) {
            // Of what the path was before.
            return Ok(());
        }
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        hex::decode_to_slice(key, &mut *bytes).map_err(|_| unreadable())?;
        let ciphertext = read(&self.folder.join("published/encrypted").join(blob))?;
        let info = countersign_encryption::FileInfo {
            length: ciphertext.len() as u64,
            hashes: Hashes::of(&ciphertext),
        };
        let key = ContentKey::from_bytes(bytes);
        Ok(director.restore_encrypted(image, key, info)?)
    }

    fn restore_vehicle(&self, vin: &Vin) -> Result<(), SimError> {
        let record = records::read(&self.vehicle_path(vin, "json"))?;
        let manifest = fs::read(self.vehicle_path(vin, "manifest")).ok();
        let mut service = self.service.lock();
        let folder = service.folder_of(vin).join("metadata");
        let mut files = std::collections::BTreeMap::new();
        let listed = fs::read_dir(&folder).map_err(SimError::io("read", &folder))?;
        for entry in listed {
            let entry = entry.map_err(SimError::io("read", &folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.ends_with(".root.json") {
                files.insert(name, read(&entry.path())?);
            }
        }
        let director = service.director();
        director.restore_vehicle(vin.clone(), record, files, manifest.as_deref())?;
        Ok(())
    }

    /// The registered vehicles.
    fn vins(&self) -> Result<Vec<Vin>, SimError> {
        let folder = self.folder.join("vehicles");
        let mut vins = Vec::new();
        for entry in fs::read_dir(&folder).map_err(SimError::io("read", &folder))? {
            let entry = entry.map_err(SimError::io("read", &folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(name) = name.strip_suffix(".json") {
                let vin = hex::decode(name)
                    .ok()
                    .and_then(|name| String::from_utf8(name).ok());
                vins.push(Vin::new(&vin.unwrap_or_default())?);
            }
        }
        Ok(vins)
    }

    fn vehicle_path(&self, vin: &Vin, ending: &str) -> PathBuf {
        let name = format!("{}.{ending}", hex::encode(vin.as_str()));
        self.folder.join("vehicles").join(name)
    }

    fn content_key_path(&self, image: &TargetPath) -> PathBuf {
        let name = format!("image-{}", percent_encode(image.as_str()));
        self.folder.join("content-keys").join(name)
    }

    fn image_root(&self) -> Result<Vec<u8>, SimError> {
        read(&self.folder.join("image.root.json"))
    }
}

fn sha256_of(hashes: &Hashes) -> String {
    hex::encode(hashes.sha256.unwrap_or_default())
}

fn keep_roots(folder: &Path, director: &Director) -> Result<(), SimError> {
    let roots = (1..).zip(director.roots());
    roots
        .into_iter()
        .try_for_each(|(version, root)| write(&root_path(folder, version), root))
}

fn root_path(folder: &Path, version: usize) -> PathBuf {
    folder.join("roots").join(format!("{version}.root.json"))
}

fn make_online_keys(secrets: &Secrets, generation: usize) -> Result<OnlineKeys, SimError> {
    online_keys(generation, |name| make_key(secrets, name))
}

fn open_online_keys(secrets: &Secrets, generation: usize) -> Result<OnlineKeys, SimError> {
    online_keys(generation, |name| open_key(secrets, name))
}

fn online_keys(
    generation: usize,
    key: impl Fn(&str) -> Result<Box<dyn Signer>, SimError>,
) -> Result<OnlineKeys, SimError> {
    Ok(OnlineKeys {
        timestamp: key(&format!("timestamp-{generation}"))?,
        snapshot: key(&format!("snapshot-{generation}"))?,
        targets: key(&format!("targets-{generation}"))?,
        time: key(&format!("time-{generation}"))?,
    })
}

fn offline_keys(
    key: impl Fn(&str) -> Result<Box<dyn Signer>, SimError>,
) -> Result<OfflineKeys, SimError> {
    Ok(OfflineKeys {
        snapshot: key("offline-snapshot")?,
        targets: key("offline-targets")?,
    })
}

fn make_key(secrets: &Secrets, name: &str) -> Result<Box<dyn Signer>, SimError> {
    countersign_signing::generate(&key_uri(name)?, Algorithm::Ed25519, secrets)?;
    open_key(secrets, name)
}

fn open_key(secrets: &Secrets, name: &str) -> Result<Box<dyn Signer>, SimError> {
    Ok(countersign_signing::open(&key_uri(name)?, secrets)?)
}

fn key_uri(name: &str) -> Result<KeyUri, SimError> {
    let uri = format!("file:keys/{name}.pem?encryption=none").parse();
    uri.map_err(|error| damaged(Path::new("keys"), error))
}

fn with_slash(url: &str) -> String {
    format!("{}/", url.trim_end_matches('/'))
}

fn read(path: &Path) -> Result<Vec<u8>, SimError> {
    fs::read(path).map_err(SimError::io("read", path))
}

fn damaged(path: &Path, error: impl std::fmt::Display) -> SimError {
    SimError::Plan {
        detail: format!("{}: {error}", path.display()),
    }
}
