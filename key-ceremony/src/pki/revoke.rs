//! Revocation. It is for ever, and holds for others once they have the next revocation list.

use std::path::PathBuf;

use countersign_metadata::UtcTime;

use crate::CeremonyError;

use super::authority::Authority;
use super::error::PkiError;
use super::identity::DeviceId;
use super::index::{Entry, Status};
use super::record::{Reason, Record, Serial};

/// Which certificates to revoke.
#[derive(Debug, Clone)]
pub enum Which {
    /// The one with this serial number.
    Serial(Serial),
    /// The one in this file, which has to be one of this CA byte for byte.
    File(PathBuf),
    /// All that a device has.
    Device(DeviceId),
    /// All that the devices of a vehicle have.
    Vehicle(String),
}

/// What was revoked.
#[derive(Debug, Clone)]
pub struct Revoked {
    /// Now.
    pub now: Vec<Serial>,
    /// Before, for whatever reason was given then.
    pub before: Vec<Serial>,
}

impl Authority {
    /// Revokes certificates. Those that were revoked before keep their date and reason; of a
    /// device or vehicle, those that have ended are left alone.
    ///
    /// # Errors
    /// [`PkiError::Unknown`] if there are none.
    pub fn revoke(
        &mut self,
        which: &Which,
        reason: Reason,
        now: UtcTime,
    ) -> Result<Revoked, CeremonyError> {
        self.check_clock(now)?;
        let entries: Vec<&Entry> = match which {
            Which::Serial(serial) => self.index.get(*serial).into_iter().collect(),
            Which::File(path) => vec![self.own(path)?],
            Which::Device(device) => self.index.of_device(device).collect(),
            Which::Vehicle(vehicle) => {
                let of_vehicle = |entry: &&Entry| {
                    let device = entry.subject.device();
                    device.is_some_and(|device| device.vehicle() == vehicle)
                };
                self.index.entries().iter().filter(of_vehicle).collect()
            }
        };
        if entries.is_empty() {
            return Err(PkiError::Unknown(which.to_string()).into());
        }
        let single = matches!(which, Which::Serial(_) | Which::File(_));
        let of = |wanted: &dyn Fn(&Entry) -> bool| -> Vec<Serial> {
            let entries = entries.iter().filter(|entry| wanted(entry));
            entries.map(|entry| entry.serial).collect()
        };
        let revoked = Revoked {
            now: of(&|entry| {
                let status = entry.status(now);
                status == Status::Valid || single && status == Status::Ended
            }),
            before: of(&|entry| entry.revoked.is_some()),
        };
        let records = revoked.now.iter().map(|serial| Record::Revoked {
            at: now,
            serial: *serial,
            reason,
        });
        self.index.append(records.collect())?;
        Ok(revoked)
    }
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Serial(serial) => write!(f, "certificate {serial}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Device(device) => write!(
                f,
                "a certificate for vehicle {} ECU {}",
                device.vehicle(),
                device.ecu()
            ),
            Self::Vehicle(vehicle) => write!(f, "a certificate for vehicle {vehicle:?}"),
        }
    }
}
