//! What a vehicle is made of: `vehicle.json`.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use countersign_client::uptane::link::Verification;
use countersign_metadata::percent_encode;
use countersign_metadata::uptane::{EcuSerial, HardwareId, Vin};
use countersign_signing::KeyUri;
use serde::{Deserialize, Serialize};

use crate::error::SimError;

/// The file's name.
pub const VEHICLE_FILE: &str = "vehicle.json";

/// A vehicle and its ECUs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// The vehicle.
    #[serde(with = "text")]
    pub vin: Vin,
    /// Its ECUs. The first one is the Primary.
    pub ecus: Vec<EcuPlan>,
    /// What becomes of a bundle that one ECU cannot take.
    #[serde(default)]
    pub bundle: BundlePolicy,
}

/// One ECU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EcuPlan {
    /// Who it is.
    #[serde(with = "text")]
    pub serial: EcuSerial,
    /// What it is.
    #[serde(with = "text")]
    pub hardware_id: HardwareId,
    /// How it verifies. A Primary does so in full.
    pub verification: Verification,
    /// How its Primary reaches it.
    pub connection: Connection,
    /// The key that signs its reports.
    #[serde(with = "text")]
    pub signing: KeyUri,
    /// The key that its images are encrypted for.
    #[serde(with = "text")]
    pub decryption: KeyUri,
}

/// How a Primary reaches an ECU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// They share a process.
    InProcess,
    /// Over TCP on this machine, at a port that the system chooses.
    Tcp,
}

/// What becomes of a bundle that one ECU cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BundlePolicy {
    /// Nobody installs.
    #[default]
    AllOrNothing,
    /// The others do.
    BestEffort,
}

impl Plan {
    /// The vehicle in `folder`.
    ///
    /// # Errors
    /// [`SimError::NoVehicle`], [`SimError::Plan`], [`SimError::Io`]
    pub fn read(folder: &Path) -> Result<Self, SimError> {
        let path = folder.join(VEHICLE_FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SimError::NoVehicle {
                    folder: folder.into(),
                });
            }
            Err(error) => return Err(SimError::io("read", &path)(error)),
        };
        let plan: Self = serde_json::from_slice(&text).map_err(|error| SimError::Plan {
            detail: format!("{}: {error}", path.display()),
        })?;
        plan.check()?;
        Ok(plan)
    }

    /// The Primary and its Secondaries.
    ///
    /// # Errors
    /// [`SimError::Plan`] if there is no ECU.
    pub fn members(&self) -> Result<(&EcuPlan, &[EcuPlan]), SimError> {
        self.ecus.split_first().ok_or_else(|| SimError::Plan {
            detail: "a vehicle needs at least one ECU, its Primary".into(),
        })
    }

    /// The ECU with this serial.
    pub fn ecu(&self, serial: &EcuSerial) -> Option<&EcuPlan> {
        self.ecus.iter().find(|ecu| ecu.serial == *serial)
    }

    pub(crate) fn check(&self) -> Result<(), SimError> {
        let (primary, secondaries) = self.members()?;
        let wrong = |detail| Err(SimError::Plan { detail });
        if primary.verification != Verification::Full {
            return wrong("a Primary verifies in full; write \"verification\": \"full\"".into());
        }
        if primary.connection != Connection::InProcess {
            return wrong("the Primary's own ECU is in its process".into());
        }
        let twice = |ecu: &&EcuPlan| {
            let same = self.ecus.iter().filter(|other| other.serial == ecu.serial);
            same.count() > 1
        };
        match secondaries.iter().find(twice) {
            Some(ecu) => wrong(format!("ECU {} is there twice", ecu.serial)),
            None => Ok(()),
        }
    }
}

impl EcuPlan {
    /// An ECU in the Primary's process that verifies in full, with keys in files below the
    /// vehicle's folder.
    ///
    /// # Errors
    /// [`SimError::Plan`] if the serial makes no file name.
    pub fn new(serial: EcuSerial, hardware_id: HardwareId) -> Result<Self, SimError> {
        let key = |use_: &str| {
            let name = percent_encode(&format!("{}.{use_}.pem", folder_name(&serial)));
            KeyUri::from_str(&format!("file:keys/{name}?encryption=none")).map_err(|error| {
                SimError::Plan {
                    detail: error.to_string(),
                }
            })
        };
        Ok(Self {
            signing: key("signing")?,
            decryption: key("decryption")?,
            verification: Verification::Full,
            connection: Connection::InProcess,
            serial,
            hardware_id,
        })
    }

    /// Where everything of this ECU but its keys is.
    pub fn folder(&self, vehicle: &Path) -> PathBuf {
        vehicle.join(folder_name(&self.serial))
    }

    /// What runs on this ECU.
    pub fn active_image(&self, vehicle: &Path) -> PathBuf {
        self.folder(vehicle).join("slots/active/image")
    }
}

/// A serial can have any printable character; a file name should not.
fn folder_name(serial: &EcuSerial) -> String {
    format!("ecu-{}", percent_encode(serial.as_str()))
}

/// Types that have a text form, as strings in JSON.
mod text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::*;

    pub(super) trait FromText: Sized {
        fn from_text(text: &str) -> Result<Self, String>;
    }

    macro_rules! from_text {
        ($($name:ident: $parse:path),*) => {$(
            impl FromText for $name {
                fn from_text(text: &str) -> Result<Self, String> {
                    $parse(text).map_err(|error| error.to_string())
                }
            }
        )*};
    }
    from_text!(Vin: Vin::new, EcuSerial: EcuSerial::new, HardwareId: HardwareId::new);
    from_text!(KeyUri: KeyUri::from_str);

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromText, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(from)?;
        T::from_text(&text).map_err(D::Error::custom)
    }
}
