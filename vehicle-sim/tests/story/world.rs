//! An Image repository, a director and a vehicle, with real keys and files in one folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use countersign_client::client::Client;
use countersign_client::fetch::{FileFetcher, HttpFetcher, Patience, TlsRoots, UrlFetcher};
use countersign_client::store::{MemoryStore, Store};
use countersign_client::uptane::link::{Refusal, Verification};
use countersign_client::uptane::primary::{Cycle, DirectorLink, EcuOutcome};
use countersign_metadata::json::Object;
use countersign_metadata::uptane::{
    DirectorCustom, EcuSerial, HardwareId, ImageCustom, Mapping, OfflineName, Vin, custom_with_vin,
};
use countersign_metadata::{
    Header, MetaFile, Snapshot, TargetFile, TargetPath, TargetsBuilder, Timestamp,
};
use countersign_repo::policy::{Policy, RolePolicy, TopLevel};
use countersign_repo::{NewTarget, Outgoing, Repository, Visibility};
use countersign_signing::{Algorithm, KeyUri, Secrets, Signer};
use countersign_vehicle_sim::director::{
    Director, DirectorKeys, Lifetimes, OfflineKeys, OnlineKeys, signed,
};
use countersign_vehicle_sim::{
    Clock, Connection, DirectorConnection, EcuPlan, Factory, ImageRepository, Plan, Service,
    Shared, Vehicle, carry, provision,
};
use countersign_verifier::{Code, Context, StoreName};

pub(crate) type Running = Vehicle<UrlFetcher, DirectorConnection>;

/// Everything outside of vehicles, and the vehicles' folders.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) service: Shared,
    pub(crate) clock: Clock,
    image_root: Vec<u8>,
}

pub(crate) fn vin(text: &str) -> Vin {
    Vin::new(text).unwrap()
}

pub(crate) fn serial(text: &str) -> EcuSerial {
    EcuSerial::new(text).unwrap()
}

pub(crate) fn hardware(text: &str) -> HardwareId {
    HardwareId::new(text).unwrap()
}

pub(crate) fn path(text: &str) -> TargetPath {
    TargetPath::new(text).unwrap()
}

/// `NAME` is an ECU `NAME` of hardware `NAME-hw`.
pub(crate) fn ecu(name: &str) -> EcuPlan {
    EcuPlan::new(serial(name), hardware(&format!("{name}-hw"))).unwrap()
}

pub(crate) fn partial(ecu: EcuPlan) -> EcuPlan {
    EcuPlan {
        verification: Verification::Partial,
        ..ecu
    }
}

pub(crate) fn over_tcp(ecu: EcuPlan) -> EcuPlan {
    EcuPlan {
        connection: Connection::Tcp,
        ..ecu
    }
}

/// The usual vehicle's name.
pub(crate) const CAR: &str = "VIN-A";

impl World {
    pub(crate) fn new() -> Self {
        // In memory where that is possible: everything is made durable, many times.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.unwrap();
        let clock = Clock::default();
        let now = clock.now().unwrap();
        let secrets = Secrets::unattended(folder.path());
        let keys = DirectorKeys {
            root: new_key(&secrets, "director-root"),
            online: online_keys(&secrets, "1"),
            offline: OfflineKeys {
                snapshot: new_key(&secrets, "offline-snapshot"),
                targets: new_key(&secrets, "offline-targets"),
            },
        };
        let director = Director::new(keys, Lifetimes::default(), now).unwrap();
        let service = Service::new(director, folder.path().join("director"), clock.clone());
        let mut world = Self {
            service: service.shared(),
            clock,
            image_root: Vec::new(),
            folder,
        };
        world.start_repository();
        world
    }

    /// A world with one vehicle, `CAR`, of these ECUs.
    pub(crate) fn with_car(ecus: Vec<EcuPlan>) -> Self {
        let world = Self::new();
        world.provision(CAR, ecus);
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn secrets(&self) -> Secrets {
        Secrets::unattended(self.path())
    }

    pub(crate) fn vehicle_folder(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The plan of a vehicle; its keys are in the vehicle's folder.
    pub(crate) fn plan(&self, name: &str, ecus: Vec<EcuPlan>) -> Plan {
        Plan {
            vin: vin(name),
            ecus,
            bundle: Default::default(),
        }
    }

    pub(crate) fn provision(&self, name: &str, ecus: Vec<EcuPlan>) {
        self.provision_plan(name, &self.plan(name, ecus));
    }

    pub(crate) fn provision_plan(&self, name: &str, plan: &Plan) {
        let mut service = self.service.lock();
        let urls = |folder: PathBuf| vec![format!("file://{}/", folder.display())];
        let director = urls(service.folder_of(&plan.vin));
        let mapping = Mapping::both(director, urls(self.published())).unwrap();
        let director_root = service.director().roots()[0].clone();
        let factory = Factory {
            director_root: &director_root,
            image_root: &self.image_root,
            mapping: &mapping,
        };
        let folder = self.vehicle_folder(name);
        let secrets = Secrets::unattended(&folder);
        let record = provision(&folder, plan, &factory, &secrets).unwrap();
        service.register(&plan.vin, record).unwrap();
    }

    /// Starts a vehicle.
    pub(crate) fn start(&self, name: &str) -> Running {
        self.start_with(name, self.service.link(&vin(name)))
    }

    pub(crate) fn start_with<D: DirectorLink>(
        &self,
        name: &str,
        director: D,
    ) -> Vehicle<UrlFetcher, D> {
        let folder = self.vehicle_folder(name);
        let secrets = Secrets::unattended(&folder);
        Vehicle::open(&folder, fetcher(), director, &secrets).unwrap()
    }

    /// Starts the usual vehicle for one cycle.
    pub(crate) fn cycle(&self) -> Cycle {
        self.start(CAR).cycle().unwrap()
    }

    pub(crate) fn assign(&self, ecu: &str, image: &str) {
        let mut service = self.service.lock();
        service
            .assign(&vin(CAR), &serial(ecu), &path(image))
            .unwrap();
    }

    /// Carries what is assigned in the usual vehicle to it, in a bundle.
    pub(crate) fn carry(&self, name: &str) -> PathBuf {
        let path = self.path().join(format!("{name}.tar"));
        let from = ImageRepository {
            url: format!("file://{}/", self.published().display()),
            root: self.image_root.clone(),
            fetcher: fetcher(),
        };
        let name = OfflineName::new(name).unwrap();
        carry(&self.service, &vin(CAR), &name, from, &path, |_| Ok(())).unwrap();
        path
    }

    /// What a thief with the director's keys would publish for the usual vehicle.
    pub(crate) fn forge(&self, orders: impl IntoIterator<Item = (TargetPath, TargetFile)>) {
        let orders: BTreeMap<_, _> = orders.into_iter().collect();
        self.service
            .lock()
            .publish_orders(&vin(CAR), orders)
            .unwrap();
    }

    /// What a thief with the director's first online keys would publish by tools of his own: files
    /// of a version far ahead.
    pub(crate) fn forge_far_ahead(&self, version: u64, order: (TargetPath, TargetFile)) {
        let expires = self.clock.now().unwrap().plus_seconds(86_400).unwrap();
        let header = Header::new(version, expires);
        let extra = || Object::from_iter([("custom".into(), custom_with_vin(&vin(CAR)).into())]);
        let mut targets = TargetsBuilder::new(expires);
        targets.targets = [order].into();
        targets.header = header.clone();
        targets.extra = extra();
        let mut snapshot = Snapshot::new(expires);
        snapshot.set_role("targets", MetaFile::version(version));
        snapshot.header = header.clone();
        snapshot.extra = extra();
        let publish = |role: &str, name: String, payload: String| {
            let uri = key_uri(&format!("director-{role}-1"));
            let key = countersign_signing::open(&uri, &self.secrets()).unwrap();
            let file = signed(payload, &*key).unwrap();
            fs::write(self.director_metadata(CAR).join(name), &file).unwrap();
            file
        };
        let name = format!("{version}.targets.json");
        publish("targets", name, targets.to_payload());
        let name = format!("{version}.snapshot.json");
        let file = publish("snapshot", name, snapshot.to_payload());
        let mut timestamp = Timestamp::new(expires, MetaFile::describing(version, &file));
        timestamp.header = header;
        timestamp.extra = extra();
        publish("timestamp", "timestamp.json".into(), timestamp.to_payload());
    }

    /// What the Image repository says of an image, made into an order for one ECU by whoever
    /// holds the director's keys.
    pub(crate) fn order(&self, image: &str, ecu: &EcuPlan) -> (TargetPath, TargetFile) {
        let mut service = self.service.lock();
        let listed = service.director().catalogue().image(&path(image)).unwrap();
        let counter = listed.custom.release_counter;
        let file = listed.file.clone();
        (path(image), order_for(file, counter, ecu))
    }

    /// What an ECU of the usual vehicle runs.
    pub(crate) fn runs(&self, ecu: &EcuPlan) -> Vec<u8> {
        fs::read(ecu.active_image(&self.vehicle_folder(CAR))).unwrap()
    }

    pub(crate) fn runs_the_factory_image(&self, ecu: &EcuPlan) -> bool {
        self.runs(ecu).starts_with(b"the factory's image")
    }

    /// What the director has last heard that an ECU runs.
    pub(crate) fn heard(&self, ecu: &str) -> Option<String> {
        let mut service = self.service.lock();
        let heard = service.director().heard(&vin(CAR))?.get(&serial(ecu))?;
        let installed = heard.installed.as_ref()?;
        Some(installed.filepath.to_string())
    }

    /// Where the vehicle gets the Director's metadata.
    pub(crate) fn director_metadata(&self, name: &str) -> PathBuf {
        self.service.lock().folder_of(&vin(name)).join("metadata")
    }

    pub(crate) fn rotate_director_keys(&self, generation: &str) {
        let now = self.clock.now().unwrap();
        let keys = online_keys(&self.secrets(), generation);
        let mut service = self.service.lock();
        service.director().rotate_online_keys(keys, now).unwrap();
    }
}

/// The Image repository, by the tool that makes real ones.
impl World {
    pub(crate) fn published(&self) -> PathBuf {
        self.path().join("repository/published")
    }

    fn repository(&self) -> Repository {
        let folder = self.path().join("repository");
        let secrets = Secrets::unattended(&folder);
        Repository::open(&folder, self.clock.now().unwrap(), secrets).unwrap()
    }

    fn start_repository(&mut self) {
        let folder = self.path().join("repository");
        fs::create_dir_all(folder.join("keys")).unwrap();
        let secrets = || Secrets::unattended(&folder);
        let role = |name: &str, expires: &str| {
            let uri = key_uri(name);
            countersign_signing::generate(&uri, Algorithm::Ed25519, &secrets()).unwrap();
            RolePolicy {
                threshold: 1,
                keys: vec![uri.to_string()],
                expires: expires.parse().unwrap(),
            }
        };
        let policy = Policy::new(TopLevel {
            root: role("root", "365d"),
            targets: role("targets", "90d"),
            snapshot: role("snapshot", "14d"),
            timestamp: role("timestamp", "2d"),
        });
        let now = self.clock.now().unwrap();
        Repository::init(&folder, Some(&policy), now, secrets()).unwrap();
        self.publish_images();
        self.image_root = fs::read(self.published().join("metadata/1.root.json")).unwrap();
    }

    /// Releases an image for an ECU's hardware, and lets the director know.
    pub(crate) fn release(&self, name: &str, ecu: &EcuPlan, counter: u64, image: &[u8]) {
        let hardware = vec![ecu.hardware_id.clone()];
        self.release_as(
            name,
            ImageCustom::new(hardware, counter),
            image,
            Visibility::Public,
        );
    }

    /// As [`World::release`], and only the director gets the bytes, to encrypt them.
    pub(crate) fn release_confidential(
        &self,
        name: &str,
        ecu: &EcuPlan,
        counter: u64,
        image: &[u8],
    ) {
        let custom = ImageCustom::new(vec![ecu.hardware_id.clone()], counter);
        self.release_shared(name, custom, image);
    }

    /// A confidential image, with everything that is said of it.
    pub(crate) fn release_shared(&self, name: &str, custom: ImageCustom, image: &[u8]) {
        self.release_as(name, custom, image, Visibility::Confidential);
        let mut service = self.service.lock();
        service.encrypt(&path(name), &mut &image[..]).unwrap();
    }

    fn release_as(&self, name: &str, custom: ImageCustom, image: &[u8], visibility: Visibility) {
        let source = self.path().join("image");
        fs::write(&source, image).unwrap();
        let new = NewTarget {
            source: source.clone(),
            name: name.into(),
            custom: Some(custom.to_object()),
            visibility,
        };
        self.repository().add_targets(&[new], None).unwrap();
        fs::remove_file(&source).unwrap();
        self.publish_images();
        self.look_up(name);
    }

    pub(crate) fn publish_images(&self) {
        let mut repository = self.repository();
        repository.sign(&[]).unwrap();
        repository.publish(Outgoing::Sign).unwrap();
    }

    /// The director finds the image as a client would.
    fn look_up(&self, name: &str) {
        let mut store = MemoryStore::new();
        store.save(&StoreName::Root, &self.image_root, 1).unwrap();
        let url = format!("file://{}/metadata/", self.published().display());
        let mut client = Client::new(FileFetcher::new(), store, &url);
        let mut trusted = client
            .refresh(Context::new(self.clock.now().unwrap()))
            .unwrap();
        let listed = client.find(&mut trusted, name).unwrap();
        self.service
            .lock()
            .director()
            .catalogue()
            .add(&listed)
            .unwrap();
    }
}

/// An order for one ECU.
pub(crate) fn order_for(file: TargetFile, counter: u64, ecu: &EcuPlan) -> TargetFile {
    let ecus = [(ecu.serial.clone(), ecu.hardware_id.clone())].into();
    TargetFile {
        custom: Some(DirectorCustom::new(ecus, counter).to_object()),
        ..file
    }
}

fn fetcher() -> UrlFetcher {
    UrlFetcher::new(HttpFetcher::new(Patience::default(), TlsRoots::mozilla()))
}

fn key_uri(name: &str) -> KeyUri {
    format!("file:keys/{name}.pem?encryption=none")
        .parse()
        .unwrap()
}

fn new_key(secrets: &Secrets, name: &str) -> Box<dyn Signer> {
    let uri = key_uri(name);
    fs::create_dir_all(secrets.resolve(Path::new("keys"))).unwrap();
    countersign_signing::generate(&uri, Algorithm::Ed25519, secrets).unwrap();
    countersign_signing::open(&uri, secrets).unwrap()
}

fn online_keys(secrets: &Secrets, generation: &str) -> OnlineKeys {
    let key = |role: &str| new_key(secrets, &format!("director-{role}-{generation}"));
    OnlineKeys {
        timestamp: key("timestamp"),
        snapshot: key("snapshot"),
        targets: key("targets"),
        time: key("time"),
    }
}

/// The code of the refusal that ended a cycle.
pub(crate) fn refused(cycle: &Cycle) -> Option<Code> {
    cycle.refused.as_ref().map(|reject| reject.code)
}

pub(crate) fn outcome<'c>(cycle: &'c Cycle, ecu: &str) -> &'c EcuOutcome {
    let outcome = cycle.ecus.get(&serial(ecu));
    outcome.unwrap_or_else(|| panic!("nothing about {ecu}: {cycle:?}"))
}

/// Whether an ECU refused with this code.
pub(crate) fn refuses(cycle: &Cycle, ecu: &str, code: Code) -> bool {
    matches!(outcome(cycle, ecu), EcuOutcome::Refused(Refusal { code: found, .. })
        if *found == code.number())
}

#[track_caller]
pub(crate) fn assert_installed(cycle: &Cycle, ecus: &[&str]) {
    assert!(cycle.refused.is_none(), "{cycle:?}");
    for ecu in ecus {
        assert_eq!(outcome(cycle, ecu), &EcuOutcome::Installed, "{cycle:?}");
    }
    assert_eq!(cycle.unreported, None);
}
