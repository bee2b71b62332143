//! An ECU in a directory, with real keys, stores and slots.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use countersign_client::install::{
    Description, FileSlots, InstallError, Installer, Measured, Phase, TakesEffect, provision_slots,
};
use countersign_client::store::{DirStore, Store, StoreName};
use countersign_client::uptane::keys::{EcuSigner, KeyError};
use countersign_client::uptane::link::{
    Activated, Answer, Prepared, Repository, Request, Respond, Source, VERSION, Verification,
};
use countersign_client::uptane::secondary::{Health, Host, Parts, Secondary};
use countersign_client::uptane::state::{EcuState, StateFile};
use countersign_encryption::{Decapsulate, DeviceError};
use countersign_metadata::uptane::{EcuVersionReport, EncryptionKey, Mapping, Nonce};
use countersign_metadata::{Authority, Hashes, Key, RoleKeys, Signed, UtcTime};
use countersign_verifier::uptane::{Ecu, Installed};
use countersign_verifier::{ImageStream, Limits, VerifiedImage};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::site::{Site, TestKey, door, serial, vin};

pub(crate) const OLD: &[u8] = b"the image that left the factory";
pub(crate) const DOOR_KEY: TestKey = TestKey(20);

/// The ECU's directory, and what the device says of itself.
pub(crate) struct Device {
    _temporary: Option<tempfile::TempDir>,
    directory: PathBuf,
    ecu: Ecu,
    key: TestKey,
    verification: Verification,
    host: Arc<Mutex<TestHost>>,
}

#[derive(Clone)]
pub(crate) struct TestHost {
    pub(crate) may_install: Result<(), String>,
    pub(crate) health: Health,
    /// When an activated image runs.
    pub(crate) takes_effect: TakesEffect,
    /// What the device's own clock says beyond the system's: it was asleep.
    pub(crate) slept: Duration,
}

struct SharedHost(Arc<Mutex<TestHost>>);

impl Host for SharedHost {
    fn time(&mut self) -> Option<UtcTime> {
        None
    }

    fn may_install(&mut self) -> Result<(), String> {
        self.0.lock().unwrap().may_install.clone()
    }

    fn health(&mut self) -> Health {
        self.0.lock().unwrap().health.clone()
    }

    fn uptime(&self) -> Duration {
        countersign_client::clock::uptime() + self.0.lock().unwrap().slept
    }
}

impl Device {
    pub(crate) fn provision(verification: Verification) -> Self {
        Self::provision_as(door(), DOOR_KEY, verification)
    }

    pub(crate) fn provision_as(ecu: Ecu, key: TestKey, verification: Verification) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let device = Self {
            ecu,
            key,
            ..Self::at(temporary.path().into(), verification)
        };
        device.leave_the_factory();
        Self {
            _temporary: Some(temporary),
            ..device
        }
    }

    /// A door that was provisioned before.
    pub(crate) fn at(directory: PathBuf, verification: Verification) -> Self {
        let host = TestHost {
            may_install: Ok(()),
            health: Health::Works,
            takes_effect: TakesEffect::Immediately,
            slept: Duration::ZERO,
        };
        Self {
            _temporary: None,
            directory,
            ecu: door(),
            key: DOOR_KEY,
            verification,
            host: Arc::new(Mutex::new(host)),
        }
    }

    pub(crate) fn leave_the_factory(&self) {
        provision_slots(&self.path("slots"), &mut &OLD[..]).unwrap();
        let installed = Installed {
            hardware_id: self.ecu.hardware_id.clone(),
            path: "door-1.img".into(),
            release_counter: 1,
            length: OLD.len() as u64,
            hashes: Hashes::of(OLD),
        };
        let state = EcuState::provisioned(self.ecu.serial.clone(), Some(installed));
        StateFile::provision(&self.path("state"), state).unwrap();
        for repository in [Repository::Director, Repository::Image] {
            let root = Site::root(repository);
            let mut store = self.store(repository);
            store.save(&StoreName::Root, &root, 1).unwrap();
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn store(&self, repository: Repository) -> DirStore {
        DirStore::open(&self.path(repository.name()), Duration::ZERO).unwrap()
    }

    /// Its key for reports.
    pub(crate) fn signer(&self) -> Signer {
        Signer::new(self.key)
    }

    pub(crate) fn keeps(&self, name: &StoreName) -> bool {
        self.store(Repository::Director)
            .load(name)
            .unwrap()
            .is_some()
    }

    pub(crate) fn host(&self) -> MutexGuard<'_, TestHost> {
        self.host.lock().unwrap()
    }

    /// What the ECU runs.
    pub(crate) fn active(&self) -> Vec<u8> {
        fs::read(self.path("slots/active/image")).unwrap()
    }

    /// What a boot loader does with an image that does not start.
    pub(crate) fn fall_back(&self) {
        open_slots(&self.path("slots")).rollback().unwrap();
    }

    /// Switches the ECU on.
    pub(crate) fn start(&self) -> Door {
        let urls = |name: &str| vec![format!("https://{name}.example.com")];
        let parts = Parts {
            vin: vin(),
            ecu: self.ecu.clone(),
            verification: self.verification,
            mapping: Mapping::both(urls("director"), urls("image")).unwrap(),
            director_limits: Limits::director(),
            image_limits: Limits::default(),
            state: StateFile::open(&self.path("state"), Duration::ZERO).unwrap(),
            director: Box::new(self.store(Repository::Director)),
            image: Box::new(self.store(Repository::Image)),
            installer: Box::new(Slots {
                files: open_slots(&self.path("slots")),
                host: Arc::clone(&self.host),
            }),
            signer: Box::new(Signer::new(self.key)),
            decryption: Some(Box::new(Keys)),
            host: Box::new(SharedHost(Arc::clone(&self.host))),
        };
        Door(Secondary::new(parts).unwrap())
    }
}

fn open_slots(directory: &Path) -> FileSlots {
    FileSlots::open(directory, Duration::ZERO).unwrap()
}

/// File slots of a device that says when their images run.
struct Slots {
    files: FileSlots,
    host: Arc<Mutex<TestHost>>,
}

impl Installer for Slots {
    fn describe(&self) -> Description {
        let mut description = self.files.describe();
        description.takes_effect = self.host.lock().unwrap().takes_effect;
        description
    }

    fn precheck(&self, length: u64) -> Result<(), InstallError> {
        self.files.precheck(length)
    }

    fn stage(
        &mut self,
        stream: ImageStream,
        bytes: &mut dyn Read,
    ) -> Result<VerifiedImage, InstallError> {
        self.files.stage(stream, bytes)
    }

    fn recheck(&mut self, stream: ImageStream) -> Result<VerifiedImage, InstallError> {
        self.files.recheck(stream)
    }

    fn activate(&mut self, image: VerifiedImage, now: UtcTime) -> Result<(), InstallError> {
        self.files.activate(image, now)
    }

    fn confirm(&mut self) -> Result<(), InstallError> {
        self.files.confirm()
    }

    fn rollback(&mut self) -> Result<(), InstallError> {
        self.files.rollback()
    }

    fn phase(&self) -> Result<Phase, InstallError> {
        self.files.phase()
    }

    fn installed(&self) -> Result<Option<Measured>, InstallError> {
        self.files.installed()
    }
}

/// An ECU that is switched on, as its Primary sees it.
pub(crate) struct Door(pub(crate) Secondary);

impl Door {
    pub(crate) fn encryption_key() -> EncryptionKey {
        EncryptionKey::x25519(PublicKey::from(&StaticSecret::from([21; 32])).to_bytes())
    }

    pub(crate) fn ask(&mut self, request: Request, source: &mut dyn Source) -> Answer {
        self.0.respond(request, source)
    }

    pub(crate) fn hello(&mut self) -> Nonce {
        let request = Request::Hello {
            version: VERSION,
            vin: vin(),
            primary: serial(),
        };
        match self.ask(request, &mut Site::new(&std::env::temp_dir())) {
            Answer::Hello { nonce, .. } => nonce,
            other => panic!("{other:?}"),
        }
    }

    /// A whole cycle up to the first phase.
    pub(crate) fn try_prepare(&mut self, site: &mut Site) -> Answer {
        let attestation = site.attest(self.hello());
        self.ask(
            Request::Prepare {
                offline: None,
                attestation,
            },
            site,
        )
    }

    pub(crate) fn prepare(&mut self, site: &mut Site) -> Prepared {
        match self.try_prepare(site) {
            Answer::Prepared { image, .. } => image,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn try_activate(&mut self, targets_version: u64) -> Answer {
        let request = Request::Activate { targets_version };
        self.ask(request, &mut Site::new(&std::env::temp_dir()))
    }

    pub(crate) fn activate(&mut self, targets_version: u64) -> Activated {
        match self.try_activate(targets_version) {
            Answer::Activated { image } => image,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn signed_report(&mut self) -> Vec<u8> {
        match self.ask(Request::Report {}, &mut Site::new(&std::env::temp_dir())) {
            Answer::Report { report } => report,
            other => panic!("{other:?}"),
        }
    }

    /// The report, verified as the Director would.
    pub(crate) fn report(&mut self) -> EcuVersionReport {
        let report = Signed::<EcuVersionReport>::parse(self.signed_report()).unwrap();
        let report = report.verify(&authority(DOOR_KEY)).unwrap();
        report.content().clone()
    }
}

/// Whoever has this key.
pub(crate) fn authority(key: TestKey) -> Authority {
    let key = key.key();
    let role_keys = RoleKeys::new([key.id()], 1);
    Authority::assume("ecu", &role_keys, &[(key.id(), key)].into())
}

/// An ECU's key for reports.
pub(crate) struct Signer(TestKey, Key);

impl Signer {
    fn new(key: TestKey) -> Self {
        Self(key, key.key())
    }
}

impl EcuSigner for Signer {
    fn key(&self) -> &Key {
        &self.1
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.0.sign(message))
    }
}

struct Keys;

impl Decapsulate for Keys {
    fn public_key(&self) -> &EncryptionKey {
        static KEY: std::sync::OnceLock<EncryptionKey> = std::sync::OnceLock::new();
        KEY.get_or_init(Door::encryption_key)
    }

    fn agree(&self, enc: &EncryptionKey) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        let enc: [u8; 32] = enc.public_bytes().try_into()?;
        let agreed = StaticSecret::from([21; 32]).diffie_hellman(&PublicKey::from(enc));
        Ok(Zeroizing::new(agreed.as_bytes().to_vec()))
    }
}
