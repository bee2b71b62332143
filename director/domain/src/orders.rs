//! What is ordered of the ECUs of one vehicle: the content of its Targets.

use std::collections::BTreeMap;

use countersign_metadata::uptane::{Confidentiality, DirectorCustom, EcuSerial, Vin};
use countersign_metadata::{TargetFile, TargetPath};

use crate::catalogue::Catalogue;
use crate::error::DirectorError;
use crate::manifest::Heard;
use crate::record::VehicleRecord;
use crate::vault::Vault;

/// What an order is judged by.
pub struct Grounds<'a> {
    /// The vehicle, and what is known of it.
    pub vehicle: (&'a Vin, &'a VehicleRecord),
    /// The images.
    pub catalogue: &'a Catalogue,
    /// The encrypted ones.
    pub vault: &'a Vault,
    /// What was last heard of the ECU.
    pub heard: Option<&'a Heard>,
}

impl Grounds<'_> {
    /// What Targets has to say to have this image installed on this ECU.
    pub fn order(
        &self,
        serial: &EcuSerial,
        path: &TargetPath,
    ) -> Result<(TargetFile, DirectorCustom), DirectorError> {
        let (vin, vehicle) = self.vehicle;
        let (path_of, serial_of) = (|| path.clone(), || serial.clone());
        let ecu = vehicle
            .ecus
            .get(serial)
            .ok_or_else(|| DirectorError::UnknownEcu {
                vin: vin.clone(),
                serial: serial_of(),
            })?;
        let image = self.catalogue.image(path);
        let image = image.ok_or_else(|| DirectorError::UnknownImage(path_of()))?;
        if !image.custom.hardware_ids.contains(&ecu.hardware_id) {
            return Err(DirectorError::Hardware {
                path: path_of(),
                serial: serial_of(),
                hardware_id: ecu.hardware_id.clone(),
            });
        }
        let offered = image.custom.release_counter;
        if let Some(installed) = self.installed_counter().filter(|c| offered < *c) {
            return Err(DirectorError::OlderThanInstalled {
                path: path_of(),
                serial: serial_of(),
                offered,
                installed,
            });
        }
        let ecus = [(serial_of(), ecu.hardware_id.clone())].into();
        let mut custom = DirectorCustom::new(ecus, offered);
        match self.vault.image(path, image) {
            Some(sealed) => {
                let key = ecu.encryption.as_ref();
                let key = key.ok_or_else(|| DirectorError::NoEncryptionKey {
                    path: path_of(),
                    serial: serial_of(),
                })?;
                let wrapped = sealed.wrap_for((vin, serial), (path, offered), key)?;
                custom.encrypted = Some(sealed.target.clone());
                custom.wrapped_keys = [(serial_of(), wrapped)].into();
            }
            None if image.custom.confidentiality == Confidentiality::Required => {
                return Err(DirectorError::NotEncrypted(path_of()));
            }
            None => {}
        }
        Ok((image.file.clone(), custom))
    }

    /// The release counter of what the ECU has reported to run, as far as the catalogue knows it.
    fn installed_counter(&self) -> Option<u64> {
        let installed = self.heard?.installed.as_ref()?;
        Some(self.catalogue.installed(installed)?.custom.release_counter)
    }
}

/// Adds ECUs to what is said of an image.
pub fn add(
    orders: &mut BTreeMap<TargetPath, TargetFile>,
    path: &TargetPath,
    file: TargetFile,
    mut custom: DirectorCustom,
) {
    let others = orders.get(path).and_then(|listed| {
        let others = DirectorCustom::of(listed).ok()?;
        let same = (listed.length, &listed.hashes) == (file.length, &file.hashes);
        (same && others.encrypted == custom.encrypted).then_some(others)
    });
    // One path has one content: orders for the one before it end here.
    if let Some(others) = others {
        custom.ecus.extend(others.ecus);
        custom.wrapped_keys.extend(others.wrapped_keys);
    }
    let custom = Some(custom.to_object());
    orders.insert(path.clone(), TargetFile { custom, ..file });
}

/// Takes an ECU out of all orders.
pub fn withdraw(orders: &mut BTreeMap<TargetPath, TargetFile>, serial: &EcuSerial) {
    orders.retain(|_, file| {
        let Ok(mut custom) = DirectorCustom::of(file) else {
            return false;
        };
        custom.ecus.remove(serial);
        custom.wrapped_keys.remove(serial);
        file.custom = Some(custom.to_object());
        !custom.ecus.is_empty()
    });
}
