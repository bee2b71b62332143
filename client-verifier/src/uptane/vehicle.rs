//! The vehicle that metadata has to be for.

use alloc::collections::BTreeMap;
use alloc::format;

use countersign_metadata::uptane::{EcuSerial, HardwareId, Vin, vin_of};
use countersign_metadata::{MetadataError, Role};

use crate::reject::{Code, Reject};

/// One ECU: who it is and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ecu {
    /// Its unique identifier.
    pub serial: EcuSerial,
    /// What kind of hardware it is.
    pub hardware_id: HardwareId,
}

/// The ECUs that whoever verifies knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ecus {
    /// All of the vehicle: a Primary's view. Metadata that names another one is refused
    /// (5.4.4.6 step 8).
    All(BTreeMap<EcuSerial, HardwareId>),
    /// Itself: a Secondary's view. What is for others is not its business.
    Own(Ecu),
}

impl Ecus {
    /// The hardware of an ECU that is known.
    pub(crate) fn hardware_id(&self, serial: &EcuSerial) -> Option<&HardwareId> {
        match self {
            Self::All(ecus) => ecus.get(serial),
            Self::Own(ecu) => (ecu.serial == *serial).then_some(&ecu.hardware_id),
        }
    }
}

/// A vehicle as whoever verifies knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vehicle {
    /// Its unique identifier.
    pub vin: Vin,
    /// Its ECUs.
    pub ecus: Ecus,
}

impl Vehicle {
    /// The Director's Timestamp, Snapshot and Targets name the vehicle they are for. Otherwise
    /// another vehicle's could be replayed: to say that there is nothing to do, or to raise the
    /// version floors until this vehicle's own files look old.
    pub(crate) fn check_vin<T: Role>(&self, file: &T, role: &str) -> Result<(), Reject> {
        self.check_named(vin_of(file), role)
    }

    /// The same by what the file says of its vehicle.
    pub(crate) fn check_named(
        &self,
        vin: Result<Option<Vin>, MetadataError>,
        role: &str,
    ) -> Result<(), Reject> {
        let refuse = |detail| Err(Reject::new(Code::VehicleMismatch, role, detail));
        match vin.map_err(|error| Reject::metadata(role, error))? {
            Some(vin) if vin == self.vin => Ok(()),
            Some(vin) => refuse(format!("it is for vehicle {vin}, and this is {}", self.vin)),
            None => refuse(format!("it names no vehicle, and this is {}", self.vin)),
        }
    }
}
