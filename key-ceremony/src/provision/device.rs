//! One device: who it is, what is known of its keys, what only it is given.

use std::collections::BTreeMap;

use countersign_metadata::uptane::{EcuSerial, EncryptionKey, HardwareId, Vin};
use countersign_metadata::{Key, PublicKey};
use serde::{Deserialize, Serialize};

use super::newest::Newest;
use crate::pki::DeviceId;

/// Who an ECU is: in metadata, in its certificate and in the names of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub(crate) vin: Vin,
    pub(crate) serial: EcuSerial,
    id: DeviceId,
}

/// Whether somebody has shown that the device has the private half of its signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Possession {
    /// A certificate request was signed with it.
    Request,
    /// Nothing shows it here; the Director asks for it when the vehicle registers.
    NotShown,
}

/// The public keys of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DeviceKeys {
    pub(crate) signing: Option<(PublicKey, Possession)>,
    pub(crate) encryption: Option<EncryptionKey>,
}

/// Everything that is one device's own.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) identity: Identity,
    pub(crate) others: BTreeMap<EcuSerial, HardwareId>,
    pub(crate) keys: DeviceKeys,
    pub(crate) director: Option<Newest>,
}

impl Identity {
    /// From texts that metadata may name and a device certificate, too: 1 to 64 printable ASCII
    /// characters without spaces, quotes and backslashes, the first of which is a letter or digit.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(vin: &str, serial: &str) -> Result<Self, String> {
        Ok(Self {
            id: DeviceId::new(vin, serial).map_err(|error| error.to_string())?,
            vin: Vin::new(vin).map_err(|error| error.to_string())?,
            serial: EcuSerial::new(serial).map_err(|error| error.to_string())?,
        })
    }

    /// The vehicle.
    pub fn vin(&self) -> &str {
        self.vin.as_str()
    }

    /// The ECU.
    pub fn serial(&self) -> &str {
        self.serial.as_str()
    }

    pub(crate) fn id(&self) -> &DeviceId {
        &self.id
    }

    /// `VEHICLE/ECU`, both percent-encoded, as a batch of certificates has it.
    pub(crate) fn folder(&self) -> String {
        self.id.encoded().join("/")
    }

    /// The vehicle in paths and addresses.
    pub(crate) fn encoded_vin(&self) -> String {
        let [vin, _] = self.id.encoded();
        vin
    }
}

impl DeviceKeys {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The id of the signing key.
    pub(crate) fn signing_id(&self) -> Option<String> {
        let (key, _) = self.signing.as_ref()?;
        Some(Key::new(key).id().as_str().into())
    }

    /// The id of the encryption key.
    pub(crate) fn encryption_id(&self) -> Option<String> {
        Some(self.encryption.as_ref()?.id().as_str().into())
    }
}
