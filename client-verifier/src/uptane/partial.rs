//! Partial verification (5.4.4.1): the Director's Root and Targets, and nothing else. It stops
//! whoever has no key of the Director's Targets, and nobody who has one: that is why Secondaries
//! should verify in full where they can.

use alloc::boxed::Box;
use alloc::sync::Arc;

use countersign_metadata::uptane::Vin;
use countersign_metadata::{Role, RoleType, TargetFile, Targets, Verified};

use super::assignment::{assignments, check_targets};
use super::directed::{Directed, Verification};
use super::director::Mark;
use super::vehicle::{Ecu, Ecus, Vehicle};
use crate::chain::{Chain, KeyGroup, Recall};
use crate::context::Context;
use crate::current::Current;
use crate::image::ListedTarget;
use crate::link;
use crate::names::{RemoteName, StoreName};
use crate::refresh::{Followed, misuse};
use crate::reject::Reject;
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
    state: State,
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
            state,
        }
    }

    fn recall(&self, chain: Chain, stored: Stored) -> Transition {
        let floor = match chain.recall(&stored, KeyGroup::Targets) {
            Recall::NeedRoot(version) => return Ok(State::History(chain, stored, version)),
            Recall::Forget => None,
            Recall::Keep => link::floor(stored, &chain.root.authority(RoleType::Targets)),
        };
        Ok(State::Fetch(chain, floor))
    }

    /// 5.4.4.6, without step 2: there is no Snapshot to compare with.
    fn fetched(&self, chain: Chain, floor: Option<Verified<Targets>>, reply: Reply) -> Transition {
        let bytes = match reply {
            Reply::Fetched(bytes) => bytes,
            other => return Err(link::no_file(ROLE, other)),
        };
        link::within(ROLE, &bytes, self.context.limits.targets_len)?;
        let authority = chain.root.authority(RoleType::Targets);
        let file: Verified<Targets> = link::accept(bytes, ROLE, &authority)?;
        // Another vehicle's file says so, whatever its version.
        self.vehicle.check_vin(file.content(), ROLE)?;
        if let Some(floor) = &floor {
            link::check_floor(&file, floor, ROLE)?;
        }
        check_targets(file.content(), &self.vehicle)?;
        let file = Current::fresh(file, ROLE, self.context.now)?;
        Ok(State::Saved(chain, file))
    }

    /// What it says for this ECU.
    fn conclude(&self, chain: &Chain, targets: &Current<Targets>) -> Transition {
        let content = targets.content();
        let assignments = assignments(content)?;
        let own = assignments
            .into_iter()
            .find(|assignment| assignment.custom.ecus.contains_key(&self.ecu.serial));
        let image = own.map(|assignment| {
            let hardware_id = &assignment.custom.ecus[&self.ecu.serial];
            let target = ListedTarget {
                path: assignment.path,
                file: TargetFile {
                    custom: None,
                    ..assignment.file
                },
                role: ROLE.into(),
                repository: self.context.repository.clone(),
                consistent: chain.root.content().consistent_snapshot,
                valid_until: content.expires().min(chain.root.content().expires()),
            };
            let ecu = Ecu {
                serial: self.ecu.serial.clone(),
                hardware_id: hardware_id.clone(),
            };
            let custom = &assignment.custom;
            Directed::new(
                &self.vehicle.vin,
                ecu,
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
                name: StoreName::Targets,
            },
            State::History(_, _, version) => Step::Load {
                name: StoreName::RootHistory(*version),
            },
            State::Fetch(..) => Step::Fetch {
                what: RemoteName::Targets(ROLE.into(), None),
                max_len: self.context.limits.targets_len,
            },
            State::Saved(chain, file) => Step::Save {
                name: StoreName::Targets,
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
