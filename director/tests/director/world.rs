//! A Director with real keys, an Image repository in a folder, and a clock that the test turns.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use countersign_client::fetch::TlsRoots;
use countersign_director::blobs::{BlobSettings, Blobs};
use countersign_director::keys::{KeyUris, Keyring};
use countersign_director::service::{Actor, ImageSource, Parts, RootError, Rules, Service};
use countersign_director_domain::keys::signed;
use countersign_ecu_keys::ImageKey;
use countersign_metadata::uptane::{EncryptionAlgorithm, ImageCustom, set_time_server};
use countersign_metadata::{
    MetaFile, RoleType, Root, Snapshot, TargetFile, TargetPath, TargetsBuilder, Timestamp, UtcTime,
};
use countersign_signing::{Algorithm, DecryptionKey, KeyUri, Secrets, Signer};
use tempfile::TempDir;

use crate::places::Place;

/// When every test begins.
pub(crate) const START: &str = "2031-05-06T07:08:09Z";

pub(crate) const DAY: i64 = 86_400;

/// The Director's roles that sign online.
const ROLES: [&str; 4] = ["targets", "snapshot", "timestamp", "time"];

pub(crate) struct World {
    pub(crate) place: Place,
    folder: TempDir,
    clock: Arc<AtomicI64>,
    /// What the Image repository lists, and how often it was published.
    listed: BTreeMap<TargetPath, (Vec<u8>, ImageCustom)>,
    releases: u64,
    /// Each process has its own copy of the Image repository's metadata.
    processes: AtomicU32,
    roots: Vec<Root>,
}

pub(crate) fn operator() -> Actor {
    Actor::operator()
}

pub(crate) fn path(text: &str) -> TargetPath {
    TargetPath::new(text).unwrap()
}

pub(crate) fn at(text: &str) -> UtcTime {
    text.parse().unwrap()
}

/// A key in a file, made when it is first asked for.
pub(crate) fn key(folder: &Path, name: &str) -> Box<dyn Signer> {
    let (uri, secrets) = (uri(name), Secrets::unattended(folder));
    if !folder.join(format!("{name}.pem")).exists() {
        countersign_signing::generate(&uri, Algorithm::Ed25519, &secrets).unwrap();
    }
    countersign_signing::open(&uri, &secrets).unwrap()
}

/// The same for a key that content keys are wrapped to.
pub(crate) fn image_key(folder: &Path, name: &str) -> ImageKey {
    let (uri, secrets) = (uri(name), Secrets::unattended(folder));
    if !folder.join(format!("{name}.pem")).exists() {
        let algorithm = EncryptionAlgorithm::X25519;
        countersign_signing::generate_decryption_key(&uri, algorithm, &secrets).unwrap();
    }
    ImageKey(DecryptionKey::open(&uri, &secrets).unwrap())
}

fn uri(name: &str) -> KeyUri {
    format!("file:{name}.pem?encryption=none").parse().unwrap()
}

/// The keys of these generations, each under the name `ROLE-GENERATION`.
pub(crate) fn uris(generations: &[u32]) -> KeyUris {
    let of = |role: &str| {
        let names = generations
            .iter()
            .map(|generation| format!("{role}-{generation}"));
        names.map(|name| uri(&name)).collect::<Vec<_>>()
    };
    let [targets, snapshot, timestamp, time] = ROLES.map(of);
    KeyUris {
        targets,
        snapshot,
        timestamp,
        time,
        ..KeyUris::default()
    }
}

impl World {
    /// One on each engine, whose Root lists the keys of generation 1.
    pub(crate) async fn all() -> Vec<Self> {
        let mut worlds = Vec::new();
        for place in Place::all().await {
            worlds.push(Self::on(place).await);
        }
        worlds
    }

    pub(crate) async fn on(place: Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["keys", "blobs", "spool", "image/metadata"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let mut world = Self {
            place,
            folder,
            clock: Arc::new(AtomicI64::new(at(START).unix())),
            listed: BTreeMap::new(),
            releases: 0,
            processes: AtomicU32::new(0),
            roots: Vec::new(),
        };
        world.first_image_root();
        world.publish([]);
        let service = world.service().await;
        world.import_root(&service, 1).await.unwrap();
        world
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.folder("keys")
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn now(&self) -> UtcTime {
        UtcTime::from_unix(self.clock.load(Ordering::SeqCst)).unwrap()
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// A process of the Director that has the keys of generation 1.
    pub(crate) async fn service(&self) -> Service {
        self.service_with(&[1], Self::rules()).await
    }

    /// Nothing is answered out of memory.
    pub(crate) fn rules() -> Rules {
        Rules {
            poll_cache: Duration::ZERO,
            ..Rules::default()
        }
    }

    pub(crate) async fn service_with(&self, generations: &[u32], rules: Rules) -> Service {
        let keys = self.keys();
        for generation in generations {
            for role in ROLES {
                key(&keys, &format!("{role}-{generation}"));
            }
        }
        let secrets = Arc::new(Secrets::unattended(&keys));
        let process = self.processes.fetch_add(1, Ordering::Relaxed);
        let clock = Arc::clone(&self.clock);
        let blobs = BlobSettings::at(&format!("file://{}", self.folder("blobs").display()));
        let parts = Parts {
            database: self.place.open().await,
            blobs: Blobs::open(&blobs).unwrap(),
            keyring: Keyring::open(&uris(generations), &secrets, 2).unwrap(),
            vaults: vec![image_key(&keys, "vault")],
            images: ImageSource {
                url: format!("file://{}", self.folder("image").display()),
                root: fs::read(self.folder("image/metadata/1.root.json")).unwrap(),
                folder: self.folder(&format!("image-store-{process}")),
                authorities: TlsRoots::mozilla(),
            },
            rules,
            spool: self.folder("spool"),
            clock: Arc::new(move || UtcTime::from_unix(clock.load(Ordering::SeqCst))),
        };
        Service::new(parts).await.unwrap()
    }

    /// Has the next Root list the keys of this generation, and imports it.
    pub(crate) async fn import_root(
        &mut self,
        service: &Service,
        generation: u32,
    ) -> Result<u64, RootError> {
        let (root, bytes) = self.next_root(generation);
        let version = service.import_root(bytes, &operator(), self.now()).await?;
        self.roots.push(root);
        Ok(version)
    }

    /// The next Root, with the keys of this generation, and its file.
    pub(crate) fn next_root(&self, generation: u32) -> (Root, Vec<u8>) {
        let keys = self.keys();
        let by = key(&keys, "root");
        let expires = self.now().plus_seconds(365 * DAY).unwrap();
        let mut root = match self.roots.last() {
            Some(last) => {
                let mut next = last.next(expires);
                for role in [RoleType::Timestamp, RoleType::Snapshot, RoleType::Targets] {
                    for id in last.roles[&role].keyids.clone() {
                        next.remove_key(role, &id);
                    }
                }
                next
            }
            None => {
                let mut root = Root::new(expires, true);
                root.add_key(RoleType::Root, by.key());
                root
            }
        };
        let listed = |role: &str| key(&keys, &format!("{role}-{generation}")).key();
        root.add_key(RoleType::Targets, listed("targets"));
        root.add_key(RoleType::Snapshot, listed("snapshot"));
        root.add_key(RoleType::Timestamp, listed("timestamp"));
        set_time_server(&mut root, [listed("time")], 1);
        let bytes = signed(root.to_payload(), &*by).unwrap();
        (root, bytes)
    }

    /// The Root with this version, as vehicles have it from the factory.
    pub(crate) fn root(&self, version: usize) -> &Root {
        &self.roots[version - 1]
    }

    fn first_image_root(&self) {
        let by = key(&self.keys(), "image");
        let mut root = Root::new(at("2051-01-01T00:00:00Z"), true);
        for role in [
            RoleType::Root,
            RoleType::Timestamp,
            RoleType::Snapshot,
            RoleType::Targets,
        ] {
            root.add_key(role, by.key());
        }
        self.write_metadata("1.root.json", &signed(root.to_payload(), &*by).unwrap());
    }

    /// Lists images in the Image repository, in the place of what had their paths.
    pub(crate) fn publish(
        &mut self,
        images: impl IntoIterator<Item = (&'static str, Vec<u8>, ImageCustom)>,
    ) {
        for (name, bytes, custom) in images {
            self.listed.insert(path(name), (bytes, custom));
        }
        self.releases += 1;
        let (by, version) = (key(&self.keys(), "image"), self.releases);
        let expires = at("2051-01-01T00:00:00Z");
        let mut targets = TargetsBuilder::new(expires);
        targets.header.version = version;
        for (path, (bytes, custom)) in &self.listed {
            let file = TargetFile {
                custom: Some(custom.to_object()),
                ..TargetFile::describing(bytes)
            };
            targets.targets.insert(path.clone(), file);
        }
        let mut snapshot = Snapshot::new(expires);
        snapshot.header.version = version;
        snapshot.set_role("targets", MetaFile::version(version));
        let snapshot = signed(snapshot.to_payload(), &*by).unwrap();
        let listed = MetaFile::describing(version, &snapshot);
        let mut timestamp = Timestamp::new(expires, listed);
        timestamp.header.version = version;
        let targets = signed(targets.to_payload(), &*by).unwrap();
        self.write_metadata(&format!("{version}.targets.json"), &targets);
        self.write_metadata(&format!("{version}.snapshot.json"), &snapshot);
        let timestamp = signed(timestamp.to_payload(), &*by).unwrap();
        self.write_metadata("timestamp.json", &timestamp);
    }

    fn write_metadata(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder("image/metadata").join(name), bytes).unwrap();
    }
}
