//! The newest metadata of a repository, verified in full by the real verifier. A device that has it
//! from the factory accepts nothing older (Uptane 5.4.1 (1); TUF 5.4.3, 5.5.5).

use std::collections::BTreeMap;
use std::path::Path;

use countersign_metadata::uptane::{EcuSerial, HardwareId, Mapping};
use countersign_metadata::{RoleType, UtcTime};
use countersign_verifier::uptane::{DirectorSession, Ecu, Ecus, PartialSession, Vehicle};
use countersign_verifier::{
    Context, Limits, Profile, Protocol, Reject, RemoteName, Reply, Session, Step, StoreName, drive,
};

use super::anchor::{Anchor, PLAIN};
use super::device::Identity;
use super::profile::Verification;
use super::source::highest;
use crate::error::CeremonyError;
use crate::files;

/// Files by the names that a device's store has for them, each with its version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Newest {
    pub(crate) files: BTreeMap<&'static str, (u64, Vec<u8>)>,
}

/// Timestamp, Snapshot and Targets of an Image repository, or of a plain one.
pub(crate) fn of_repository(
    anchor: &Anchor,
    folder: &Path,
    now: UtcTime,
) -> Result<Newest, CeremonyError> {
    let profile = match anchor.repository {
        PLAIN => Profile::Tuf,
        _ => Profile::Image,
    };
    let context = Context {
        repository: anchor.repository.into(),
        profile,
        ..Context::new(now)
    };
    collect(&mut Session::from_root(anchor.followed(), context), folder)
}

/// The Director's, for one vehicle: Timestamp, Snapshot and Targets, or Targets alone for an ECU
/// that verifies in part.
pub(crate) fn of_director(
    anchor: &Anchor,
    folder: &Path,
    (identity, hardware_id): (&Identity, &HardwareId),
    ecus: Option<BTreeMap<EcuSerial, HardwareId>>,
    verification: Verification,
    now: UtcTime,
) -> Result<Newest, CeremonyError> {
    let context = Context {
        repository: Mapping::DIRECTOR.into(),
        limits: Limits::director(),
        ..Context::new(now)
    };
    let (followed, vin) = (anchor.followed(), identity.vin.clone());
    let ecu = Ecu {
        serial: identity.serial.clone(),
        hardware_id: hardware_id.clone(),
    };
    match verification {
        Verification::Partial => collect(
            &mut PartialSession::new(followed, vin, ecu, context),
            folder,
        ),
        Verification::Full => {
            let ecus = ecus.map_or(Ecus::Own(ecu), Ecus::All);
            let vehicle = Vehicle { vin, ecus };
            collect(
                &mut DirectorSession::new(followed, vehicle, context),
                folder,
            )
        }
    }
}

/// What a session has a device keep.
fn collect<P: Protocol>(session: &mut P, folder: &Path) -> Result<Newest, CeremonyError> {
    let mut newest = Newest::default();
    let answer = |step: Step<'_, P::Output>| {
        Ok(match step {
            Step::Fetch { what, max_len } => fetch(folder, &what, max_len)?,
            Step::Save {
                name,
                version,
                bytes,
                ..
            } => {
                if let Some(name) = store_name(&name) {
                    newest.files.insert(name, (version, bytes.to_vec()));
                }
                Reply::Saved
            }
            _ => Reply::NotFound,
        })
    };
    match drive(session, answer) {
        Ok(_) => Ok(newest),
        Err(Stop::Failed(error)) => Err(*error),
        Err(Stop::Refused(reject)) => Err(CeremonyError::Exchange {
            path: folder.into(),
            why: format!("devices would refuse the metadata in it: {reject}"),
        }),
    }
}

enum Stop {
    Refused(Reject),
    Failed(Box<CeremonyError>),
}

impl From<Reject> for Stop {
    fn from(reject: Reject) -> Self {
        Self::Refused(reject)
    }
}

/// A file as it is served, or under the plain name that a device's store has for it.
fn fetch(folder: &Path, what: &RemoteName, max_len: u64) -> Result<Reply, Stop> {
    let plain = match what {
        RemoteName::Root(_) => return Ok(Reply::NotFound),
        RemoteName::Timestamp => RemoteName::Timestamp,
        RemoteName::Snapshot(_) => RemoteName::Snapshot(None),
        RemoteName::Targets(role, _) => RemoteName::Targets(role.clone(), None),
    };
    for name in [what, &plain] {
        if let Some(reply) = read(&folder.join(name.file_name()), max_len)? {
            return Ok(reply);
        }
    }
    // Nothing tells an ECU that verifies in part which version is the newest.
    let unversioned = RemoteName::Targets(RoleType::Targets.name().into(), None);
    let newest = match *what == unversioned {
        true => highest(folder, RoleType::Targets.name()).map_err(failed)?,
        false => None,
    };
    let found = newest.map(|path| read(&path, max_len)).transpose()?;
    Ok(found.flatten().unwrap_or(Reply::NotFound))
}

fn read(path: &Path, max_len: u64) -> Result<Option<Reply>, Stop> {
    if !path.is_file() {
        return Ok(None);
    }
    match files::read(path, max_len) {
        Ok(bytes) => Ok(Some(Reply::Fetched(bytes))),
        Err(CeremonyError::Exchange { .. }) => Ok(Some(Reply::TooLarge)),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: CeremonyError) -> Stop {
    Stop::Failed(Box::new(error))
}

fn store_name(name: &StoreName) -> Option<&'static str> {
    match name {
        StoreName::Timestamp => Some("timestamp.json"),
        StoreName::Snapshot => Some("snapshot.json"),
        StoreName::Targets => Some("targets.json"),
        _ => None,
    }
}
