//! The image repository's releases for vehicles, a director, and one vehicle.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use countersign_client::client::{Client, initialise};
use countersign_client::clock::system_time;
use countersign_client::fetch::{HttpFetcher, Patience, TlsRoots, UrlFetcher};
use countersign_client::store::MemoryStore;
use countersign_client::uptane::link::Verification;
use countersign_client::uptane::primary::Cycle;
use countersign_metadata::uptane::{EcuSerial, HardwareId, Mapping, OfflineName, Vin};
use countersign_metadata::{TargetFile, TargetPath};
use countersign_signing::{Secrets, Signer};
use countersign_vehicle_sim::director::{
    Director, DirectorKeys, Lifetimes, OfflineKeys, OnlineKeys,
};
use countersign_vehicle_sim::{
    BundlePolicy, Clock, Connection, Controls, DirectorConnection, EcuPlan, Factory,
    ImageRepository, Plan, Service, Shared, Vehicle, carry, provision,
};
use countersign_verifier::Context;
use serde_json::json;

use crate::server::{Server, Tricks};
use crate::stage::{Stage, copy_folder};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

pub(super) const GATEWAY: &str = "GATEWAY-1";
pub(super) const TELEMATICS: &str = "TELEMATICS-1";
pub(super) const BRAKE: &str = "BRAKE-1";
pub(super) const VIN: &str = "1FVNY5Y90HP312888";
pub(super) const OTHER_VIN: &str = "JH4DB1550NS000306";

/// The firmware that is confidential: published nowhere.
pub(super) const TELEMATICS_FILE: &str = "u-boot-qemu-riscv64_smode.bin";

/// Image, firmware, hardware, release counter, and whether it is confidential.
const RELEASES: [(&str, &str, &str, u64, bool); 7] = [
    ("gateway-1.img", "vmlinuz-old", "gateway-a", 1, false),
    ("gateway-2.img", "vmlinuz-new", "gateway-a", 2, false),
    ("gateway-3.img", "vmlinuz-old", "gateway-a", 3, false),
    ("brake.img", "u-boot-qemu_arm64.bin", "brake-c", 1, false),
    ("brake-2.img", "opensbi-fw_dynamic.bin", "brake-c", 2, false),
    ("brake-3.img", "opensbi-fw_jump.bin", "brake-c", 3, false),
    ("telematics.img", TELEMATICS_FILE, "telematics-b", 1, true),
];

/// Describes and publishes the images of vehicles.
pub(super) fn release(stage: &Stage) -> Result<()> {
    for (name, file, hardware, counter, confidential) in RELEASES {
        let custom = stage.folder.join("custom.json");
        let says = json!({ "hardwareIds": [hardware], "releaseCounter": counter });
        fs::write(&custom, says.to_string())?;
        let (file, custom) = (stage.firmware.join(file), custom.display().to_string());
        let file = file.display().to_string();
        let mut words = vec!["target", "add", &file, "--name", name, "--custom", &custom];
        if confidential {
            words.push("--confidential");
        }
        stage.repo(words)?;
    }
    stage.repo(["sign"])?;
    stage.repo(["publish"])?;
    Ok(())
}

/// Makes a key of the director in its token, by its name.
type MakeKey = dyn Fn(&str) -> Result<Box<dyn Signer>>;

/// A director at work and a vehicle on the road.
pub(super) struct World {
    service: Shared,
    vehicle: Vehicle<UrlFetcher, DirectorConnection>,
    folder: PathBuf,
    /// The image repository as everybody finds it.
    image_url: String,
    image_root: Vec<u8>,
    /// What the vehicle gets to see of the director's files.
    mirror: PathBuf,
    plan: Plan,
    keys: u32,
    make_key: Box<MakeKey>,
}

impl World {
    pub(super) fn build(stage: &Stage) -> Result<Self> {
        let thief_proof = stage.clone();
        let make = move |name: &str| {
            let uri = thief_proof.uri("director", name);
            thief_proof.generate(&uri, "ecdsa-p256")?;
            thief_proof.steal(&uri)
        };
        let keys = DirectorKeys {
            root: make("root")?,
            online: online(&make, 1)?,
            offline: OfflineKeys {
                snapshot: make("offline-snapshot")?,
                targets: make("offline-targets")?,
            },
        };
        let now = system_time().ok_or("the clock is off")?;
        let mut director = Director::new(keys, Lifetimes::default(), now)?;
        let image = Server::start(&stage.published(), Tricks::new())?;
        catalogue(stage, &image, &mut director)?;
        let director_root = director.roots()[0].clone();
        let image_root = fs::read(stage.published().join("metadata/1.root.json"))?;
        let service = Service::new(director, stage.folder.join("director"), Clock::default());
        let service = service.shared();
        for (number, vin) in [VIN, OTHER_VIN].into_iter().enumerate() {
            let vin = Vin::new(vin)?;
            let mirror = mirror(stage, number);
            fs::create_dir_all(&mirror)?;
            let files = Server::start(&mirror, Tricks::new())?;
            let mapping = Mapping::both(vec![files.url("")], vec![image.url("")])?;
            let factory = Factory {
                director_root: &director_root,
                image_root: &image_root,
                mapping: &mapping,
            };
            let plan = plan(stage, vin.clone(), number)?;
            let folder = vehicle_folder(stage, number);
            let record = provision(&folder, &plan, &factory, &Secrets::unattended(&folder))?;
            service.lock().register(&vin, record)?;
        }
        let (vin, folder) = (Vin::new(VIN)?, vehicle_folder(stage, 0));
        let secrets = Secrets::unattended(&folder);
        let vehicle = Vehicle::open(&folder, fetcher(), service.link(&vin), &secrets)?;
        Ok(Self {
            plan: Plan::read(&folder)?,
            service,
            vehicle,
            folder,
            image_url: image.url(""),
            image_root,
            mirror: mirror(stage, 0),
            keys: 1,
            make_key: Box::new(make),
        })
    }

    /// A cycle with what the director has published until now.
    pub(super) fn cycle(&mut self) -> Result<Cycle> {
        self.bring_up_to_date()?;
        self.cycle_with_what_is_served()
    }

    /// A cycle with whatever lies on the mirror.
    pub(super) fn cycle_with_what_is_served(&mut self) -> Result<Cycle> {
        Ok(self.vehicle.cycle()?)
    }

    pub(super) fn bring_up_to_date(&self) -> Result<()> {
        let published = self.service.lock().folder_of(&Vin::new(VIN)?);
        copy_folder(&published, &self.mirror)
    }

    /// Where the mirror has the director's metadata.
    pub(super) fn served(&self) -> PathBuf {
        self.mirror.join("metadata")
    }

    pub(super) fn assign(&self, ecu: &str, image: &str) -> Result<()> {
        let (vin, serial) = (Vin::new(VIN)?, EcuSerial::new(ecu)?);
        self.service
            .lock()
            .assign(&vin, &serial, &TargetPath::new(image)?)?;
        Ok(())
    }

    /// Encrypts a confidential image; the length of the ciphertext in bytes.
    pub(super) fn encrypt(&self, image: &str, file: &Path) -> Result<u64> {
        let path = TargetPath::new(image)?;
        let encrypted = self.service.lock().encrypt(&path, &mut File::open(file)?)?;
        Ok(encrypted.length)
    }

    /// Length and hashes of an image as the image repository lists it.
    pub(super) fn listed(&self, image: &str) -> Result<TargetFile> {
        let mut service = self.service.lock();
        let image = service
            .director()
            .catalogue()
            .image(&TargetPath::new(image)?);
        Ok(image.ok_or("no such image")?.file.clone())
    }

    /// Publishes what the director would not, with its keys.
    pub(super) fn publish_orders(&self, orders: BTreeMap<TargetPath, TargetFile>) -> Result<()> {
        Ok(self
            .service
            .lock()
            .publish_orders(&Vin::new(VIN)?, orders)?)
    }

    /// Publishes what the director has decided.
    pub(super) fn publish(&self) -> Result<()> {
        Ok(self.service.lock().publish(&Vin::new(VIN)?)?)
    }

    /// Where a vehicle's files of the director are.
    pub(super) fn published(&self, vin: &str) -> Result<PathBuf> {
        let folder = self.service.lock().folder_of(&Vin::new(vin)?);
        Ok(folder.join("metadata"))
    }

    /// What is assigned, on a stick.
    pub(super) fn carry(&self, name: &str) -> Result<PathBuf> {
        let bundle = self.folder.with_extension("stick.tar");
        let from = ImageRepository {
            url: self.image_url.clone(),
            root: self.image_root.clone(),
            fetcher: fetcher(),
        };
        let (vin, name) = (Vin::new(VIN)?, OfflineName::new(name)?);
        carry(&self.service, &vin, &name, from, &bundle, |_| Ok(()))?;
        Ok(bundle)
    }

    /// A cycle where nobody can be reached, with what is on the stick.
    pub(super) fn cycle_from(&mut self, bundle: &Path) -> Result<Cycle> {
        let away = self.mirror.with_extension("away");
        fs::rename(&self.mirror, &away)?;
        self.service.lock().set_reachable(false);
        let cycle = self.vehicle.cycle_from(bundle);
        self.service.lock().set_reachable(true);
        fs::rename(&away, &self.mirror)?;
        Ok(cycle?)
    }

    /// New online keys by a new Root.
    pub(super) fn rotate(&mut self) -> Result<()> {
        self.keys += 1;
        let now = system_time().ok_or("the clock is off")?;
        let keys = online(&*self.make_key, self.keys)?;
        let mut service = self.service.lock();
        service.director().rotate_online_keys(keys, now)?;
        service.publish(&Vin::new(VIN)?)?;
        Ok(())
    }

    pub(super) fn unplug(&self, ecu: &str) {
        self.controls(ecu, |controls| controls.set_reachable(false));
    }

    pub(super) fn plug_in(&self, ecu: &str) {
        self.controls(ecu, |controls| controls.set_reachable(true));
    }

    fn controls(&self, ecu: &str, set: impl Fn(&Controls)) {
        let serial = EcuSerial::new(ecu).ok();
        if let Some(controls) = serial.and_then(|serial| self.vehicle.controls(&serial)) {
            set(controls);
        }
    }

    /// What an ECU runs.
    pub(super) fn active(&self, ecu: &str) -> Result<Vec<u8>> {
        let ecu = self.plan.ecu(&serial(ecu)?).ok_or("no such ECU")?;
        Ok(fs::read(ecu.active_image(&self.folder))?)
    }

    /// What all of them run.
    pub(super) fn all_active(&self) -> Result<[Vec<u8>; 3]> {
        let [gateway, telematics, brake] = [GATEWAY, TELEMATICS, BRAKE].map(|ecu| self.active(ecu));
        Ok([gateway?, telematics?, brake?])
    }

    /// What an ECU has last reported to the director.
    pub(super) fn reported(&self, ecu: &str) -> String {
        let mut service = self.service.lock();
        let heard = || {
            let vin = Vin::new(VIN).ok()?;
            let heard = service.director().heard(&vin)?;
            let installed = heard.get(&EcuSerial::new(ecu).ok()?)?.installed.clone()?;
            Some(installed.filepath.to_string())
        };
        let mut heard = heard;
        heard().unwrap_or_default()
    }

    /// Whether the bytes of `file` are anywhere in the vehicle or at the director, other than
    /// where that ECU runs them.
    pub(super) fn holds_outside(&self, ecu: &str, file: &Path) -> Result<bool> {
        let plain = fs::read(file)?;
        let ecu = self.plan.ecu(&serial(ecu)?).ok_or("no such ECU")?;
        let own = ecu.folder(&self.folder);
        let director = self.published(VIN)?;
        let director = director.parent().ok_or("no folder")?;
        Ok(holds(&self.folder, &plain, &own)? || holds(director, &plain, &own)?)
    }
}

fn holds(folder: &Path, bytes: &[u8], except: &Path) -> Result<bool> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let found = match path.is_dir() {
            true if path == except => false,
            true => holds(&path, bytes, except)?,
            false => fs::read(&path)? == bytes,
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn fetcher() -> UrlFetcher {
    UrlFetcher::new(HttpFetcher::new(Patience::default(), TlsRoots::mozilla()))
}

pub(super) fn serial(ecu: &str) -> Result<EcuSerial> {
    Ok(EcuSerial::new(ecu)?)
}

fn online(make: &MakeKey, number: u32) -> Result<OnlineKeys> {
    Ok(OnlineKeys {
        timestamp: make(&format!("timestamp-{number}"))?,
        snapshot: make(&format!("snapshot-{number}"))?,
        targets: make(&format!("targets-{number}"))?,
        time: make(&format!("time-{number}"))?,
    })
}

/// The director takes in only what the verifier has found in the image repository.
fn catalogue(stage: &Stage, image: &Server, director: &mut Director) -> Result<()> {
    let mut store = MemoryStore::new();
    let root = fs::read(stage.published().join("metadata/1.root.json"))?;
    initialise(&mut store, root)?;
    let mut client = Client::new(fetcher(), store, &image.url("metadata"));
    let now = system_time().ok_or("the clock is off")?;
    let mut trusted = client.refresh(Context::new(now))?;
    for (name, ..) in RELEASES {
        let listed = client.find(&mut trusted, name)?;
        director.catalogue().add(&listed)?;
    }
    Ok(())
}

fn plan(stage: &Stage, vin: Vin, number: usize) -> Result<Plan> {
    let ecu = |serial: &str, hardware: &str| -> Result<EcuPlan> {
        let serial = match number {
            0 => serial.to_owned(),
            _ => format!("{serial}-OF-ANOTHER"),
        };
        let (serial, hardware) = (EcuSerial::new(&serial)?, HardwareId::new(hardware)?);
        Ok(EcuPlan::new(serial, hardware)?)
    };
    let mut telematics = ecu(TELEMATICS, "telematics-b")?;
    if number == 0 {
        telematics.decryption = stage.uri("telematics", "images").parse()?;
    }
    let brake = EcuPlan {
        verification: Verification::Partial,
        connection: Connection::Tcp,
        ..ecu(BRAKE, "brake-c")?
    };
    Ok(Plan {
        vin,
        ecus: vec![ecu(GATEWAY, "gateway-a")?, telematics, brake],
        bundle: BundlePolicy::AllOrNothing,
    })
}

fn mirror(stage: &Stage, number: usize) -> PathBuf {
    stage.folder.join("mirrors").join(number.to_string())
}

fn vehicle_folder(stage: &Stage, number: usize) -> PathBuf {
    stage.folder.join("vehicles").join(number.to_string())
}
