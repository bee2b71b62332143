//! The vehicles that a director knows, with their ECUs and public keys (Uptane 5.3.2.1).

use std::collections::BTreeMap;

use countersign_metadata::uptane::{EcuSerial, EncryptionKey, HardwareId, Vin};
use countersign_metadata::{Key, PublicKey, RoleKeys};

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

/// All vehicles. A vehicle, once there, is never changed: another key for a known ECU would let
/// whoever registers it speak for that ECU.
#[derive(Debug, Default)]
pub struct Inventory {
    vehicles: BTreeMap<Vin, VehicleRecord>,
}

/// Why a vehicle cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// It is known.
    #[error("vehicle {0} is registered already; what is known of it is not changed this way")]
    KnownVehicle(Vin),
    /// One of its ECUs is known.
    #[error("ECU {0} is registered already, in this vehicle or another one")]
    KnownEcu(EcuSerial),
    /// The Primary is none of the ECUs.
    #[error("the Primary {0} is not among the vehicle's ECUs")]
    NoPrimary(EcuSerial),
    /// A key that nothing can be verified with.
    #[error("the signing key of ECU {0} cannot be used; give one that its tool has made")]
    UnusableKey(EcuSerial),
    /// A key that is registered.
    #[error("the signing key of ECU {0} is another ECU's too; every ECU needs its own")]
    SharedKey(EcuSerial),
    /// One key for two uses.
    #[error("ECU {0} has one key for signing and for encryption; it needs two")]
    OneKeyForBoth(EcuSerial),
}

impl Inventory {
    /// Adds a vehicle.
    ///
    /// # Errors
    /// [`RegisterError`]; then nothing is added.
    pub fn register(&mut self, vin: Vin, vehicle: VehicleRecord) -> Result<(), RegisterError> {
        if self.vehicles.contains_key(&vin) {
            return Err(RegisterError::KnownVehicle(vin));
        }
        if !vehicle.ecus.contains_key(&vehicle.primary) {
            return Err(RegisterError::NoPrimary(vehicle.primary));
        }
        let mut keys: Vec<PublicKey> = Vec::new();
        for (serial, ecu) in self.vehicles.values().flat_map(|known| &known.ecus) {
            if vehicle.ecus.contains_key(serial) {
                return Err(RegisterError::KnownEcu(serial.clone()));
            }
            keys.extend(ecu.signing.public());
        }
        for (serial, ecu) in &vehicle.ecus {
            let Some(public) = ecu.signing.public() else {
                return Err(RegisterError::UnusableKey(serial.clone()));
            };
            if keys.contains(&public) {
                return Err(RegisterError::SharedKey(serial.clone()));
            }
            if ecu
                .encryption
                .as_ref()
                .is_some_and(|key| same(&public, key))
            {
                return Err(RegisterError::OneKeyForBoth(serial.clone()));
            }
            keys.push(public);
        }
        self.vehicles.insert(vin, vehicle);
        Ok(())
    }

    /// What is known of a vehicle.
    pub fn vehicle(&self, vin: &Vin) -> Option<&VehicleRecord> {
        self.vehicles.get(vin)
    }

    /// All vehicles.
    pub fn vehicles(&self) -> impl Iterator<Item = (&Vin, &VehicleRecord)> {
        self.vehicles.iter()
    }
}

impl EcuRecord {
    /// Who may sign for this ECU.
    pub(super) fn authority(&self, serial: &EcuSerial) -> countersign_metadata::Authority {
        let id = self.signing.id();
        let keys = BTreeMap::from([(id.clone(), self.signing.clone())]);
        let role = format!("ECU {serial}");
        countersign_metadata::Authority::assume(role, &RoleKeys::new([id], 1), &keys)
    }
}

fn same(signing: &PublicKey, encryption: &EncryptionKey) -> bool {
    match signing {
        PublicKey::EcdsaP256(point) => point.as_slice() == encryption.public_bytes(),
        _ => false,
    }
}
