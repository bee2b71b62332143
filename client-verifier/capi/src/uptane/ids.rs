//! Who is meant: vehicles and ECUs, and what is installed on them.

use std::collections::BTreeMap;
use std::ffi::c_char;

use countersign_metadata::uptane::{EcuSerial, HardwareId, Mapping, Vin};
use countersign_metadata::{Hashes, MetadataError};
use countersign_verifier::Reject;
use countersign_verifier::uptane::{Ecu, Ecus, Installed, Vehicle};

use crate::boundary::{given, items, text};
use crate::handles::misuse;

/// An ECU: who it is and what it is.
#[repr(C)]
pub struct countersign_ecu_id {
    /// Its serial, unique in the world; up to 64 characters.
    pub serial: *const c_char,
    /// Its hardware identifier; up to 200 characters.
    pub hardware_id: *const c_char,
}

/// A vehicle, as whoever verifies knows it.
#[repr(C)]
pub struct countersign_vehicle {
    /// Its unique identifier (VIN).
    pub vin: *const c_char,
    /// A Primary: all ECUs of the vehicle, its own included. Metadata that names another one is
    /// refused. A Secondary: itself alone, and `is_secondary` is true; what is for others is not
    /// its business.
    pub ecus: *const countersign_ecu_id,
    /// How many there are.
    pub ecus_count: usize,
    /// Whether `ecus` is the one ECU that verifies for itself.
    pub is_secondary: bool,
}

/// The image that was installed on an ECU last and proved itself: what release counters are compared
/// with.
#[repr(C)]
pub struct countersign_installed {
    /// The ECU.
    pub ecu: countersign_ecu_id,
    /// The image's filename.
    pub path: *const c_char,
    /// Its release counter.
    pub release_counter: u64,
    /// Its length in bytes.
    pub length: u64,
    /// The 32 bytes of its SHA-256, or NULL.
    pub sha256: *const u8,
    /// The 64 bytes of its SHA-512, or NULL.
    pub sha512: *const u8,
}

/// A value out of text that C has given.
pub(crate) fn parsed<T>(
    pointer: *const c_char,
    name: &str,
    new: impl FnOnce(&str) -> Result<T, MetadataError>,
) -> Result<T, Reject> {
    new(text(pointer, name)?).map_err(|error| misuse(format!("{name}: {error}")))
}

pub(crate) fn ecu(id: &countersign_ecu_id) -> Result<Ecu, Reject> {
    Ok(Ecu {
        serial: parsed(id.serial, "serial", EcuSerial::new)?,
        hardware_id: parsed(id.hardware_id, "hardware_id", HardwareId::new)?,
    })
}

pub(super) fn vehicle(vehicle: *const countersign_vehicle) -> Result<Vehicle, Reject> {
    let vehicle = given(vehicle, "vehicle")?;
    let ecus = items(vehicle.ecus, vehicle.ecus_count, "vehicle->ecus")?;
    let ecus: Vec<Ecu> = ecus.iter().map(ecu).collect::<Result<_, _>>()?;
    let ecus = match (vehicle.is_secondary, ecus.as_slice()) {
        (true, [own]) => Ecus::Own(own.clone()),
        (true, _) => return Err(misuse("a Secondary names itself alone".into())),
        (false, _) => {
            let count = ecus.len();
            let ids = ecus.into_iter().map(|ecu| (ecu.serial, ecu.hardware_id));
            let ids: BTreeMap<_, _> = ids.collect();
            if ids.len() < count {
                return Err(misuse("one serial is given twice".into()));
            }
            Ecus::All(ids)
        }
    };
    Ok(Vehicle {
        vin: parsed(vehicle.vin, "vehicle->vin", Vin::new)?,
        ecus,
    })
}

pub(crate) fn installed(image: &countersign_installed) -> Result<(EcuSerial, Installed), Reject> {
    let ecu = ecu(&image.ecu)?;
    let image = Installed {
        hardware_id: ecu.hardware_id,
        path: text(image.path, "installed->path")?.to_owned(),
        release_counter: image.release_counter,
        length: image.length,
        hashes: Hashes {
            sha256: array(image.sha256)?,
            sha512: array(image.sha512)?,
            ..Hashes::default()
        },
    };
    Ok((ecu.serial, image))
}

fn array<const N: usize>(pointer: *const u8) -> Result<Option<[u8; N]>, Reject> {
    match pointer.is_null() {
        true => Ok(None),
        false => Ok(items(pointer, N, "hash")?.try_into().ok()),
    }
}

/// A repository mapping (TAP 4, Uptane 5.4.1) as JSON.
pub(crate) fn mapping(json: *const c_char, name: &str) -> Result<Mapping, Reject> {
    parsed(json, name, |text| Mapping::parse(text.as_bytes()))
}
