//! What is known of a vehicle's ECUs, as a file: what a factory hands to a director, and by what a
//! Primary knows its Secondaries.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use countersign_metadata::json::Object;
use countersign_metadata::uptane::{EcuSerial, EncryptionAlgorithm, EncryptionKey, HardwareId};
use countersign_metadata::{Key, MetadataError};
use serde::{Deserialize, Serialize};

use crate::director::{EcuRecord, VehicleRecord};
use crate::error::SimError;
use crate::provision::write;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VehicleFile {
    primary: String,
    ecus: BTreeMap<String, EcuFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EcuFile {
    hardware_id: String,
    signing: SigningFile,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<EncryptionFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SigningFile {
    keytype: String,
    scheme: String,
    public: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncryptionFile {
    scheme: String,
    public: String,
}

pub(crate) fn keep(path: &Path, vehicle: &VehicleRecord) -> Result<(), SimError> {
    let ecus = vehicle.ecus.iter();
    let file = VehicleFile {
        primary: vehicle.primary.to_string(),
        ecus: ecus
            .map(|(serial, ecu)| (serial.to_string(), ecu.into()))
            .collect(),
    };
    let text = serde_json::to_vec_pretty(&file).map_err(|error| damaged(path, error))?;
    write(path, &text)
}

pub(crate) fn read(path: &Path) -> Result<VehicleRecord, SimError> {
    let text = fs::read(path).map_err(SimError::io("read", path))?;
    let file: VehicleFile = serde_json::from_slice(&text).map_err(|error| damaged(path, error))?;
    let mut ecus = BTreeMap::new();
    for (serial, ecu) in file.ecus {
        let ecu = ecu.into_record().map_err(|error| damaged(path, error))?;
        ecus.insert(EcuSerial::new(&serial)?, ecu);
    }
    Ok(VehicleRecord {
        primary: EcuSerial::new(&file.primary)?,
        ecus,
    })
}

impl From<&EcuRecord> for EcuFile {
    fn from(ecu: &EcuRecord) -> Self {
        let text = ecu.signing.public().map(|key| key.to_text());
        Self {
            hardware_id: ecu.hardware_id.to_string(),
            signing: SigningFile {
                keytype: ecu.signing.keytype.clone(),
                scheme: ecu.signing.scheme.clone(),
                public: text.unwrap_or_default(),
            },
            encryption: ecu.encryption.as_ref().map(|key| EncryptionFile {
                scheme: key.algorithm().scheme().into(),
                public: hex::encode(key.public_bytes()),
            }),
        }
    }
}

impl EcuFile {
    fn into_record(self) -> Result<EcuRecord, MetadataError> {
        Ok(EcuRecord {
            hardware_id: HardwareId::new(&self.hardware_id)?,
            signing: Key {
                keytype: self.signing.keytype,
                scheme: self.signing.scheme,
                keyval: Object::from_iter([("public".into(), self.signing.public.into())]),
                extra: Object::new(),
            },
            encryption: self.encryption.map(EncryptionFile::into_key).transpose()?,
        })
    }
}

impl EncryptionFile {
    fn into_key(self) -> Result<EncryptionKey, MetadataError> {
        let mut known = EncryptionAlgorithm::ALL.into_iter();
        let algorithm = known.find(|known| known.scheme() == self.scheme);
        let mut value = Object::from_iter([
            ("scheme".into(), self.scheme.into()),
            (
                "keyval".into(),
                Object::from_iter([("public".into(), self.public.into())]).into(),
            ),
        ]);
        let keytype = algorithm.map_or("", EncryptionAlgorithm::keytype);
        value.insert("keytype".into(), keytype.into());
        EncryptionKey::of(&value.into())
    }
}

fn damaged(path: &Path, error: impl std::fmt::Display) -> SimError {
    SimError::Plan {
        detail: format!("{}: {error}", path.display()),
    }
}
