//! The files of a bundle. docs/provisioning.md says what each is for.
//!
//! ```text
//! manifest.json                 every other file with its length and SHA-256
//! review.txt                    what was reviewed
//! model.json  map.json          what all devices have in common
//! director/root.json            the Roots; repository/ in the place of both for plain TUF
//! image/root.json               and, beside them, the newest metadata if it was given
//! time.json  time-attestation.json
//! devices/VEHICLE/ECU/          what one device is given; template/ where nobody is named
//!     vehicle.json  map.json  ecu-state.json  keys.json  director/
//! ```

use std::collections::BTreeMap;

use countersign_metadata::uptane::EncryptionKey;
use countersign_metadata::{TargetPath, sha256};
use countersign_repo::keys::KeyJson;
use serde::{Deserialize, Serialize};

use super::device::{DeviceKeys, Possession};
use super::profile::{EcuModel, check_sha256};
use super::time::Time;
use crate::profile::Accepted;

/// Of manifests and models.
pub(crate) const FORMAT: &str = "countersign-provision-1";

pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const REVIEW: &str = "review.txt";
pub(crate) const MODEL: &str = "model.json";
pub(crate) const MAP: &str = "map.json";
pub(crate) const TIME: &str = "time.json";
pub(crate) const ATTESTATION: &str = "time-attestation.json";
pub(crate) const VEHICLE: &str = "vehicle.json";
pub(crate) const KEYS: &str = "keys.json";
pub(crate) const STATE: &str = "ecu-state.json";
pub(crate) const DEVICES: &str = "devices";
pub(crate) const TEMPLATE: &str = "template";

/// Where the line fills in who the device is. No identifier has a space, so a device that is given
/// a template as it is refuses it.
pub(crate) const BLANK_VIN: &str = "FILL IN THE VIN";
pub(crate) const BLANK_SERIAL: &str = "FILL IN THE SERIAL";

/// `manifest.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManifestFile {
    pub(crate) format: String,
    /// The fingerprint of what all devices will trust.
    pub(crate) words: String,
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) devices: Vec<ListedDevice>,
    pub(crate) files: BTreeMap<String, ListedFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListedDevice {
    pub(crate) vehicle: String,
    pub(crate) ecu: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListedFile {
    pub(crate) length: u64,
    pub(crate) sha256: String,
}

impl ListedFile {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            length: bytes.len() as u64,
            sha256: hex::encode(sha256(bytes)),
        }
    }
}

/// `model.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelFile {
    pub(crate) format: String,
    pub(crate) name: String,
    /// Of a plain TUF device: where the repository is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) urls: Option<Vec<String>>,
    /// Of an Uptane device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ecu: Option<EcuModel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) installed: Option<Factory>,
}

/// An image out of the factory, as `vehicle.json` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Factory {
    pub(crate) path: String,
    pub(crate) release_counter: u64,
    pub(crate) length: u64,
    pub(crate) sha256: String,
}

impl Factory {
    pub(crate) fn check(&self) -> Result<(), String> {
        TargetPath::new(&self.path).map_err(|error| format!("installed.path: {error}"))?;
        check_sha256(&self.sha256)
    }
}

/// `vehicle.json`, which `client-verifier uptane-init` reads (docs/ecu-commands.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct VehicleFile {
    pub(crate) vin: String,
    pub(crate) ecu: OwnEcu,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) others: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) installed: Option<Factory>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct OwnEcu {
    pub(crate) serial: String,
    pub(crate) hardware_id: String,
    pub(crate) verification: String,
    pub(crate) secondary: bool,
    pub(crate) signing_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decryption_key: Option<String>,
}

impl VehicleFile {
    pub(crate) fn new(
        (vin, serial): (&str, &str),
        others: BTreeMap<String, String>,
        ecu: &EcuModel,
        installed: Option<&Factory>,
    ) -> Self {
        Self {
            vin: vin.into(),
            ecu: OwnEcu {
                serial: serial.into(),
                hardware_id: ecu.hardware_id.clone(),
                verification: ecu.verification.name().into(),
                secondary: ecu.is_secondary(),
                signing_key: ecu.signing_key.clone(),
                decryption_key: ecu.decryption_key.clone(),
            },
            others,
            installed: installed.cloned(),
        }
    }
}

/// `keys.json`: the keys as a registration with the Director has them (docs/device-api.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct KeysFile {
    hardware_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signing_key: Option<KeyJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encryption_key: Option<KeyJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    possession: Option<Possession>,
}

impl KeysFile {
    pub(crate) fn new(keys: &DeviceKeys, hardware_id: &str) -> Self {
        let signing = keys.signing.as_ref();
        let encryption = |key: &EncryptionKey| KeyJson {
            keytype: key.algorithm().keytype().into(),
            scheme: key.algorithm().scheme().into(),
            keyval: countersign_repo::keys::KeyVal {
                public: hex::encode(key.public_bytes()),
            },
        };
        Self {
            hardware_id: hardware_id.into(),
            signing_key: signing.map(|(key, _)| KeyJson::new(key)),
            encryption_key: keys.encryption.as_ref().map(encryption),
            possession: signing.map(|(_, possession)| *possession),
        }
    }

    /// The keys, if all of them can be read.
    pub(crate) fn keys(&self) -> Option<DeviceKeys> {
        let signing = match (&self.signing_key, self.possession) {
            (Some(key), Some(possession)) => Some((key.public()?, possession)),
            (None, None) => None,
            _ => return None,
        };
        let encryption = match &self.encryption_key {
            None => None,
            Some(key) => {
                let text = serde_json::to_vec(key).ok()?;
                let value = countersign_metadata::json::parse(&text).ok()?;
                Some(EncryptionKey::of(&value).ok()?)
            }
        };
        Some(DeviceKeys {
            signing,
            encryption,
        })
    }
}

/// `ecu-state.json`, the record of an ECU as it leaves the factory (docs/ecu-state.md).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StateFile<'a> {
    format: &'a str,
    serial: &'a str,
    installed: BTreeMap<&'a str, InstalledState<'a>>,
    installation: Option<()>,
    processed: Option<()>,
    time: Option<FloorState>,
    report: ReportState,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InstalledState<'a> {
    path: &'a str,
    release_counter: u64,
    length: u64,
    hashes: BTreeMap<&'a str, &'a str>,
}

#[derive(Debug, Serialize)]
struct FloorState {
    floor: String,
    keys: String,
}

#[derive(Debug, Serialize)]
struct ReportState {
    counter: u64,
    unacknowledged: Option<()>,
    attacks: [(); 0],
    told: u64,
    outcome: Option<()>,
}

/// The record of an ECU: what is installed, and the floor of the time where keys stand for it.
pub(crate) fn state(
    serial: &str,
    ecu: &EcuModel,
    installed: Option<&Factory>,
    time: &Time,
) -> Vec<u8> {
    let installed = installed.map(|image| {
        let state = InstalledState {
            path: &image.path,
            release_counter: image.release_counter,
            length: image.length,
            hashes: [("sha256", image.sha256.as_str())].into(),
        };
        (ecu.hardware_id.as_str(), state)
    });
    let floor = time.attested.as_ref().map(|attested| FloorState {
        floor: time.floor.to_string(),
        keys: hex::encode(attested.keys),
    });
    to_json(&StateFile {
        format: "countersign-ecu-state-1",
        serial,
        installed: installed.into_iter().collect(),
        installation: None,
        processed: None,
        time: floor,
        report: ReportState {
            counter: 0,
            unacknowledged: None,
            attacks: [],
            told: 0,
            outcome: None,
        },
    })
}

/// `time.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimeFile {
    /// A time that has certainly passed.
    pub(crate) floor: String,
    /// The same in seconds since 1970.
    pub(crate) unix: i64,
    /// `attested` or `stated`
    pub(crate) source: String,
    /// Names the keys that attested it, as a device's record does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) keys: Option<String>,
}

impl TimeFile {
    pub(crate) fn new(time: &Time) -> Self {
        Self {
            floor: time.floor.to_string(),
            unix: time.floor.unix(),
            source: time.source().into(),
            keys: time.attested.as_ref().map(|known| hex::encode(known.keys)),
        }
    }
}

/// A file of a bundle: indented, with members in the order of their types, and a newline.
pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    // Our own types serialise.
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}
