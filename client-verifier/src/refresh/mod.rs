//! The refresh session: from the stored Root to current Targets (TUF 5.2 to 5.6.6).
//!
//! Each state is a struct that owns the proofs gathered before it, and is consumed by the reply
//! it waits for. After a refusal there is no state left to misuse.

mod offline;
pub(crate) mod outline;
mod root;
mod snapshot;
mod timestamp;

use alloc::boxed::Box;

use countersign_metadata::UtcTime;

use crate::context::{Context, Profile};
use crate::reject::{Code, Reject};
use crate::session::{Protocol, Reply, Step};
use crate::trusted::Trusted;

use self::offline::OfflineState;
use self::outline::{ExpectOutline, ExpectOutlineSaved};
pub use self::root::{FollowRoot, Followed};
use self::root::{RootNext, RootState};
pub(crate) use self::snapshot::check_entries;
use self::snapshot::{ExpectFile, ExpectFileHistory, ExpectFileSaved, ExpectStoredFile};
use self::timestamp::{
    ExpectStored, ExpectTimestamp, ExpectTimestampHistory, ExpectTimestampSaved,
};
use countersign_metadata::{Snapshot, Targets};

/// A refresh of the four top-level roles. Ends with [`Trusted`].
#[derive(Debug)]
pub struct Session {
    context: Context,
    state: State,
}

/// What the session waits for.
#[derive(Debug)]
enum State {
    Root(RootState),
    Offline(Box<OfflineState>),
    StoredTimestamp(Box<ExpectStored>),
    TimestampHistory(Box<ExpectTimestampHistory>),
    Timestamp(Box<ExpectTimestamp>),
    TimestampSaved(Box<ExpectTimestampSaved>),
    StoredSnapshot(Box<ExpectStoredFile<Snapshot>>),
    SnapshotHistory(Box<ExpectFileHistory<Snapshot>>),
    Snapshot(Box<ExpectFile<Snapshot>>),
    SnapshotSaved(Box<ExpectFileSaved<Snapshot>>),
    Outline(Box<ExpectOutline>),
    StoredTargets(Box<ExpectStoredFile<Targets>>),
    TargetsHistory(Box<ExpectFileHistory<Targets>>),
    Targets(Box<ExpectFile<Targets>>),
    OutlineSaved(Box<ExpectOutlineSaved>),
    TargetsSaved(Box<ExpectFileSaved<Targets>>),
    Done(Box<Trusted>),
    Refused(Reject),
    Over,
}

type Transition = Result<State, Reject>;

impl Session {
    /// Starts at `now`, which stays fixed (TUF 5.1), with the default budgets.
    pub fn refresh(now: UtcTime) -> Self {
        Self::with_context(Context::new(now))
    }

    /// Starts with budgets and a repository name of the caller's.
    pub fn with_context(context: Context) -> Self {
        Self {
            context,
            state: State::Root(RootState::Stored),
        }
    }

    /// Starts where a [`FollowRoot`] ended, without asking for the Roots again.
    pub fn from_root(followed: Followed, context: Context) -> Self {
        let state = begin(followed, &context).unwrap_or_else(State::Refused);
        Self { context, state }
    }
}

/// What comes after the chain of Roots.
fn begin(followed: Followed, context: &Context) -> Transition {
    let chain = followed.fresh(context.now)?;
    Ok(match context.profile {
        Profile::Offline => OfflineState::Stored(chain).into(),
        _ => State::StoredTimestamp(Box::new(ExpectStored { chain })),
    })
}

impl Protocol for Session {
    type Output = Trusted;

    fn next(&mut self) -> Step<'_, Trusted> {
        if matches!(self.state, State::Done(_) | State::Refused(_) | State::Over) {
            return Step::Done(match core::mem::replace(&mut self.state, State::Over) {
                State::Done(trusted) => Ok(*trusted),
                State::Refused(reject) => Err(reject.at(&self.context.repository)),
                _ => Err(misuse("the session is over")),
            });
        }
        let limits = &self.context.limits;
        match &self.state {
            State::Root(state) => state.request(limits),
            State::Offline(state) => state.request(limits),
            State::StoredTimestamp(state) => state.request(),
            State::TimestampHistory(state) => state.request(),
            State::Timestamp(state) => state.request(limits),
            State::TimestampSaved(state) => state.request(),
            State::StoredSnapshot(state) => state.request(),
            State::SnapshotHistory(state) => state.request(),
            State::Snapshot(state) => state.request(limits),
            State::SnapshotSaved(state) => state.request(),
            State::Outline(state) => state.request(),
            State::StoredTargets(state) => state.request(),
            State::TargetsHistory(state) => state.request(),
            State::Targets(state) => state.request(limits),
            State::OutlineSaved(state) => state.request(),
            State::TargetsSaved(state) => state.request(),
            State::Done(_) | State::Refused(_) | State::Over => {
                Step::Done(Err(misuse("the session is over")))
            }
        }
    }

    fn supply(&mut self, reply: Reply) {
        let context = &self.context;
        let next = match core::mem::replace(&mut self.state, State::Over) {
            State::Root(state) => match state.supply(reply, &context.limits) {
                Ok(RootNext::Go(state)) => Ok(State::Root(state)),
                Ok(RootNext::End(followed)) => begin(*followed, context),
                Err(reject) => Err(reject),
            },
            State::Offline(state) => state.supply(reply, context),
            State::StoredTimestamp(state) => state.supply(reply),
            State::TimestampHistory(state) => state.supply(reply),
            State::Timestamp(state) => state.supply(reply, context),
            State::TimestampSaved(state) => state.supply(reply),
            State::StoredSnapshot(state) => state.supply(reply, context),
            State::SnapshotHistory(state) => state.supply(reply, context),
            State::Snapshot(state) => state.supply(reply, context),
            State::SnapshotSaved(state) => state.supply(reply, context),
            State::Outline(state) => state.supply(reply, context),
            State::StoredTargets(state) => state.supply(reply, context),
            State::TargetsHistory(state) => state.supply(reply, context),
            State::Targets(state) => state.supply(reply, context),
            State::OutlineSaved(state) => state.supply(reply, context),
            State::TargetsSaved(state) => state.supply(reply, context),
            State::Done(_) | State::Refused(_) | State::Over => {
                Err(misuse("the session waits for no answer"))
            }
        };
        self.state = next.unwrap_or_else(State::Refused);
    }
}

pub(crate) fn misuse(what: &str) -> Reject {
    Reject::new(Code::Misuse, "", what)
}
