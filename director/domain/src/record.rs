//! What is known of a vehicle: its ECUs and their public keys (Uptane 5.3.2.2).

use std::collections::BTreeMap;

use countersign_metadata::uptane::{EcuSerial, EncryptionKey, HardwareId};
use countersign_metadata::{Authority, Key, PublicKey, RoleKeys};

/// What is known of one ECU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcuRecord {
    /// What kind of hardware it is.
    pub hardware_id: HardwareId,
    /// The key that signs its reports.
    pub signing: Key,
    /// The key that content keys are wrapped to, if it has one.
    pub encryption: Option<EncryptionKey>,
}

/// What is known of one vehicle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VehicleRecord {
    /// Its Primary.
    pub primary: EcuSerial,
    /// All its ECUs, the Primary too.
    pub ecus: BTreeMap<EcuSerial, EcuRecord>,
}

/// Why a vehicle cannot be like that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The Primary is none of the ECUs.
    #[error("the Primary {0} is not among the vehicle's ECUs")]
    NoPrimary(EcuSerial),
    /// More ECUs than a manifest can report.
    #[error("a vehicle has at most {MAX_ECUS} ECUs, and this one has {0}")]
    TooManyEcus(usize),
    /// A key that nothing can be verified with.
    #[error("the signing key of ECU {0} cannot be used; give one that its tool has made")]
    UnusableKey(EcuSerial),
    /// A key that another ECU has.
    #[error("the signing key of ECU {0} is another ECU's too; every ECU needs its own")]
    SharedKey(EcuSerial),
    /// One key for two uses.
    #[error("ECU {0} has one key for signing and for encryption; it needs two")]
    OneKeyForBoth(EcuSerial),
}

/// ECUs of one vehicle.
pub const MAX_ECUS: usize = 256;

impl VehicleRecord {
    /// The rules that a vehicle keeps by itself. That its ECUs and keys are in no other vehicle is for
    /// whoever knows the others.
    ///
    /// # Errors
    /// [`RecordError`]
    pub fn check(&self) -> Result<(), RecordError> {
        if self.ecus.len() > MAX_ECUS {
            return Err(RecordError::TooManyEcus(self.ecus.len()));
        }
        if !self.ecus.contains_key(&self.primary) {
            return Err(RecordError::NoPrimary(self.primary.clone()));
        }
        let mut keys: Vec<PublicKey> = Vec::new();
        for (serial, ecu) in &self.ecus {
            let public = ecu.check(serial)?;
            if keys.contains(&public) {
                return Err(RecordError::SharedKey(serial.clone()));
            }
            keys.push(public);
        }
        Ok(())
    }
}

impl EcuRecord {
    /// Its public signing key, if both its keys are as they should be.
    ///
    /// # Errors
    /// [`RecordError::UnusableKey`], [`RecordError::OneKeyForBoth`]
    pub fn check(&self, serial: &EcuSerial) -> Result<PublicKey, RecordError> {
        let public = self.signing.public();
        let public = public.ok_or_else(|| RecordError::UnusableKey(serial.clone()))?;
        match &self.encryption {
            Some(key) if is_same(&public, key) => Err(RecordError::OneKeyForBoth(serial.clone())),
            _ => Ok(public),
        }
    }

    /// Who may sign for this ECU.
    pub(crate) fn authority(&self, serial: &EcuSerial) -> Authority {
        let id = self.signing.id();
        let keys = BTreeMap::from([(id.clone(), self.signing.clone())]);
        Authority::assume(format!("ECU {serial}"), &RoleKeys::new([id], 1), &keys)
    }
}

fn is_same(signing: &PublicKey, encryption: &EncryptionKey) -> bool {
    match signing {
        PublicKey::EcdsaP256(point) => point.as_slice() == encryption.public_bytes(),
        _ => false,
    }
}
