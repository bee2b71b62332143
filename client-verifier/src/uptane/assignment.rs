//! What the Director's Targets assigns (5.2.3.1, 5.4.4.6 steps 6 to 8).

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use countersign_metadata::limits::MAX_NAMED_ECUS;
use countersign_metadata::uptane::{DirectorCustom, EcuSerial};
use countersign_metadata::{MetadataError, Roles, TargetFile, TargetPath, Targets, sha256};

use super::vehicle::{Ecus, Vehicle};
use crate::reject::{Code, Reject};

const ROLE: &str = "targets";

/// Images that one vehicle can be assigned at a time. Vehicles have up to about 150 ECUs, and each
/// is named once.
const MAX_ASSIGNMENTS: usize = 1024;

/// So many ECUs are noted in one piece of memory.
const PIECE: usize = 32;

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
    let delegates = targets.delegations().is_some_and(
        |delegations| !matches!(&delegations.roles, Roles::Listed(roles) if roles.is_empty()),
    );
    check_extent(delegates, targets.len())?;
    let mut entries = Entries::default();
    let mut assignments = Vec::with_capacity(targets.len());
    for (name, file) in targets.iter() {
        let (path, custom) = entries.take(&name, || DirectorCustom::of(&file))?;
        assignments.push(Assignment { path, file, custom });
    }
    Ok(assignments)
}

/// What it may hold at all, before its entries are looked at.
pub(super) fn check_extent(delegates: bool, images: usize) -> Result<(), Reject> {
    let refuse = |code, detail| Err(Reject::new(code, ROLE, detail));
    if delegates {
        let detail = "the Director's Targets must not delegate";
        return refuse(Code::DirectorHasDelegations, detail.into());
    }
    if images > MAX_ASSIGNMENTS {
        let detail = format!("{images} images, more than {MAX_ASSIGNMENTS}");
        return refuse(Code::TooLarge, detail);
    }
    Ok(())
}

/// The entries of one file, looked at one after the other.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// The start of SHA-256 of each serial that was named. Two that start alike would count as one ECU:
    /// that a file is refused for it by accident is less likely than 10^-12. In pieces, because a list
    /// that grows needs its memory twice.
    named: Vec<Vec<[u8; 8]>>,
}

impl Entries {
    /// Takes an entry: its path, and what the Director says in its `custom`.
    pub(super) fn take(
        &mut self,
        name: &str,
        custom: impl FnOnce() -> Result<DirectorCustom, MetadataError>,
    ) -> Result<(TargetPath, DirectorCustom), Reject> {
        let path = TargetPath::new(name)
            .map_err(|error| Reject::new(Code::UnsafeFilename, ROLE, error.to_string()))?;
        let custom = custom().map_err(|error| Reject::metadata(ROLE, error))?;
        for serial in custom.ecus.keys() {
            self.name(serial)?;
        }
        Ok((path, custom))
    }

    /// No ECU is named twice.
    fn name(&mut self, serial: &EcuSerial) -> Result<(), Reject> {
        let refuse = |code, detail| Err(Reject::new(code, ROLE, detail));
        let digest = sha256(serial.as_str().as_bytes());
        let start = digest.first_chunk().copied().unwrap_or_default();
        if self.named.iter().flatten().any(|known| *known == start) {
            return refuse(Code::EcuRepeated, format!("ECU {serial} is named twice"));
        }
        match self.room() {
            Some(piece) => {
                piece.push(start);
                Ok(())
            }
            None => {
                let detail =
                    format!("it names more ECUs than can be held, or than {MAX_NAMED_ECUS}");
                refuse(Code::TooLarge, detail)
            }
        }
    }

    /// A piece with a place in it, within the bound and as far as there is memory.
    fn room(&mut self) -> Option<&mut Vec<[u8; 8]>> {
        let is_full = self.named.last().is_none_or(|piece| piece.len() == PIECE);
        if is_full {
            let mut piece = Vec::new();
            let within = self.named.len() < MAX_NAMED_ECUS / PIECE;
            (within && piece.try_reserve_exact(PIECE).is_ok()).then(|| self.named.push(piece))?;
        }
        self.named.last_mut()
    }
}
