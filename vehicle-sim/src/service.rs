//! The director as vehicles reach it: files below a folder that is served, and two calls.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_client::clock::system_time;
use countersign_client::fetch::FetchError;
use countersign_client::uptane::primary::DirectorLink;
use countersign_metadata::uptane::{DirectorCustom, EcuSerial, EncryptedTarget, Nonce, Vin};
use countersign_metadata::{TargetFile, TargetPath, UtcTime, percent_encode};

use countersign_director_domain::manifest::ReportRules;

use crate::director::{Director, DirectorError, ManifestRefusal, Receipt, VehicleRecord};
use crate::error::SimError;
use crate::provision::{make_folder, write};

/// The system's clock, with a difference that can be set. Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// Goes `seconds` away from the system's clock.
    pub fn set_ahead(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }

    /// What time it is.
    ///
    /// # Errors
    /// [`DirectorError::Time`] outside the years 0 to 9999.
    pub fn now(&self) -> Result<UtcTime, DirectorError> {
        let ahead = self.0.load(Ordering::SeqCst);
        let now = system_time().and_then(|now| now.plus_seconds(ahead));
        now.ok_or(DirectorError::Time)
    }
}

/// A director at work. Vehicles reach it by [`Shared::link`].
#[derive(Debug)]
pub struct Service {
    director: Director,
    folder: PathBuf,
    clock: Clock,
    /// What is ordered by somebody else with the director's keys.
    stolen: BTreeMap<Vin, BTreeMap<TargetPath, TargetFile>>,
    last: Option<Result<Receipt, ManifestRefusal>>,
    accepted: BTreeMap<Vin, Vec<u8>>,
    reachable: bool,
}

/// A service that several vehicles share.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Mutex<Service>>);

/// A vehicle's connection to a service. Who is at its other end is known, as it is with TLS.
#[derive(Debug)]
pub struct Connection {
    service: Shared,
    vin: Vin,
}

impl Service {
    /// Publishes below `folder`, in which each vehicle has a folder of its own.
    pub fn new(director: Director, folder: PathBuf, clock: Clock) -> Self {
        Self {
            director,
            folder,
            clock,
            stolen: BTreeMap::new(),
            last: None,
            accepted: BTreeMap::new(),
            reachable: true,
        }
    }

    /// Whether vehicles can reach it.
    pub fn set_reachable(&mut self, reachable: bool) {
        self.reachable = reachable;
    }

    /// Lets vehicles share it.
    pub fn shared(self) -> Shared {
        Shared(Arc::new(Mutex::new(self)))
    }

    /// The director itself.
    pub fn director(&mut self) -> &mut Director {
        &mut self.director
    }

    /// What came of the last manifest.
    pub fn last(&self) -> Option<&Result<Receipt, ManifestRefusal>> {
        self.last.as_ref()
    }

    /// The last manifest of each vehicle that was accepted.
    pub(crate) fn accepted(&self) -> &BTreeMap<Vin, Vec<u8>> {
        &self.accepted
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where a vehicle's metadata and encrypted images are: the Director's base URL in its
    /// mapping leads there.
    pub fn folder_of(&self, vin: &Vin) -> PathBuf {
        self.folder
            .join(format!("vehicle-{}", percent_encode(vin.as_str())))
    }

    /// Adds a vehicle, and publishes that nothing is assigned to it.
    ///
    /// # Errors
    /// [`SimError::Director`], [`SimError::Io`]
    pub fn register(&mut self, vin: &Vin, vehicle: VehicleRecord) -> Result<(), SimError> {
        self.director.register(vin.clone(), vehicle)?;
        self.publish(vin)
    }

    /// Encrypts a confidential image; see [`Director::encrypt`].
    ///
    /// # Errors
    /// [`SimError::Director`], [`SimError::Io`]
    pub fn encrypt(
        &mut self,
        path: &TargetPath,
        image: &mut dyn Read,
    ) -> Result<EncryptedTarget, SimError> {
        let folder = self.folder.join("encrypted");
        make_folder(&folder)?;
        let unfinished = folder.join(".unfinished");
        let mut file = fs::File::create(&unfinished).map_err(SimError::io("make", &unfinished))?;
        let target = self.director.encrypt(path, image, &mut file)?;
        let path = self.blob(&target);
        rename(&unfinished, &path)?;
        Ok(target)
    }

    /// Assigns an image to an ECU, and publishes that.
    ///
    /// # Errors
    /// [`SimError::Director`], [`SimError::Io`]
    pub fn assign(
        &mut self,
        vin: &Vin,
        serial: &EcuSerial,
        path: &TargetPath,
    ) -> Result<(), SimError> {
        self.director.assign(vin, serial, path)?;
        self.publish(vin)
    }

    /// Brings a vehicle's files up to date with what the director has assigned.
    ///
    /// # Errors
    /// [`SimError::Director`], [`SimError::Io`]
    pub fn publish(&mut self, vin: &Vin) -> Result<(), SimError> {
        self.stolen.remove(vin);
        self.renew(vin)
    }

    /// Publishes any content of Targets, as whoever holds the director's keys could. It stays until
    /// the director publishes or assigns something to this vehicle.
    ///
    /// # Errors
    /// [`SimError::Director`], [`SimError::Io`]
    pub fn publish_orders(
        &mut self,
        vin: &Vin,
        orders: BTreeMap<TargetPath, TargetFile>,
    ) -> Result<(), SimError> {
        self.stolen.insert(vin.clone(), orders);
        self.renew(vin)
    }

    fn renew(&mut self, vin: &Vin) -> Result<(), SimError> {
        let stolen = self.stolen.get(vin).cloned();
        let orders = stolen.unwrap_or_else(|| self.director.orders(vin));
        let now = self.clock.now()?;
        let folder = self.folder_of(vin);
        let encrypted: BTreeSet<_> = orders.values().filter_map(encrypted_name).collect();
        for (blob, name) in encrypted {
            offer(
                &self.folder.join("encrypted").join(blob),
                &folder.join("targets").join(name),
            )?;
        }
        let files = self.director.publish_orders(vin, orders, now)?;
        publish_files(&folder.join("metadata"), &files)
    }

    pub(crate) fn blob(&self, target: &EncryptedTarget) -> PathBuf {
        self.folder.join("encrypted").join(blob_name(target))
    }

    fn take_manifest(&mut self, vin: &Vin, manifest: &[u8]) -> Result<(), FetchError> {
        let url = || format!("the director's service for {vin}");
        let now = self.clock.now().map_err(|_| unavailable(url()))?;
        let rules = ReportRules::at(now);
        let received = self.director.accept_manifest(vin, manifest, &rules);
        let accepted = received.is_ok();
        if accepted {
            self.accepted.insert(vin.clone(), manifest.to_vec());
        }
        self.last = Some(received);
        if !accepted {
            return Err(FetchError::Status {
                url: url(),
                status: 400,
            });
        }
        self.renew(vin).map_err(|_| unavailable(url()))
    }
}

impl Shared {
    /// The service, while nobody else uses it.
    pub fn lock(&self) -> MutexGuard<'_, Service> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection of one vehicle.
    pub fn link(&self, vin: &Vin) -> Connection {
        Connection {
            service: self.clone(),
            vin: vin.clone(),
        }
    }
}

impl Connection {
    fn reach(&self) -> Result<MutexGuard<'_, Service>, FetchError> {
        let service = self.service.lock();
        match service.reachable {
            true => Ok(service),
            false => Err(FetchError::Disconnected {
                url: format!("the director's service for {}", self.vin),
                detail: "there is no network here".into(),
            }),
        }
    }
}

impl DirectorLink for Connection {
    fn put_manifest(&mut self, manifest: &[u8]) -> Result<(), FetchError> {
        self.reach()?.take_manifest(&self.vin, manifest)
    }

    fn attest(&mut self, nonces: &[Nonce]) -> Result<Option<Vec<u8>>, FetchError> {
        let service = self.reach()?;
        let now = service.clock.now();
        let attestation = now.and_then(|now| service.director.attest(nonces, now));
        let url = || "the director's time server".into();
        attestation.map(Some).map_err(|_| unavailable(url()))
    }
}

fn unavailable(url: String) -> FetchError {
    FetchError::Unavailable {
        url,
        status: 503,
        retry_after: None,
    }
}

/// The ciphertext's own name, and the one under which vehicles ask for it.
fn encrypted_name(file: &TargetFile) -> Option<(String, String)> {
    let target = DirectorCustom::of(file).ok()?.encrypted?;
    let digest = hex::encode(target.hashes.sha256?);
    Some((blob_name(&target), target.filename.with_prefix(&digest)))
}

fn blob_name(target: &EncryptedTarget) -> String {
    hex::encode(target.hashes.sha256.unwrap_or_default())
}

/// One ciphertext is offered to many vehicles.
fn offer(blob: &Path, offered: &Path) -> Result<(), SimError> {
    if let Some(folder) = offered.parent() {
        make_folder(folder)?;
    }
    match fs::hard_link(blob, offered) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(SimError::io("offer", blob)(error))
        }
        _ => Ok(()),
    }
}

/// Timestamp comes last: what it leads to is there before it.
fn publish_files(folder: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<(), SimError> {
    make_folder(folder)?;
    let (last, first): (Vec<_>, Vec<_>) = files
        .iter()
        .partition(|(name, _)| *name == "timestamp.json");
    for (name, bytes) in first.into_iter().chain(last) {
        let path = folder.join(name);
        if fs::read(&path).is_ok_and(|there| there == *bytes) {
            continue;
        }
        let unfinished = folder.join(".unfinished");
        write(&unfinished, bytes)?;
        rename(&unfinished, &path)?;
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<(), SimError> {
    fs::rename(from, to).map_err(SimError::io("name", to))
}
