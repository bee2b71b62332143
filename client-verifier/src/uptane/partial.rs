//! Partial verification (5.4.4.1): the Director's Root and Targets, and nothing else. It stops
//! whoever has no key of the Director's Targets, and nobody who has one: that is why Secondaries
//! should verify in full where they can.
//!
//! Out of an offline bundle (PURE-2) it is the Offline Targets file, in the same way.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use countersign_metadata::uptane::{OfflineName, Vin};
use countersign_metadata::{Authority, Role, RoleType, TargetFile, Targets, Verified};

use super::assignment::{Assignment, assignments, check_targets};
use super::directed::{Directed, Verification};
use super::director::Mark;
use super::offline::{authority_of, carried_assignments};
use super::vehicle::{Ecu, Ecus, Vehicle};
use crate::chain::{Chain, KeyGroup, Recall};
use crate::context::Context;
use crate::current::Current;
use crate::image::ListedTarget;
use crate::link;
use crate::names::{RemoteName, StoreName};
use crate::refresh::{Followed, misuse};
use crate::reject::{Code, Reject};
use crate::session::{Protocol, Reply, Step, Stored};

const ROLE: &str = "targets";

/// What a partially verifying Secondary may act on.
#[derive(Debug)]
pub struct Partial {
    /// The image for this ECU, if there is one.
    pub image: Option<Directed>,
    /// The mark of the Director's Targets.
    pub mark: Mark,
}

/// Follows the Director's Targets without Timestamp and Snapshot. Ends with [`Partial`].
#[derive(Debug)]
pub struct PartialSession {
    vehicle: Arc<Vehicle>,
    ecu: Ecu,
    context: Context,
    file: File,
    state: State,
}

/// Which file it follows.
#[derive(Debug)]
enum File {
    /// The Director's Targets.
    Targets,
    /// The Offline Targets file of this name.
    Offline(OfflineName),
}

#[derive(Debug)]
enum State {
    Stored(Chain),
    History(Chain, Stored, u64),
    Fetch(Chain, Option<Verified<Targets>>),
    Saved(Chain, Current<Targets>),
    Done(Box<Partial>),
    Refused(Reject),
    Over,
}

type Transition = Result<State, Reject>;

impl PartialSession {
    /// Goes on from the last Root, for one ECU of the vehicle `vin`.
    pub fn new(followed: Followed, vin: Vin, ecu: Ecu, context: Context) -> Self {
        Self::of(File::Targets, followed, vin, ecu, context)
    }

    /// As [`PartialSession::new`], for the Offline Targets file `NAME.json` of a bundle (PURE-2).
    pub fn offline(
        followed: Followed,
        vin: Vin,
        ecu: Ecu,
        name: OfflineName,
        context: Context,
    ) -> Self {
        Self::of(File::Offline(name), followed, vin, ecu, context)
    }

    fn of(file: File, followed: Followed, vin: Vin, ecu: Ecu, context: Context) -> Self {
        let state = match followed.fresh(context.now) {
            Ok(chain) => State::Stored(chain),
            Err(reject) => State::Refused(reject),
        };
        let vehicle = Arc::new(Vehicle {
            vin,
            ecus: Ecus::Own(ecu.clone()),
        });
        Self {
            vehicle,
            ecu,
            context,
            file,
            state,
        }
    }

    fn is_carried(&self) -> bool {
        matches!(self.file, File::Offline(_))
    }

    fn role(&self) -> &str {
        match &self.file {
            File::Targets => ROLE,
            File::Offline(name) => name.as_str(),
        }
    }

    fn stored_as(&self) -> StoreName {
        match &self.file {
            File::Targets => StoreName::Targets,
            File::Offline(name) => StoreName::OfflineTargets(name.to_string()),
        }
    }

    fn authority(&self, chain: &Chain) -> Result<Authority, Reject> {
        match self.file {
            File::Targets => Ok(chain.root.authority(RoleType::Targets)),
            File::Offline(_) => authority_of(chain, RoleType::Targets),
        }
    }

    fn recall(&self, chain: Chain, stored: Stored) -> Transition {
        let recall = match self.file {
            File::Targets => chain.recall(&stored, KeyGroup::Targets),
            // What the keys of today have not signed is no floor.
            File::Offline(_) => Recall::Keep,
        };
        let floor = match recall {
            Recall::NeedRoot(version) => return Ok(State::History(chain, stored, version)),
            Recall::Forget => None,
            Recall::Keep => link::floor(stored, &self.authority(&chain)?),
        };
        Ok(State::Fetch(chain, floor))
    }

    /// 5.4.4.6, without step 2: there is no Snapshot to compare with.
    fn fetched(&self, chain: Chain, floor: Option<Verified<Targets>>, reply: Reply) -> Transition {
        let bytes = match reply {
            Reply::Fetched(bytes) => bytes,
            other => return Err(link::no_file(self.role(), other)),
        };
        link::within(self.role(), &bytes, self.context.limits.targets_len)?;
        let authority = self.authority(&chain)?;
        let file: Verified<Targets> = link::accept(bytes, self.role(), &authority)?;
        // Another vehicle's file says so, whatever its version.
        self.assigned(file.content())?;
        match floor {
            // PURE-2: what came with a newer bundle is used instead.
            Some(floor) if self.is_carried() && is_newer(&floor, &file) => {
                let floor = Current::fresh(floor, self.role(), self.context.now)?;
                return self.conclude(&chain, &floor);
            }
            Some(floor) => link::check_floor(&file, &floor, self.role())?,
            None => {}
        }
        let file = Current::fresh(file, self.role(), self.context.now)?;
        Ok(State::Saved(chain, file))
    }

    /// What it assigns, if it is for this vehicle.
    fn assigned(&self, targets: &Targets) -> Result<Vec<Assignment>, Reject> {
        match &self.file {
            File::Targets => {
                check_targets(targets, &self.vehicle)?;
                assignments(targets)
            }
            File::Offline(name) => carried_assignments(targets, name, &self.vehicle),
        }
    }

    /// What it says for this ECU.
    fn conclude(&self, chain: &Chain, targets: &Current<Targets>) -> Transition {
        let content = targets.content();
        let own = self
            .assigned(content)?
            .into_iter()
            .find(|assignment| assignment.custom.ecus.contains_key(&self.ecu.serial));
        let named = own.as_ref().map(|own| &own.custom.ecus[&self.ecu.serial]);
        if let Some(named) = named.filter(|named| **named != self.ecu.hardware_id) {
            let detail = format!(
                "this ECU is {}, and the image is for {named}",
                self.ecu.hardware_id
            );
            return Err(Reject::new(Code::HardwareMismatch, self.role(), detail));
        }
        let image = own.map(|assignment| {
            let target = ListedTarget {
                path: assignment.path,
                file: TargetFile {
                    custom: None,
                    ..assignment.file
                },
                role: self.role().into(),
                repository: self.context.repository.clone(),
                consistent: chain.root.content().consistent_snapshot,
                valid_until: content.expires().min(chain.root.content().expires()),
            };
            let custom = &assignment.custom;
            Directed::new(
                &self.vehicle.vin,
                self.ecu.clone(),
                target,
                custom,
                Verification::Partial,
            )
        });
        let mark = Mark::of(targets);
        Ok(State::Done(Box::new(Partial { image, mark })))
    }
}

impl Protocol for PartialSession {
    type Output = Partial;

    fn next(&mut self) -> Step<'_, Partial> {
        if matches!(self.state, State::Done(_) | State::Refused(_) | State::Over) {
            return Step::Done(match core::mem::replace(&mut self.state, State::Over) {
                State::Done(partial) => Ok(*partial),
                State::Refused(reject) => Err(reject.at(&self.context.repository)),
                _ => Err(misuse("the session is over")),
            });
        }
        match &self.state {
            State::Stored(_) => Step::Load {
                name: self.stored_as(),
            },
            State::History(_, _, version) => Step::Load {
                name: StoreName::RootHistory(*version),
            },
            State::Fetch(..) => Step::Fetch {
                what: RemoteName::Targets(self.role().into(), None),
                max_len: self.context.limits.targets_len,
            },
            State::Saved(chain, file) => Step::Save {
                name: self.stored_as(),
                version: file.content().version(),
                bytes: file.verified().received(),
                accepted_under: chain.version(),
            },
            State::Done(_) | State::Refused(_) | State::Over => {
                Step::Done(Err(misuse("the session is over")))
            }
        }
    }

    fn supply(&mut self, reply: Reply) {
        let state = core::mem::replace(&mut self.state, State::Over);
        let next = match (state, reply) {
            (State::Stored(chain), Reply::Stored(stored)) => self.recall(chain, stored),
            (State::Stored(chain), Reply::NotFound) => Ok(State::Fetch(chain, None)),
            (State::History(mut chain, stored, _), reply) => match chain.add_history(reply) {
                Ok(()) => self.recall(chain, stored),
                Err(reject) => Err(reject),
            },
            (State::Fetch(chain, floor), reply) => self.fetched(chain, floor, reply),
            (State::Saved(chain, file), Reply::Saved) => self.conclude(&chain, &file),
            (State::Refused(reject), _) => Err(reject),
            _ => Err(misuse("the answer does not fit the step")),
        };
        self.state = next.unwrap_or_else(State::Refused);
    }
}

fn is_newer(floor: &Verified<Targets>, file: &Verified<Targets>) -> bool {
    floor.content().version() > file.content().version()
}
