//! Updates for a device to go through while its memory is measured.

use std::fs;
use std::io;
use std::path::Path;

use countersign_vectors::simulate::{NONCE, SignatureCache, SimulateError, VIN, World, sha256_hex};
use countersign_vectors::tree::Files;
use serde_json::json;

use crate::Failure;

/// The device's image in these updates.
const PATH: &str = "brake/fw.img";

/// Whose keys sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Ed25519 for all roles.
    Ed25519,
    /// Ed25519 for Root, P-256 for Targets and the time server.
    Mixed,
}

/// How much the Director's Targets lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Two images.
    Small,
    /// 256 ECUs, each with an image of its own, in a little less than 1 MiB.
    Large,
}

/// A Director, its vehicle, and the folders of one device in it.
pub(crate) struct Scenario {
    world: World,
    version: u64,
    image: Vec<u8>,
}

impl Scenario {
    /// The device leaves the factory.
    pub(crate) fn new(keys: Keys, size: Size, folder: &Path) -> Result<Self, Failure> {
        let mut world = World::new(SignatureCache::from_text(""));
        world.be_partial();
        world.keep_time();
        if keys == Keys::Mixed {
            let root = world.director.root();
            root.keys("targets", &["p256-1"], 1);
            if let Some(server) = &mut root.time_server {
                server.names = vec!["p256-2".into()];
            }
        }
        if size == Size::Large {
            for number in 0..254 {
                assign_padded(&mut world, number);
            }
        }
        for folder in [folder.join("flash"), folder.join("bus")] {
            fs::create_dir(&folder).map_err(failed)?;
        }
        let root = world.director.root_file(1)?;
        let root = [&root[..], &1_u64.to_le_bytes()].concat();
        for (name, bytes) in [
            ("vin", VIN.as_bytes()),
            ("serial", world.ecu.serial.as_bytes()),
            ("hardware", world.ecu.hardware_id.as_bytes()),
            ("root", &root),
            ("root.1", &root),
        ] {
            fs::write(folder.join("flash").join(name), bytes).map_err(failed)?;
        }
        Ok(Self {
            world,
            version: 1,
            image: Vec::new(),
        })
    }

    /// The Director assigns the next image under the next Root, and the Primary has everything.
    pub(crate) fn next(&mut self, folder: &Path, keys: Keys) -> Result<(), Failure> {
        self.version += 1;
        let ecu = [(
            self.world.ecu.serial.clone(),
            self.world.ecu.hardware_id.clone(),
        )];
        let ecu = ecu
            .each_ref()
            .map(|(serial, hardware)| (serial.as_str(), hardware.as_str()));
        self.image = format!("firmware {}\n", self.version)
            .repeat(1000)
            .into_bytes();
        self.world
            .assign_as(PATH, &self.image, &ecu, 10 + self.version);
        self.world.director.next_root(|_| ());
        self.world.director.release();
        let bus = folder.join("bus");
        let served: Files = self.world.serve()?;
        for (path, bytes) in &served {
            if let Some(name) = path.strip_prefix("director/metadata/") {
                fs::write(bus.join(name), bytes).map_err(failed)?;
            }
        }
        let time = format!("2030-01-{:02}T12:00:00Z", self.version);
        let by = match keys {
            Keys::Ed25519 => "time-1",
            Keys::Mixed => "p256-2",
        };
        let attestation = self.world.attest(&time, &[NONCE], by)?;
        fs::write(bus.join("time.json"), attestation).map_err(failed)?;
        let image = bus.join(format!("sha256-{}", sha256_hex(&self.image)));
        fs::write(image, &self.image).map_err(failed)?;
        Ok(())
    }

    /// What the device did wrong, if anything: it must hold the image and have said so to its boot loader.
    pub(crate) fn check(&self, folder: &Path) -> Result<(), Failure> {
        let read = |name: &str| fs::read(folder.join(name));
        if let Ok(panic) = read("flash/panic") {
            let place = String::from_utf8_lossy(&panic);
            return Err(Failure(format!("the device panicked at {place:?}")));
        }
        if let Ok(report) = read("bus/report") {
            let code = report.try_into().map(u16::from_le_bytes);
            return Err(Failure(format!("the device refused the update: {code:?}")));
        }
        match read("flash/slot").is_ok_and(|slot| slot == self.image) && read("flash/boot").is_ok()
        {
            true => Ok(()),
            false => Err(Failure("the device has not installed the image".into())),
        }
    }
}

/// An image for another ECU, with as much said about it as makes 1 MiB of all.
fn assign_padded(world: &mut World, number: u32) {
    let (path, serial) = (format!("ecu/{number:03}.img"), format!("ECU-{number:03}"));
    world.assign_as(&path, path.as_bytes(), &[(&serial, "ecu-x")], 7);
    world.directed(&path, |custom| {
        custom["notes"] = json!("what was changed, in words; ".repeat(133));
    });
}

pub(crate) fn failed(error: io::Error) -> Failure {
    Failure(error.to_string())
}

impl From<SimulateError> for Failure {
    fn from(error: SimulateError) -> Self {
        Self(error.to_string())
    }
}
