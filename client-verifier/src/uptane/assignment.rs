//! What the Director's Targets assigns (5.2.3.1, 5.4.4.6 steps 6 to 8).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use countersign_metadata::uptane::DirectorCustom;
use countersign_metadata::{Roles, TargetFile, TargetPath, Targets};

use super::vehicle::{Ecus, Vehicle};
use crate::reject::{Code, Reject};

const ROLE: &str = "targets";

/// Images that one vehicle can be assigned at a time. Vehicles have up to about 150 ECUs, and each
/// is named once.
const MAX_ASSIGNMENTS: usize = 1024;

/// One image that the Director assigns to one ECU or to several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The image's filename.
    pub path: TargetPath,
    /// Length and hashes of the plaintext.
    pub file: TargetFile,
    /// For whom, and how it is encrypted.
    pub custom: DirectorCustom,
}

/// What an online Targets file of the Director has to fulfil before it is saved.
pub(crate) fn check_targets(targets: &Targets, vehicle: &Vehicle) -> Result<(), Reject> {
    vehicle.check_vin(targets, ROLE)?;
    let assignments = assignments(targets)?;
    check_ecus(&assignments, &vehicle.ecus)
}

/// Step 8: a Primary knows every ECU that is named.
fn check_ecus(assignments: &[Assignment], ecus: &Ecus) -> Result<(), Reject> {
    let Ecus::All(ecus) = ecus else {
        return Ok(());
    };
    let mut named = assignments
        .iter()
        .flat_map(|assignment| assignment.custom.ecus.keys());
    match named.find(|serial| !ecus.contains_key(*serial)) {
        None => Ok(()),
        Some(serial) => {
            let detail = format!("ECU {serial} is not in this vehicle");
            Err(Reject::new(Code::EcuUnknown, ROLE, detail))
        }
    }
}

/// All that it assigns: no delegations, and no ECU twice (steps 6 and 7).
pub(crate) fn assignments(targets: &Targets) -> Result<Vec<Assignment>, Reject> {
    let refuse = |code, detail| Err(Reject::new(code, ROLE, detail));
    let delegates = targets.delegations().is_some_and(
        |delegations| !matches!(&delegations.roles, Roles::Listed(roles) if roles.is_empty()),
    );
    if delegates {
        let detail = "the Director's Targets must not delegate";
        return refuse(Code::DirectorHasDelegations, detail.into());
    }
    if targets.len() > MAX_ASSIGNMENTS {
        let detail = format!("{} images, more than {MAX_ASSIGNMENTS}", targets.len());
        return refuse(Code::TooLarge, detail);
    }
    let mut seen = BTreeSet::new();
    let mut assignments = Vec::with_capacity(targets.len());
    for (name, file) in targets.iter() {
        let path = TargetPath::new(&name)
            .map_err(|error| Reject::new(Code::UnsafeFilename, ROLE, error.to_string()))?;
        let custom = DirectorCustom::of(&file).map_err(|error| Reject::metadata(ROLE, error))?;
        for serial in custom.ecus.keys() {
            if !seen.insert(serial.clone()) {
                return refuse(Code::EcuRepeated, format!("ECU {serial} is named twice"));
            }
        }
        assignments.push(Assignment { path, file, custom });
    }
    Ok(assignments)
}
