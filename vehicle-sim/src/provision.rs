//! What happens in a factory: keys, first metadata, first images (Uptane 5.4.1).

use std::fs;
use std::path::Path;
use std::time::Duration;

use countersign_client::client::initialise;
use countersign_client::install::provision_slots;
use countersign_client::store::DirStore;
use countersign_client::uptane::state::{EcuState, StateFile};
use countersign_metadata::uptane::{EncryptionAlgorithm, EncryptionKey, Mapping};
use countersign_metadata::{Hashes, Key};
use countersign_signing::{Algorithm, KeyUri, Secrets};
use countersign_verifier::uptane::Installed;

use crate::director::{EcuRecord, VehicleRecord};
use crate::error::SimError;
use crate::plan::{EcuPlan, Plan, VEHICLE_FILE};
use crate::records;

/// What every vehicle of a factory gets.
#[derive(Debug, Clone, Copy)]
pub struct Factory<'a> {
    /// The Director's first Root.
    pub director_root: &'a [u8],
    /// The Image repository's first Root.
    pub image_root: &'a [u8],
    /// Where the repositories are, and which images both have to sign.
    pub mapping: &'a Mapping,
}

pub(crate) const MAPPING_FILE: &str = "map.json";

/// The public keys by which the Primary knows its ECUs: never learnt on the way.
pub(crate) const MEMBERS_FILE: &str = "members.json";

/// Makes a vehicle in `folder`, and gives what the director has to know of it. Keys are made where
/// the plan says; private halves stay there. Every ECU starts with an image of the factory, with
/// release counter 0.
///
/// # Errors
/// [`SimError::AlreadyThere`], or what failed. What was made until then stays; take another folder.
pub fn provision(
    folder: &Path,
    plan: &Plan,
    factory: &Factory<'_>,
    secrets: &Secrets,
) -> Result<VehicleRecord, SimError> {
    plan.check()?;
    let (primary, _) = plan.members()?;
    if folder.join(VEHICLE_FILE).exists() {
        return Err(SimError::AlreadyThere {
            folder: folder.into(),
        });
    }
    make_folder(&folder.join("keys"))?;
    let mut record = VehicleRecord {
        primary: primary.serial.clone(),
        ecus: Default::default(),
    };
    for ecu in &plan.ecus {
        let keys = EcuRecord {
            hardware_id: ecu.hardware_id.clone(),
            signing: make_signing_key(&ecu.signing, secrets)?,
            encryption: Some(make_decryption_key(&ecu.decryption, secrets)?),
        };
        record.ecus.insert(ecu.serial.clone(), keys);
        provision_ecu(&ecu.folder(folder), ecu, factory)?;
    }
    provision_metadata(&folder.join("primary"), factory)?;
    records::keep(&folder.join(MEMBERS_FILE), &record)?;
    write(
        &folder.join(MAPPING_FILE),
        factory.mapping.to_json().as_bytes(),
    )?;
    let text = serde_json::to_vec_pretty(plan).map_err(|error| SimError::Plan {
        detail: error.to_string(),
    })?;
    // Last, because it is what makes it a vehicle.
    write(&folder.join(VEHICLE_FILE), &text)?;
    Ok(record)
}

fn provision_ecu(folder: &Path, ecu: &EcuPlan, factory: &Factory<'_>) -> Result<(), SimError> {
    let image = format!("the factory's image for {}\n", ecu.hardware_id).into_bytes();
    make_folder(folder)?;
    provision_slots(&folder.join("slots"), &mut &image[..])?;
    let installed = Installed {
        hardware_id: ecu.hardware_id.clone(),
        path: "factory.img".into(),
        release_counter: 0,
        length: image.len() as u64,
        hashes: Hashes::of(&image),
    };
    let state = EcuState::provisioned(ecu.serial.clone(), Some(installed));
    StateFile::provision(&folder.join("state"), state)?;
    provision_metadata(folder, factory)
}

fn provision_metadata(folder: &Path, factory: &Factory<'_>) -> Result<(), SimError> {
    for (name, root) in [
        (Mapping::DIRECTOR, factory.director_root),
        (Mapping::IMAGE, factory.image_root),
    ] {
        let mut store = DirStore::open(&folder.join(name), Duration::ZERO)?;
        initialise(&mut store, root.to_vec())?;
    }
    Ok(())
}

fn make_signing_key(uri: &KeyUri, secrets: &Secrets) -> Result<Key, SimError> {
    let algorithm = match uri {
        KeyUri::File(_) => Algorithm::Ed25519,
        _ => Algorithm::EcdsaP256,
    };
    let public = countersign_signing::generate(uri, algorithm, secrets)?;
    Ok(Key::new(&public))
}

fn make_decryption_key(uri: &KeyUri, secrets: &Secrets) -> Result<EncryptionKey, SimError> {
    let algorithm = match uri {
        KeyUri::File(_) => EncryptionAlgorithm::X25519,
        _ => EncryptionAlgorithm::P256,
    };
    let key = countersign_signing::generate_decryption_key(uri, algorithm, secrets)?;
    Ok(key)
}

pub(crate) fn make_folder(folder: &Path) -> Result<(), SimError> {
    fs::create_dir_all(folder).map_err(SimError::io("make the folder", folder))
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), SimError> {
    fs::write(path, bytes).map_err(SimError::io("write", path))
}
