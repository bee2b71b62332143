//! What is sent to register a vehicle, as JSON. Nothing unknown is taken: what a Director keeps is what
//! the ECUs have signed, no more and no less.

use std::collections::BTreeMap;

use countersign_metadata::json::{self, Object, Value};
use countersign_metadata::uptane::{EcuSerial, EncryptionKey, HardwareId, WrappedKey};
use countersign_metadata::{Key, MetadataError, canonical};

use super::Proof;
use crate::record::{EcuRecord, MAX_ECUS, VehicleRecord};

/// Characters of a challenge.
pub const MAX_CHALLENGE: usize = 1024;

/// Bytes of a signature: twice those of RSA with 4096 bits.
pub const MAX_SIGNATURE: usize = 1024;

/// What the Director answers to a vehicle that wants to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// What every ECU signs.
    pub text: String,
    /// For each ECU with an encryption key, a key that only it can unwrap.
    pub wrapped_keys: BTreeMap<EcuSerial, WrappedKey>,
}

/// What registers a vehicle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// What is to be known of it.
    pub vehicle: VehicleRecord,
    /// The text of the Director's challenge.
    pub challenge: String,
    /// What each ECU says to it.
    pub proofs: BTreeMap<EcuSerial, Proof>,
}

/// Why this registers nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// A member that is missing, unknown or of the wrong kind.
    #[error("{field} {what}")]
    Member {
        /// Which one, as a dotted path.
        field: String,
        /// What is wrong with it.
        what: String,
    },
    /// No JSON, or a key or name that cannot be.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

impl Challenge {
    /// Reads `{"challenge": TEXT, "wrappedKeys": {SERIAL: {..}}}`.
    ///
    /// # Errors
    /// [`BodyError`]
    pub fn parse(text: &[u8]) -> Result<Self, BodyError> {
        let mut members = Members::of("the challenge", json::parse(text)?)?;
        let challenge = members.text("challenge", MAX_CHALLENGE)?;
        let wrapped = members.by_ecu("wrappedKeys", |field, value| {
            let key = WrappedKey::of(&value)?;
            // A key of its own has no unknown members.
            match key.extra.is_empty() {
                true => Ok(key),
                false => wrong(field, "has unknown members"),
            }
        })?;
        members.end()?;
        Ok(Self {
            text: challenge,
            wrapped_keys: wrapped,
        })
    }

    /// The form that [`Challenge::parse`] reads.
    pub fn to_json(&self) -> String {
        let keys = self.wrapped_keys.iter();
        let keys = keys.map(|(serial, key)| (serial.to_string(), key.to_value()));
        to_json([
            ("challenge", self.text.as_str().into()),
            ("wrappedKeys", Value::Object(keys.collect())),
        ])
    }
}

impl Registration {
    /// Reads `{"vehicle": {..}, "challenge": TEXT, "proofs": {SERIAL: {..}}}`.
    ///
    /// # Errors
    /// [`BodyError`]
    pub fn parse(text: &[u8]) -> Result<Self, BodyError> {
        let mut members = Members::of("the registration", json::parse(text)?)?;
        let vehicle = vehicle_of(&members.take("vehicle")?)?;
        let challenge = members.text("challenge", MAX_CHALLENGE)?;
        let proofs = members.by_ecu("proofs", Proof::of)?;
        members.end()?;
        Ok(Self {
            vehicle,
            challenge,
            proofs,
        })
    }

    /// The form that [`Registration::parse`] reads.
    pub fn to_json(&self) -> String {
        let proofs = self.proofs.iter();
        let proofs = proofs.map(|(serial, proof)| (serial.to_string(), proof.to_value()));
        to_json([
            ("vehicle", vehicle_to_value(&self.vehicle)),
            ("challenge", self.challenge.as_str().into()),
            ("proofs", Value::Object(proofs.collect())),
        ])
    }
}

/// Reads what is to be known of a vehicle. Whether a vehicle can be like that,
/// [`VehicleRecord::check`] tells.
///
/// # Errors
/// [`BodyError`]
pub fn vehicle_of(value: &Value) -> Result<VehicleRecord, BodyError> {
    let mut members = Members::of("the vehicle", value.clone())?;
    let primary = EcuSerial::new(&members.text("primary", usize::MAX)?)?;
    let ecus = members.by_ecu("ecus", ecu_of)?;
    members.end()?;
    Ok(VehicleRecord { primary, ecus })
}

/// The form that [`vehicle_of`] reads.
pub fn vehicle_to_value(vehicle: &VehicleRecord) -> Value {
    let ecus = vehicle.ecus.iter();
    let ecus = ecus.map(|(serial, ecu)| (serial.to_string(), ecu_members(ecu).into()));
    object([
        ("primary", vehicle.primary.as_str().into()),
        ("ecus", Value::Object(ecus.collect())),
    ])
}

pub(super) fn ecu_members(ecu: &EcuRecord) -> Object {
    let mut members = Object::from_iter([
        ("hardwareId".into(), ecu.hardware_id.as_str().into()),
        ("signingKey".into(), ecu.signing.to_value()),
    ]);
    if let Some(key) = &ecu.encryption {
        members.insert("encryptionKey".into(), key.to_value());
    }
    members
}

fn ecu_of(field: &str, value: Value) -> Result<EcuRecord, BodyError> {
    let mut members = Members::of(field, value)?;
    let hardware_id = HardwareId::new(&members.text("hardwareId", usize::MAX)?)?;
    let signing = Key::of(&members.take("signingKey")?)?;
    // Its id covers all of `keyval`, and one key shall have one id.
    if !signing.extra.is_empty() || signing.keyval.len() != 1 {
        return wrong(&members.path_of("signingKey"), "has unknown members");
    }
    let encryption = match members.optional("encryptionKey") {
        None => None,
        Some(value) => {
            let key = EncryptionKey::of(&value)?;
            if key.to_value() != value {
                return wrong(&members.path_of("encryptionKey"), "has unknown members");
            }
            Some(key)
        }
    };
    members.end()?;
    Ok(EcuRecord {
        hardware_id,
        signing,
        encryption,
    })
}

impl Proof {
    fn of(field: &str, value: Value) -> Result<Self, BodyError> {
        let mut members = Members::of(field, value)?;
        let signature = members.text("signature", 2 * MAX_SIGNATURE)?;
        let signature = hex::decode(signature).ok();
        let Some(signature) = signature.filter(|bytes| !bytes.is_empty()) else {
            return wrong(&members.path_of("signature"), "must be hexadecimal");
        };
        let answer = match members.optional("answer") {
            None => None,
            Some(value) => {
                let mut bytes = [0; 32];
                let text = value.as_str().unwrap_or_default();
                if hex::decode_to_slice(text, &mut bytes).is_err() {
                    let what = "must be 32 bytes in hexadecimal";
                    return wrong(&members.path_of("answer"), what);
                }
                Some(bytes)
            }
        };
        members.end()?;
        Ok(Self { signature, answer })
    }

    fn to_value(&self) -> Value {
        let mut members =
            Object::from_iter([("signature".into(), hex::encode(&self.signature).into())]);
        if let Some(answer) = &self.answer {
            members.insert("answer".into(), hex::encode(answer).into());
        }
        members.into()
    }
}

/// The members of an object that are still to be read.
struct Members {
    path: String,
    members: Object,
}

impl Members {
    fn of(path: &str, value: Value) -> Result<Self, BodyError> {
        match value {
            Value::Object(members) => Ok(Self {
                path: path.into(),
                members,
            }),
            _ => wrong(path, "must be an object"),
        }
    }

    fn path_of(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn optional(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name)
    }

    fn take(&mut self, name: &str) -> Result<Value, BodyError> {
        match self.optional(name) {
            Some(value) => Ok(value),
            None => wrong(&self.path_of(name), "is missing"),
        }
    }

    /// A string of 1 to `longest` bytes.
    fn text(&mut self, name: &str, longest: usize) -> Result<String, BodyError> {
        match self.take(name)? {
            Value::String(text) if (1..=longest).contains(&text.len()) => Ok(text),
            Value::String(_) => wrong(&self.path_of(name), "is empty or too long"),
            _ => wrong(&self.path_of(name), "must be a string"),
        }
    }

    /// At most [`MAX_ECUS`] members, by the serials of ECUs.
    fn by_ecu<T>(
        &mut self,
        name: &str,
        read: impl Fn(&str, Value) -> Result<T, BodyError>,
    ) -> Result<BTreeMap<EcuSerial, T>, BodyError> {
        let path = self.path_of(name);
        let Value::Object(members) = self.take(name)? else {
            return wrong(&path, "must be an object");
        };
        if members.len() > MAX_ECUS {
            let what = format!("has {} members; at most {MAX_ECUS} are read", members.len());
            return wrong(&path, what);
        }
        let members = members.into_iter().map(|(serial, value)| {
            let serial = EcuSerial::new(&serial)?;
            let path = format!("{path}.{serial}");
            Ok((serial, read(&path, value)?))
        });
        members.collect()
    }

    fn end(self) -> Result<(), BodyError> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(60).collect();
                wrong(
                    &self.path,
                    format!("has an unknown member {name:?}; leave it out"),
                )
            }
        }
    }
}

fn wrong<T>(field: &str, what: impl Into<String>) -> Result<T, BodyError> {
    Err(BodyError::Member {
        field: field.into(),
        what: what.into(),
    })
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let members = members.map(|(name, value)| (name.to_owned(), value));
    Object::from_iter(members).into()
}

fn to_json<const N: usize>(members: [(&str, Value); N]) -> String {
    canonical::to_json(&canonical::encode(&object(members)))
}
