//! What the Director says of an image: for which ECUs it is, and how it reaches them
//! (Uptane 5.2.3.1.1).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::json::{Object, Value};
use crate::limits::{MAX_ECUS, MAX_TARGET_PATH};
use crate::targets::TargetFile;
use crate::uptane::{EcuSerial, EncryptedTarget, HardwareId, WrappedKey};

/// `custom` of a target in the Director's Targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectorCustom {
    /// `ecuIdentifiers`: the ECUs that shall install it, with their hardware; at least one.
    pub ecus: BTreeMap<EcuSerial, HardwareId>,
    /// `releaseCounter`; must be what the image repository says.
    pub release_counter: u64,
    /// `encryptedTarget`, when the image travels encrypted.
    pub encrypted: Option<EncryptedTarget>,
    /// `wrappedKeys`: the content key for each of the ECUs when the image travels encrypted,
    /// empty otherwise.
    pub wrapped_keys: BTreeMap<EcuSerial, WrappedKey>,
    /// `uri`: where to download, other than from the image repository.
    pub uri: Option<String>,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

/// Only the image repository states these: whoever holds the Director's online keys must not be
/// able to change how an image is installed or what it needs.
const IMAGE_REPOSITORY_ONLY: [&str; 7] = [
    "hardwareIds",
    "version",
    "class",
    "installer",
    "dependencies",
    "conflicts",
    "encryption",
];

impl DirectorCustom {
    /// An unencrypted image for these ECUs.
    pub fn new(ecus: BTreeMap<EcuSerial, HardwareId>, release_counter: u64) -> Self {
        Self {
            ecus,
            release_counter,
            encrypted: None,
            wrapped_keys: BTreeMap::new(),
            uri: None,
            extra: Object::new(),
        }
    }

    /// What `file`, an entry of the Director's Targets, says.
    ///
    /// # Errors
    /// [`MetadataError::Field`] when there is no `custom`, when it states what only the image
    /// repository may, or names what else is wrong in it.
    pub fn of(file: &TargetFile) -> Result<Self, MetadataError> {
        Self::decode(Fields::custom_of(file)?)
    }

    pub(crate) fn decode(mut fields: Fields<'_>) -> Result<Self, MetadataError> {
        for name in IMAGE_REPOSITORY_ONLY {
            if fields.members_has(name) {
                return fields.fail(name, "must not stand in the Director's metadata");
            }
        }
        let ecus = ecus(&mut fields)?;
        let release_counter = fields.unsigned("releaseCounter", 0)?;
        let encrypted = fields.optional_fields("encryptedTarget")?;
        let encrypted = encrypted.map(EncryptedTarget::decode).transpose()?;
        let wrapped_keys = wrapped_keys(&mut fields, &ecus, encrypted.is_some())?;
        // Deployed directors write null where they have none.
        let uri = match fields.members_is_null("uri") {
            true => {
                fields.take("uri");
                None
            }
            false => fields.optional_text("uri", MAX_TARGET_PATH)?,
        };
        Ok(Self {
            ecus,
            release_counter,
            encrypted,
            wrapped_keys,
            uri,
            extra: fields.rest(),
        })
    }

    /// The object that stands under `custom`.
    pub fn to_object(&self) -> Object {
        let ecus = self.ecus.iter().map(|(serial, hardware)| {
            let ecu = with(&Object::new(), [("hardwareId", hardware.as_str().into())]);
            (serial.as_str().into(), ecu.into())
        });
        let mut members = with(
            &self.extra,
            [
                ("ecuIdentifiers", Value::Object(ecus.collect())),
                ("releaseCounter", self.release_counter.into()),
            ],
        );
        if let Some(encrypted) = &self.encrypted {
            let keys = self.wrapped_keys.iter();
            let keys = keys.map(|(serial, key)| (serial.as_str().into(), key.to_value()));
            members.insert("encryptedTarget".into(), encrypted.to_value());
            members.insert("wrappedKeys".into(), Value::Object(keys.collect()));
        }
        if let Some(uri) = &self.uri {
            members.insert("uri".into(), uri.as_str().into());
        }
        members
    }
}

fn ecus(fields: &mut Fields<'_>) -> Result<BTreeMap<EcuSerial, HardwareId>, MetadataError> {
    let path = fields.path_of("ecuIdentifiers");
    let wrong_count =
        || MetadataError::field(path.as_str(), format!("must list 1 to {MAX_ECUS} ECUs"));
    let mut ecus = BTreeMap::new();
    fields
        .fields("ecuIdentifiers")?
        .each(&mut |serial, mut ecu| {
            if ecus.len() == MAX_ECUS {
                return Err(wrong_count());
            }
            let hardware = ecu.string("hardwareId")?;
            let hardware = HardwareId::at(&ecu.path_of("hardwareId"), &hardware)?;
            ecus.insert(EcuSerial::at(&path, serial)?, hardware);
            Ok(())
        })?;
    match ecus.is_empty() {
        true => Err(wrong_count()),
        false => Ok(ecus),
    }
}

/// A key for every listed ECU if the image is encrypted, and no key otherwise.
fn wrapped_keys(
    fields: &mut Fields<'_>,
    ecus: &BTreeMap<EcuSerial, HardwareId>,
    encrypted: bool,
) -> Result<BTreeMap<EcuSerial, WrappedKey>, MetadataError> {
    if encrypted != fields.members_has("wrappedKeys") {
        return fields.fail("wrappedKeys", "must stand exactly beside encryptedTarget");
    }
    if !encrypted {
        return Ok(BTreeMap::new());
    }
    let path = fields.path_of("wrappedKeys");
    let mut keys = BTreeMap::new();
    fields.fields("wrappedKeys")?.each(&mut |serial, key| {
        // No more than there are ECUs: what is beyond cannot be theirs.
        match ecus.contains_key(serial) {
            true => keys.insert(EcuSerial::at(&path, serial)?, WrappedKey::decode(key)?),
            false => return other_ecus(&path),
        };
        Ok(())
    })?;
    match keys.len() == ecus.len() {
        true => Ok(keys),
        false => other_ecus(&path),
    }
}

fn other_ecus<T>(path: &str) -> Result<T, MetadataError> {
    Err(MetadataError::field(
        path,
        "must have exactly the ECUs in ecuIdentifiers",
    ))
}
