//! The vehicles that a director knows.

use std::collections::BTreeMap;

use countersign_director_domain::{RecordError, VehicleRecord};
use countersign_metadata::PublicKey;
use countersign_metadata::uptane::{EcuSerial, Vin};

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
    /// No vehicle can be like that.
    #[error(transparent)]
    Record(#[from] RecordError),
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
        vehicle.check()?;
        let known = self.vehicles.values().flat_map(|known| &known.ecus);
        let known: BTreeMap<&EcuSerial, Option<PublicKey>> = known
            .map(|(serial, ecu)| (serial, ecu.signing.public()))
            .collect();
        for (serial, ecu) in &vehicle.ecus {
            if known.contains_key(serial) {
                return Err(RegisterError::KnownEcu(serial.clone()));
            }
            let public = ecu.signing.public();
            if known.values().any(|other| *other == public) {
                return Err(RecordError::SharedKey(serial.clone()).into());
            }
        }
        self.vehicles.insert(vin, vehicle);
        Ok(())
    }

    /// What is known of a vehicle.
    pub fn vehicle(&self, vin: &Vin) -> Option<&VehicleRecord> {
        self.vehicles.get(vin)
    }
}
