//! What a Primary has verified and serves: both repositories, small and honest unless a test says
//! otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use countersign_client::store::{MemoryStore, Store, StoreName};
use countersign_client::uptane::link::{
    Fetch, LinkError, Mirror, Part, Repository, Source, Wanted,
};
use countersign_encryption::{ContentKey, FileInfo, WrapContext, encrypt, wrap};
use countersign_metadata::uptane::{
    DirectorCustom, EcuSerial, EncryptedTarget, EncryptionKey, HardwareId, ImageCustom, Nonce,
    TimeAttestation, Vin, custom_with_vin, set_time_server,
};
use countersign_metadata::{
    Hashes, Key, MetaFile, PublicKey, RoleType, Root, Snapshot, TargetFile, TargetPath,
    TargetsBuilder, Timestamp, Unsigned, UtcTime,
};
use countersign_verifier::uptane::Ecu;
use ring::signature::{Ed25519KeyPair, KeyPair};

/// An Ed25519 key from a number.
#[derive(Clone, Copy)]
pub(crate) struct TestKey(pub(crate) u8);

impl TestKey {
    fn pair(self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[self.0; 32]).unwrap()
    }

    pub(crate) fn key(self) -> Key {
        let public = self.pair().public_key().as_ref().try_into().unwrap();
        Key::new(&PublicKey::Ed25519(public))
    }

    pub(crate) fn sign(self, message: &[u8]) -> Vec<u8> {
        self.pair().sign(message).as_ref().to_vec()
    }

    fn file(self, payload: String) -> Vec<u8> {
        let mut file = Unsigned::new(payload);
        let signature = self.sign(file.payload());
        file.add_signature(self.key().id(), signature);
        file.to_file()
    }
}

pub(crate) const TIME_KEY: TestKey = TestKey(9);
pub(crate) const SERIAL: &str = "door-left";
pub(crate) const HARDWARE: &str = "door-1";

pub(crate) fn vin() -> Vin {
    Vin::new("VIN1").unwrap()
}

pub(crate) fn serial() -> EcuSerial {
    EcuSerial::new(SERIAL).unwrap()
}

pub(crate) fn hardware() -> HardwareId {
    HardwareId::new(HARDWARE).unwrap()
}

/// The Secondary.
pub(crate) fn door() -> Ecu {
    Ecu {
        serial: serial(),
        hardware_id: hardware(),
    }
}

/// The Primary.
pub(crate) fn head_unit() -> Ecu {
    Ecu {
        serial: EcuSerial::new("head-unit").unwrap(),
        hardware_id: HardwareId::new("head-unit-1").unwrap(),
    }
}

/// An image as both repositories speak of it.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) release_counter: u64,
    /// The ECU that it is for.
    pub(crate) ecu: Ecu,
    /// The ECU's key that it is encrypted for, if it is.
    pub(crate) encrypted_for: Option<EncryptionKey>,
}

impl Image {
    pub(crate) fn new(name: &'static str, release_counter: u64) -> Self {
        // Several of the parts in which an image is fetched.
        let bytes = name.bytes().cycle().take(150_000).collect();
        Self {
            name,
            bytes,
            release_counter,
            ecu: door(),
            encrypted_for: None,
        }
    }

    pub(crate) fn path(&self) -> TargetPath {
        TargetPath::new(self.name).unwrap()
    }

    fn file(&self) -> TargetFile {
        TargetFile::describing(&self.bytes)
    }
}

/// The two repositories. Every publishing is an hour later and a version higher.
pub(crate) struct Site {
    directory: PathBuf,
    pub(crate) now: UtcTime,
    pub(crate) vin: Vin,
    version: u64,
    director: MemoryStore,
    image: MemoryStore,
    images: BTreeMap<String, PathBuf>,
    /// What was asked for since the last look.
    pub(crate) asked: BTreeSet<Wanted>,
}

impl Site {
    /// Nothing is published yet.
    pub(crate) fn new(directory: &Path) -> Self {
        fs::create_dir_all(directory).unwrap();
        let mut site = Self {
            directory: directory.to_owned(),
            now: "2030-01-01T00:00:00Z".parse().unwrap(),
            vin: vin(),
            version: 0,
            director: MemoryStore::new(),
            image: MemoryStore::new(),
            images: BTreeMap::new(),
            asked: BTreeSet::new(),
        };
        for (store, first) in [(&mut site.director, 1), (&mut site.image, 5)] {
            store.save(&StoreName::Root, &root(first), 1).unwrap();
        }
        site
    }

    /// The first Root of a repository, as an ECU is provisioned with it.
    pub(crate) fn root(repository: Repository) -> Vec<u8> {
        root(match repository {
            Repository::Director => 1,
            Repository::Image => 5,
        })
    }

    /// Both repositories list `image`, and the Director wants it on its ECU.
    pub(crate) fn publish(&mut self, image: &Image) {
        self.publish_apart(&[image], &[image]);
    }

    /// What each repository says of images.
    pub(crate) fn publish_apart(&mut self, directed: &[&Image], listed: &[&Image]) {
        self.version += 1;
        self.now = self.now.plus_seconds(3600).unwrap();
        let directed = directed.iter();
        let director = directed
            .map(|image| (image.path(), self.directed(image)))
            .collect();
        let listed = listed.iter().map(|image| {
            let hardware_ids = vec![image.ecu.hardware_id.clone()];
            let custom = ImageCustom::new(hardware_ids, image.release_counter);
            let file = TargetFile {
                custom: Some(custom.to_object()),
                ..image.file()
            };
            (image.path(), file)
        });
        let image = listed.collect();
        let vin = self.vin.clone();
        self.put(Repository::Director, 1, Some(&vin), director);
        self.put(Repository::Image, 5, None, image);
    }

    fn directed(&mut self, image: &Image) -> TargetFile {
        let Ecu {
            serial,
            hardware_id,
        } = image.ecu.clone();
        let ecus = [(serial, hardware_id)].into();
        let mut custom = DirectorCustom::new(ecus, image.release_counter);
        let mut served = image.bytes.clone();
        if let Some(recipient) = &image.encrypted_for {
            let mut ciphertext = Vec::new();
            let done = encrypt(&mut &image.bytes[..], &mut ciphertext).unwrap();
            custom = self.encrypted(image, custom, &done.key, recipient, &ciphertext);
            served = ciphertext;
        }
        let name = format!("sha256-{}", hex(&Hashes::of(&served).sha256.unwrap()));
        let path = self.directory.join(&name);
        fs::write(&path, served).unwrap();
        self.images.insert(name, path);
        TargetFile {
            custom: Some(custom.to_object()),
            ..image.file()
        }
    }

    fn encrypted(
        &self,
        image: &Image,
        mut custom: DirectorCustom,
        key: &ContentKey,
        recipient: &EncryptionKey,
        ciphertext: &[u8],
    ) -> DirectorCustom {
        let info = |bytes: &[u8]| FileInfo {
            length: bytes.len() as u64,
            hashes: Hashes::of(bytes),
        };
        let method = countersign_encryption::METHOD;
        let context = WrapContext {
            vin: self.vin.clone(),
            serial: image.ecu.serial.clone(),
            filename: image.path(),
            release_counter: image.release_counter,
            method: method.into(),
            plaintext: info(&image.bytes),
            ciphertext: info(ciphertext),
        };
        let wrapped = wrap(key, recipient, &context).unwrap();
        let filename = TargetPath::new("encrypted.bin").unwrap();
        let FileInfo { length, hashes } = info(ciphertext);
        custom.encrypted = Some(EncryptedTarget::new(filename, length, hashes, method));
        custom.wrapped_keys = [(image.ecu.serial.clone(), wrapped)].into();
        custom
    }

    fn put(
        &mut self,
        repository: Repository,
        first: u8,
        vin: Option<&Vin>,
        images: Vec<(TargetPath, TargetFile)>,
    ) {
        let expires = self.now.plus_seconds(24 * 3600).unwrap();
        let extra = vin.map(|vin| ("custom".to_owned(), custom_with_vin(vin).into()));
        let mut targets = TargetsBuilder::new(expires);
        targets.header.version = self.version;
        targets.extra.extend(extra.clone());
        targets.targets.extend(images);
        let targets = TestKey(first + 3).file(targets.to_payload());
        let mut snapshot = Snapshot::new(expires);
        snapshot.header.version = self.version;
        snapshot.extra.extend(extra.clone());
        snapshot.set_role("targets", MetaFile::version(self.version));
        let snapshot = TestKey(first + 2).file(snapshot.to_payload());
        let entry = MetaFile::describing(self.version, &snapshot);
        let mut timestamp = Timestamp::new(expires, entry);
        timestamp.header.version = self.version;
        timestamp.extra.extend(extra);
        let timestamp = TestKey(first + 1).file(timestamp.to_payload());
        let store = match repository {
            Repository::Director => &mut self.director,
            Repository::Image => &mut self.image,
        };
        for (name, bytes) in [
            (StoreName::Timestamp, timestamp),
            (StoreName::Snapshot, snapshot),
            (StoreName::Targets, targets),
        ] {
            store.save(&name, &bytes, 1).unwrap();
        }
    }

    /// The time, attested for `nonce`.
    pub(crate) fn attest(&self, nonce: Nonce) -> Vec<u8> {
        let attestation = TimeAttestation {
            time: self.now,
            nonces: vec![Nonce([0; 16]), nonce],
            extra: Default::default(),
        };
        TIME_KEY.file(attestation.to_payload())
    }

    /// Writes what a web server would serve for each repository: its `metadata/`, and the images
    /// in the Image repository's `targets/`.
    pub(crate) fn write_files(&self, images: &[&Image]) {
        let write = |path: PathBuf, bytes: &[u8]| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        for (name, store) in [("director", &self.director), ("image", &self.image)] {
            for (file, stored) in store.files() {
                let version = self.version;
                let file = match file {
                    StoreName::Timestamp => "timestamp.json".to_owned(),
                    StoreName::Snapshot => format!("{version}.snapshot.json"),
                    StoreName::Targets => format!("{version}.targets.json"),
                    StoreName::RootHistory(version) => format!("{version}.root.json"),
                    _ => continue,
                };
                let directory = self.directory.join(name).join("metadata");
                write(directory.join(file), &stored.bytes);
            }
        }
        for image in images {
            let hash = hex(&Hashes::of(&image.bytes).sha256.unwrap());
            let targets = self.directory.join("image/targets");
            write(targets.join(format!("{hash}.{}", image.name)), &image.bytes);
        }
    }

    /// Where [`Site::write_files`] puts a repository.
    pub(crate) fn url(&self, repository: Repository) -> String {
        format!("file://{}/{}", self.directory.display(), repository.name())
    }

    /// Changes a byte in the middle of every image that is served.
    pub(crate) fn tamper(&self) {
        for path in self.images.values() {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        }
    }

    /// Whether anything of a repository, or an image, was asked for; forgets it.
    pub(crate) fn was_asked(&mut self) -> (bool, bool) {
        let asked = std::mem::take(&mut self.asked);
        let image_metadata = asked.iter().any(|wanted| {
            matches!(wanted, Wanted::Metadata { repository, .. } if *repository == Repository::Image)
        });
        let image = asked
            .iter()
            .any(|wanted| matches!(wanted, Wanted::Image { .. }));
        (image_metadata, image)
    }

    /// Puts the state of another moment back, as a replay.
    pub(crate) fn stores(&self) -> (MemoryStore, MemoryStore) {
        (self.director.clone(), self.image.clone())
    }

    pub(crate) fn replay(&mut self, (director, image): (MemoryStore, MemoryStore)) {
        (self.director, self.image) = (director, image);
    }
}

impl Source for Site {
    fn part(&mut self, fetch: &Fetch) -> Result<Option<Part>, LinkError> {
        self.asked.insert(fetch.file.clone());
        let mut mirror = Mirror::new(&mut self.director, &mut self.image);
        for (name, path) in &self.images {
            mirror.add_image(name, path.clone());
        }
        mirror.part(fetch)
    }
}

/// Root with the keys `first` to `first + 3` for its four roles.
fn root(first: u8) -> Vec<u8> {
    let expires = "2031-01-01T00:00:00Z".parse().unwrap();
    let mut root = Root::new(expires, true);
    let roles = [
        RoleType::Root,
        RoleType::Timestamp,
        RoleType::Snapshot,
        RoleType::Targets,
    ];
    for (number, role) in (first..).zip(roles) {
        root.add_key(role, TestKey(number).key());
    }
    if first == 1 {
        set_time_server(&mut root, [TIME_KEY.key()], 1);
    }
    TestKey(first).file(root.to_payload())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
