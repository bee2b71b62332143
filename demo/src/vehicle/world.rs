//! The image repository's releases for vehicles, a director that serves, and two vehicles.

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use countersign_client::uptane::primary::Cycle;
use countersign_metadata::uptane::Mapping;
use countersign_vehicle_sim::Factory;
use serde_json::{Value, json};

use super::admin::Admin;
use super::car::{Car, TELEMATICS, holds, plan};
use super::devices::Authority;
use super::director::Director;
use super::keys::Keys;
use super::records::Records;
use crate::server::{Server, Tricks};
use crate::stage::Stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

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

/// What vehicles need before there are any: whom to trust, and a director that serves.
pub(super) struct Office {
    stage: Stage,
    image: Server,
    pub(super) authority: Authority,
    pub(super) director: Director,
    pub(super) records: Records,
    pub(super) admin: Admin,
    pub(super) keys: Keys,
}

impl Office {
    /// Sets it up, and starts the director.
    pub(super) fn open(stage: &Stage) -> Result<Self> {
        let image = Server::start(&stage.published(), Tricks::new())?;
        let authority = Authority::found(stage)?;
        let keys = Keys::make(stage)?;
        let mut director = Director::init(stage, &image.url(""))?;
        director.configure(&keys)?;
        authority.equip_server(&director.tls())?;
        director.import_root(&keys.first_root()?)?;
        let records = Records::new(director.database())?;
        let token = director.make_token()?;
        let admin = Admin::new(director.start()?, &token);
        Ok(Self {
            stage: stage.clone(),
            image,
            authority,
            director,
            records,
            admin,
            keys,
        })
    }

    /// Tells the director of all images; what it says of the confidential one, whose bytes it is given.
    pub(super) fn take_in_images(&self) -> Result<Value> {
        let mut confidential = Value::Null;
        for (name, file, _, _, is_confidential) in RELEASES {
            match is_confidential {
                true => {
                    let file = self.stage.firmware.join(file);
                    confidential = self.admin.upload(name, &file)?;
                }
                false => self.admin.list(name)?,
            }
        }
        Ok(confidential)
    }

    /// A vehicle out of the factory.
    pub(super) fn build(&self, vin: &str, suffix: &str) -> Result<Car> {
        let url = self.director.url()?;
        let mapping = Mapping::both(vec![url.clone()], vec![self.image.url("")])?;
        let roots = self.records.roots()?;
        let director_root = roots.first().ok_or("the director has no Root")?;
        let factory = Factory {
            director_root,
            image_root: &self.image_root()?,
            mapping: &mapping,
        };
        let folder = self.stage.folder.join("vehicles").join(vin);
        let plan = plan(&self.stage, vin, suffix)?;
        Car::build(&folder, &plan, (&factory, &url), &self.authority)
    }

    /// The director is somewhere else for people now.
    pub(super) fn admin_is_at(&mut self, address: SocketAddr) {
        self.admin = self.admin.moved_to(address);
    }

    fn image_root(&self) -> Result<Vec<u8>> {
        Ok(fs::read(
            self.stage.published().join("metadata/1.root.json"),
        )?)
    }
}

/// A director at work and a vehicle on the road.
pub(super) struct World {
    pub(super) office: Office,
    pub(super) car: Car,
}

impl World {
    pub(super) fn cycle(&mut self) -> Result<Cycle> {
        self.car.cycle()
    }

    /// Has images installed.
    pub(super) fn assign(&self, images: &[(&str, &str)]) -> Result<()> {
        self.office.admin.assign(VIN, images)?.done()?;
        Ok(())
    }

    /// The code with which the director refuses to have an image installed.
    pub(super) fn assign_in_vain(&self, ecu: &str, image: &str) -> Result<String> {
        let answer = self.office.admin.assign(VIN, &[(ecu, image)])?;
        Ok(answer.code().to_owned())
    }

    /// What an ECU has last reported to the director.
    pub(super) fn reported(&self, ecu: &str) -> Result<String> {
        let vehicle = self.office.admin.vehicle(VIN)?;
        let path = &vehicle["ecus"][ecu]["installed"]["path"];
        Ok(path.as_str().unwrap_or_default().to_owned())
    }

    /// Whether the director gives this vehicle nothing new.
    pub(super) fn is_held(&self) -> Result<bool> {
        Ok(self.office.admin.vehicle(VIN)?["held"].is_string())
    }

    /// Whether the confidential firmware is anywhere in the clear, but on the ECU that runs it.
    pub(super) fn has_leaked(&self) -> Result<bool> {
        let plain = fs::read(self.office.stage.firmware.join(TELEMATICS_FILE))?;
        let director = self.office.director.folder();
        Ok(self.car.holds_outside(TELEMATICS, &plain)? || holds(director, &plain, Path::new(""))?)
    }

    /// Bytes of images that the director has.
    pub(super) fn stored(&self) -> Result<u64> {
        let mut stored = 0;
        for entry in fs::read_dir(self.office.director.images())? {
            stored += entry?.metadata()?.len();
        }
        Ok(stored)
    }

    /// Lets the vehicle have orders again.
    pub(super) fn release(&self) -> Result<()> {
        self.office.admin.release(VIN)
    }

    /// What is assigned, on a stick.
    pub(super) fn carry(&self) -> Result<PathBuf> {
        let stick = self.office.stage.folder.join("stick.tar");
        self.office.director.carry(VIN, &stick)?;
        Ok(stick)
    }
}
