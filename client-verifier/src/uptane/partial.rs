//! Partial verification (5.4.4.1): the Director's Root and Targets, and nothing else. It stops
//! whoever has no key of the Director's Targets, and nobody who has one: that is why Secondaries
//! should verify in full where they can.
//!
//! Out of an offline bundle (PURE-2) it is the Offline Targets file, in the same way.

mod rules;
#[cfg(feature = "rustcrypto")]
mod stream;

use alloc::boxed::Box;

use countersign_metadata::uptane::{OfflineName, Vin};
use countersign_metadata::{Targets, Verified};

use self::rules::{Accepted, Anchor, File, Judged, Read, Rules};
#[cfg(feature = "rustcrypto")]
pub use self::stream::{PartialStream, StreamReply, StreamStep};
use super::directed::Directed;
use super::director::Mark;
use super::vehicle::Ecu;
use crate::chain::Recall;
use crate::context::Context;
use crate::link;
use crate::names::StoreName;
use crate::refresh::{Followed, misuse};
use crate::reject::Reject;
use crate::session::{Protocol, Reply, Step, Stored};

/// What a partially verifying Secondary may act on.
#[derive(Debug)]
pub struct Partial {
    /// The image for this ECU, if there is one.
    pub image: Option<Directed>,
    /// The mark of the Director's Targets.
    pub mark: Mark,
}

/// Follows the Director's Targets without Timestamp and Snapshot. Ends with [`Partial`].
///
/// It holds the whole file; `PartialStream` (feature `rustcrypto`) is for devices that cannot.
#[derive(Debug)]
pub struct PartialSession {
    rules: Rules,
    state: State,
}

#[derive(Debug)]
enum State {
    Stored(Box<Anchor>),
    History(Box<Anchor>, Stored, u64),
    Fetch(Box<Anchor>, Option<Read>),
    Saved(Box<Anchor>, Box<Verified<Targets>>, Box<Accepted>),
    Done(Box<Partial>),
    Refused(Reject),
    Over,
}

type Transition = Result<State, Reject>;

impl PartialSession {
    /// Goes on from the last Root, for one ECU of the vehicle `vin`.
    pub fn new(followed: Followed, vin: Vin, ecu: Ecu, context: Context) -> Self {
        Self::of(Rules::new(File::Targets, vin, ecu, context), followed)
    }

    /// As [`PartialSession::new`], for the Offline Targets file `NAME.json` of a bundle (PURE-2).
    pub fn offline(
        followed: Followed,
        vin: Vin,
        ecu: Ecu,
        name: OfflineName,
        context: Context,
    ) -> Self {
        Self::of(Rules::new(File::Offline(name), vin, ecu, context), followed)
    }

    fn of(rules: Rules, followed: Followed) -> Self {
        let state = match rules.start(followed) {
            Ok(anchor) => State::Stored(Box::new(anchor)),
            Err(reject) => State::Refused(reject),
        };
        Self { rules, state }
    }

    fn recall(&self, anchor: Box<Anchor>, stored: Stored) -> State {
        let floor = match self.rules.recall(&anchor, stored.accepted_under) {
            Recall::NeedRoot(version) => return State::History(anchor, stored, version),
            Recall::Forget => None,
            Recall::Keep => link::floor(stored, &anchor.authority),
        };
        let floor = floor.map(|floor| self.rules.floor(self.rules.read(&floor)));
        State::Fetch(anchor, floor)
    }

    fn fetched(&self, anchor: Box<Anchor>, floor: Option<Read>, reply: Reply) -> Transition {
        let rules = &self.rules;
        let bytes = match reply {
            Reply::Fetched(bytes) => bytes,
            other => return Err(link::no_file(rules.role(), other)),
        };
        link::within(rules.role(), &bytes, rules.context.limits.targets_len)?;
        let file: Verified<Targets> = link::accept(bytes, rules.role(), &anchor.authority)?;
        match rules.judge(rules.read(&file), floor)? {
            Judged::New(accepted) => Ok(State::Saved(anchor, Box::new(file), Box::new(accepted))),
            Judged::Known(accepted) => self.conclude(&anchor, accepted),
        }
    }

    fn conclude(&self, anchor: &Anchor, accepted: Accepted) -> Transition {
        let partial = self.rules.conclude(anchor, accepted)?;
        Ok(State::Done(Box::new(partial)))
    }
}

impl Protocol for PartialSession {
    type Output = Partial;

    fn next(&mut self) -> Step<'_, Partial> {
        if matches!(self.state, State::Done(_) | State::Refused(_) | State::Over) {
            return Step::Done(match core::mem::replace(&mut self.state, State::Over) {
                State::Done(partial) => Ok(*partial),
                State::Refused(reject) => Err(reject.at(&self.rules.context.repository)),
                _ => Err(misuse("the session is over")),
            });
        }
        match &self.state {
            State::Stored(_) => Step::Load {
                name: self.rules.stored_as(),
            },
            State::History(_, _, version) => Step::Load {
                name: StoreName::RootHistory(*version),
            },
            State::Fetch(..) => Step::Fetch {
                what: self.rules.fetched_as(),
                max_len: self.rules.context.limits.targets_len,
            },
            State::Saved(anchor, file, accepted) => Step::Save {
                name: self.rules.stored_as(),
                version: accepted.mark.version,
                bytes: file.received(),
                sha256: None,
                accepted_under: anchor.version,
            },
            State::Done(_) | State::Refused(_) | State::Over => {
                Step::Done(Err(misuse("the session is over")))
            }
        }
    }

    fn supply(&mut self, reply: Reply) {
        let state = core::mem::replace(&mut self.state, State::Over);
        let next = match (state, reply) {
            (State::Stored(anchor), Reply::Stored(stored)) => Ok(self.recall(anchor, stored)),
            (State::Stored(anchor), Reply::NotFound) => Ok(State::Fetch(anchor, None)),
            (State::History(mut anchor, stored, _), reply) => {
                match anchor.rotations.add_history(reply) {
                    Ok(()) => Ok(self.recall(anchor, stored)),
                    Err(reject) => Err(reject),
                }
            }
            (State::Fetch(anchor, floor), reply) => self.fetched(anchor, floor, reply),
            (State::Saved(anchor, _, accepted), Reply::Saved) => self.conclude(&anchor, *accepted),
            (State::Refused(reject), _) => Err(reject),
            _ => Err(misuse("the answer does not fit the step")),
        };
        self.state = next.unwrap_or_else(State::Refused);
    }
}
