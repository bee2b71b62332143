//! Our Director's judgement of what vehicles report.

use std::collections::BTreeMap;

use countersign_director_domain::manifest::{Heard, ReportRules, judge};
use countersign_director_domain::{EcuRecord, VehicleRecord};
use countersign_metadata::json::parse;
use countersign_metadata::uptane::{EcuSerial, HardwareId, Vin};
use countersign_metadata::{Key, MetadataError};

use super::clock;
use crate::format::{Action, Step, Vehicle, Verdict};
use crate::run::{Client, Observed, Refusal, RunError};
use crate::suite::Vector;

/// With its memory of the vehicles.
#[derive(Default)]
pub(super) struct InProcess {
    vehicles: BTreeMap<Vin, (VehicleRecord, BTreeMap<EcuSerial, Heard>)>,
}

impl Client for InProcess {
    fn init(&mut self, vector: &Vector) -> Result<(), RunError> {
        for (vin, vehicle) in &vector.case.inventory {
            let failed = |error: MetadataError| RunError(format!("{vin}: {error}"));
            let record = record(vehicle).map_err(failed)?;
            let vin = Vin::new(vin).map_err(failed)?;
            self.vehicles.insert(vin, (record, BTreeMap::new()));
        }
        Ok(())
    }

    fn act(&mut self, vector: &Vector, step: &Step) -> Result<Observed, RunError> {
        let Action::Manifest(manifest) = &step.action else {
            return Err(RunError(format!(
                "{:?} is nothing for a Director",
                step.action
            )));
        };
        let rules = ReportRules::at(clock(vector, step)?);
        let sender = Vin::new(&manifest.sender).map_err(|error| RunError(error.to_string()))?;
        let bytes = vector.file(&manifest.file);
        let Some((record, heard)) = self.vehicles.get_mut(&sender) else {
            return Ok(dropped("vehicle-unknown", "nobody knows it".into()));
        };
        match judge(&sender, bytes, record, heard, &rules) {
            Ok((receipt, now)) => {
                *heard = now;
                let attacks = receipt.attacks.iter();
                Ok(Observed {
                    stale: Some(receipt.stale.iter().map(ToString::to_string).collect()),
                    attacks: Some(
                        attacks
                            .map(|(ecu, attack)| format!("{ecu} {}", attack.attack))
                            .collect(),
                    ),
                    ..Observed::default()
                })
            }
            Err(refusal) => Ok(dropped(refusal.name(), refusal.to_string())),
        }
    }
}

fn dropped(code: &str, messages: String) -> Observed {
    Observed {
        verdict: Verdict::Reject,
        refusal: Some(Refusal {
            code: code.into(),
            role: String::new(),
            repository: None,
            attack: "none".into(),
            cause: None,
        }),
        messages,
        ..Observed::default()
    }
}

fn record(vehicle: &Vehicle) -> Result<VehicleRecord, MetadataError> {
    let mut ecus = BTreeMap::new();
    for (serial, ecu) in &vehicle.ecus {
        let key = parse(ecu.key.to_string().as_bytes())?;
        let record = EcuRecord {
            hardware_id: HardwareId::new(&ecu.hardware_id)?,
            signing: Key::of(&key)?,
            encryption: None,
        };
        ecus.insert(EcuSerial::new(serial)?, record);
    }
    Ok(VehicleRecord {
        primary: EcuSerial::new(&vehicle.primary)?,
        ecus,
    })
}
