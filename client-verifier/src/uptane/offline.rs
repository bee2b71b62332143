//! The Director's side of an offline bundle (PURE-2): an Offline Snapshot and one Offline Targets
//! file, signed by keys of their own that the Director's Root names.
//!
//! There is no Timestamp: whoever carries a bundle cannot prove that it is the newest. What is
//! stored and newer than the bundle is used instead of it.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use countersign_metadata::uptane::{OfflineCustom, OfflineName, Vin, offline_authority};
use countersign_metadata::{
    Authority, MetaFile, MetadataError, Role, RoleType, Snapshot, Targets, UtcTime, Verified,
};

use super::assignment::{Assignment, assignments};
use super::directed::Verification;
use super::director::{Claims, Director, Mark};
use super::vehicle::Vehicle;
use crate::chain::Chain;
use crate::context::Context;
use crate::current::Current;
use crate::link;
use crate::names::{RemoteName, StoreName};
use crate::refresh::{Followed, check_entries, misuse};
use crate::reject::{Code, Reject};
use crate::session::{Protocol, Reply, Step, Stored};

const SNAPSHOT: &str = "offline-snapshot";

/// Verifies the Director's side of an offline bundle. Ends with [`Director`].
///
/// What it fetches as Snapshot is the Offline Snapshot of the bundle, and as a Targets role the
/// Offline Targets file; it stores them under names of their own.
#[derive(Debug)]
pub struct OfflineDirectorSession {
    vehicle: Arc<Vehicle>,
    context: Context,
    /// The one Offline Targets file in the bundle.
    name: OfflineName,
    state: State,
}

#[derive(Debug)]
enum State {
    StoredSnapshot(Keys),
    FetchSnapshot(Keys, Option<Verified<Snapshot>>),
    SavedSnapshot(Keys, Current<Snapshot>),
    StoredTargets(Keys, MetaFile),
    FetchTargets(Keys, MetaFile, Option<Verified<Targets>>),
    SavedTargets(Keys, Current<Targets>),
    Done(Box<Director>),
    Refused(Reject),
    Over,
}

/// The Root, and whom it names for the two files.
#[derive(Debug)]
struct Keys {
    chain: Chain,
    snapshot: Authority,
    targets: Authority,
    /// When the Root or the Offline Snapshot expires.
    valid_until: UtcTime,
}

type Transition = Result<State, Reject>;

impl OfflineDirectorSession {
    /// Goes on from the last Root, for the file `NAME.json` that the bundle holds.
    pub fn new(followed: Followed, vehicle: Vehicle, name: OfflineName, context: Context) -> Self {
        Self {
            vehicle: Arc::new(vehicle),
            name,
            state: Keys::of(followed, &context).map_or_else(State::Refused, State::StoredSnapshot),
            context,
        }
    }

    fn snapshot(&self, keys: Keys, floor: Option<Verified<Snapshot>>, reply: Reply) -> Transition {
        let bytes = match reply {
            Reply::Fetched(bytes) => bytes,
            other => return Err(link::no_file(SNAPSHOT, other)),
        };
        link::within(SNAPSHOT, &bytes, self.context.limits.snapshot_len)?;
        let file: Verified<Snapshot> = link::accept(bytes, SNAPSHOT, &keys.snapshot)?;
        let newer =
            |floor: &Verified<Snapshot>| floor.content().version() > file.content().version();
        match floor {
            Some(floor) if newer(&floor) => {
                let floor = Current::fresh(floor, SNAPSHOT, self.context.now)?;
                self.look_up(keys, &floor)
            }
            floor => {
                if let Some(floor) = &floor {
                    link::check_floor(&file, floor, SNAPSHOT)?;
                    check_entries(file.content(), floor.content())?;
                }
                let file = Current::fresh(file, SNAPSHOT, self.context.now)?;
                Ok(State::SavedSnapshot(keys, file))
            }
        }
    }

    fn look_up(&self, mut keys: Keys, snapshot: &Current<Snapshot>) -> Transition {
        keys.valid_until = keys.valid_until.min(snapshot.content().expires());
        match snapshot.content().role(self.name.as_str()) {
            Some(meta) => Ok(State::StoredTargets(keys, meta)),
            None => {
                let detail = "the Offline Snapshot does not list this file";
                Err(Reject::new(
                    Code::RoleNotInSnapshot,
                    self.name.as_str(),
                    detail,
                ))
            }
        }
    }

    fn stored_targets(&self, keys: Keys, meta: MetaFile, stored: Stored) -> Transition {
        let floor = link::floor::<Targets>(stored, &keys.targets);
        match floor {
            Some(file) if link::is_named(&file, &meta) => {
                let file = Current::fresh(file, self.name.as_str(), self.context.now)?;
                self.conclude(&keys, &file)
            }
            floor => Ok(State::FetchTargets(keys, meta, floor)),
        }
    }

    fn targets(
        &self,
        keys: Keys,
        meta: &MetaFile,
        floor: Option<&Verified<Targets>>,
        reply: Reply,
    ) -> Transition {
        let bytes = match reply {
            Reply::Fetched(bytes) => bytes,
            other => return Err(link::no_file(self.name.as_str(), other)),
        };
        link::within(self.name.as_str(), &bytes, self.max_len(meta))?;
        let file = link::check(bytes, self.name.as_str(), meta, &keys.targets, floor)?;
        self.assigned(file.content())?;
        let file = Current::fresh(file, self.name.as_str(), self.context.now)?;
        Ok(State::SavedTargets(keys, file))
    }

    fn max_len(&self, meta: &MetaFile) -> u64 {
        link::max_len(meta, self.context.limits.targets_len)
    }

    fn assigned(&self, targets: &Targets) -> Result<Vec<Assignment>, Reject> {
        carried_assignments(targets, &self.name, &self.vehicle)
    }

    fn conclude(&self, keys: &Keys, targets: &Current<Targets>) -> Transition {
        let content = targets.content();
        Ok(State::Done(Box::new(Director {
            claims: Claims {
                vehicle: Arc::clone(&self.vehicle),
                assignments: self.assigned(content)?,
                mark: Mark::of(targets),
                valid_until: content.expires().min(keys.valid_until),
                repository: self.context.repository.clone(),
                verification: Verification::Offline,
            },
        })))
    }
}

impl Keys {
    fn of(followed: Followed, context: &Context) -> Result<Self, Reject> {
        let chain = followed.fresh(context.now)?;
        Ok(Self {
            snapshot: authority_of(&chain, RoleType::Snapshot)?,
            targets: authority_of(&chain, RoleType::Targets)?,
            valid_until: chain.root.content().expires(),
            chain,
        })
    }
}

/// Whom the Director's Root names for a role of offline updates.
pub(super) fn authority_of(chain: &Chain, role: RoleType) -> Result<Authority, Reject> {
    match offline_authority(chain.root.content(), role) {
        Ok(Some(authority)) => Ok(authority),
        Ok(None) => {
            let detail = "the Director's Root names no keys for offline updates";
            Err(Reject::new(Code::SignatureThreshold, SNAPSHOT, detail))
        }
        Err(error) => Err(Reject::metadata(RoleType::Root.name(), error)),
    }
}

/// What the Offline Targets file `name` assigns. It has to be that one, and for this vehicle: by its
/// list of vehicles where there is one, and by the serials of the ECUs, which are unique. It may be
/// for other vehicles too.
pub(super) fn carried_assignments(
    targets: &Targets,
    name: &OfflineName,
    vehicle: &Vehicle,
) -> Result<Vec<Assignment>, Reject> {
    check_carried(OfflineCustom::of(targets), name, &vehicle.vin)?;
    assignments(targets).map_err(|reject| Reject {
        role: name.as_str().into(),
        ..reject
    })
}

/// Whether an Offline Targets file is the one that its name says, and not for other vehicles only.
pub(super) fn check_carried(
    custom: Result<OfflineCustom, MetadataError>,
    name: &OfflineName,
    vin: &Vin,
) -> Result<(), Reject> {
    let role = name.as_str();
    let custom = custom.map_err(|error| Reject::metadata(role, error))?;
    if custom.name != *name {
        let detail = format!("this is {}", custom.name);
        return Err(Reject::new(Code::OfflineNameMismatch, role, detail));
    }
    if custom.vins.is_some_and(|vins| !vins.contains(vin)) {
        let detail = format!("it is not for vehicle {vin}");
        return Err(Reject::new(Code::VehicleMismatch, role, detail));
    }
    Ok(())
}

impl Protocol for OfflineDirectorSession {
    type Output = Director;

    fn next(&mut self) -> Step<'_, Director> {
        if matches!(self.state, State::Done(_) | State::Refused(_) | State::Over) {
            return Step::Done(match core::mem::replace(&mut self.state, State::Over) {
                State::Done(director) => Ok(*director),
                State::Refused(reject) => Err(reject.at(&self.context.repository)),
                _ => Err(misuse("the session is over")),
            });
        }
        match &self.state {
            State::StoredSnapshot(_) => Step::Load {
                name: StoreName::OfflineSnapshot,
            },
            State::FetchSnapshot(..) => Step::Fetch {
                what: RemoteName::Snapshot(None),
                max_len: self.context.limits.snapshot_len,
            },
            State::SavedSnapshot(keys, file) => save(StoreName::OfflineSnapshot, keys, file),
            State::StoredTargets(..) => Step::Load {
                name: StoreName::OfflineTargets(self.name.to_string()),
            },
            State::FetchTargets(_, meta, _) => Step::Fetch {
                what: RemoteName::Targets(self.name.to_string(), None),
                max_len: self.max_len(meta),
            },
            State::SavedTargets(keys, file) => {
                save(StoreName::OfflineTargets(self.name.to_string()), keys, file)
            }
            State::Done(_) | State::Refused(_) | State::Over => {
                Step::Done(Err(misuse("the session is over")))
            }
        }
    }

    fn supply(&mut self, reply: Reply) {
        let state = core::mem::replace(&mut self.state, State::Over);
        let next = match (state, reply) {
            (State::StoredSnapshot(keys), Reply::Stored(stored)) => {
                let floor = link::floor(stored, &keys.snapshot);
                Ok(State::FetchSnapshot(keys, floor))
            }
            (State::StoredSnapshot(keys), Reply::NotFound) => Ok(State::FetchSnapshot(keys, None)),
            (State::FetchSnapshot(keys, floor), reply) => self.snapshot(keys, floor, reply),
            (State::SavedSnapshot(keys, file), Reply::Saved) => self.look_up(keys, &file),
            (State::StoredTargets(keys, meta), Reply::Stored(stored)) => {
                self.stored_targets(keys, meta, stored)
            }
            (State::StoredTargets(keys, meta), Reply::NotFound) => {
                Ok(State::FetchTargets(keys, meta, None))
            }
            (State::FetchTargets(keys, meta, floor), reply) => {
                self.targets(keys, &meta, floor.as_ref(), reply)
            }
            (State::SavedTargets(keys, file), Reply::Saved) => self.conclude(&keys, &file),
            (State::Refused(reject), _) => Err(reject),
            _ => Err(misuse("the answer does not fit the step")),
        };
        self.state = next.unwrap_or_else(State::Refused);
    }
}

fn save<'a, T: Role, O>(name: StoreName, keys: &Keys, file: &'a Current<T>) -> Step<'a, O> {
    Step::Save {
        name,
        version: file.content().version(),
        bytes: file.verified().received(),
        sha256: None,
        accepted_under: keys.chain.root.content().version(),
    }
}
