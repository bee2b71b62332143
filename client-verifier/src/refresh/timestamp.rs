//! Timestamp (TUF 5.4).

use alloc::boxed::Box;

use countersign_metadata::{Role, RoleType, Timestamp, Verified};

use super::snapshot::ExpectStoredFile;
use super::{State, Transition, misuse};
use crate::chain::{Chain, KeyGroup, Recall};
use crate::context::Context;
use crate::current::Current;
use crate::limits::Limits;
use crate::link;
use crate::names::{RemoteName, StoreName};
use crate::reject::{Code, Reject, versions};
use crate::session::{Reply, Step, Stored};

const ROLE: &str = "timestamp";

/// The Timestamp trusted so far: a floor, if keys were not rotated since.
#[derive(Debug)]
pub(super) struct ExpectStored {
    pub(super) chain: Chain,
}

impl ExpectStored {
    pub(super) fn request<T>(&self) -> Step<'_, T> {
        Step::Load {
            name: StoreName::Timestamp,
        }
    }

    pub(super) fn supply(self, reply: Reply) -> Transition {
        match reply {
            Reply::Stored(stored) => recall(self.chain, stored),
            Reply::NotFound => Ok(fetch(self.chain, None)),
            _ => Err(misuse("a stored Timestamp was asked for")),
        }
    }
}

/// An older Root, on which it depends whether the stored Timestamp is a floor.
#[derive(Debug)]
pub(super) struct ExpectTimestampHistory {
    chain: Chain,
    stored: Stored,
    version: u64,
}

impl ExpectTimestampHistory {
    pub(super) fn request<T>(&self) -> Step<'_, T> {
        Step::Load {
            name: StoreName::RootHistory(self.version),
        }
    }

    pub(super) fn supply(mut self, reply: Reply) -> Transition {
        self.chain.add_history(reply)?;
        recall(self.chain, self.stored)
    }
}

fn recall(chain: Chain, stored: Stored) -> Transition {
    match chain.recall(&stored, KeyGroup::Online) {
        Recall::NeedRoot(version) => {
            let state = ExpectTimestampHistory {
                chain,
                stored,
                version,
            };
            Ok(State::TimestampHistory(Box::new(state)))
        }
        Recall::Forget => Ok(fetch(chain, None)),
        Recall::Keep => {
            let floor = link::floor(stored, &chain.root.authority(RoleType::Timestamp));
            Ok(fetch(chain, floor))
        }
    }
}

fn fetch(chain: Chain, floor: Option<Verified<Timestamp>>) -> State {
    State::Timestamp(Box::new(ExpectTimestamp { chain, floor }))
}

/// TUF 5.4.1 to 5.4.4.
#[derive(Debug)]
pub(super) struct ExpectTimestamp {
    chain: Chain,
    floor: Option<Verified<Timestamp>>,
}

impl ExpectTimestamp {
    pub(super) fn request<T>(&self, limits: &Limits) -> Step<'_, T> {
        Step::Fetch {
            what: RemoteName::Timestamp,
            max_len: limits.timestamp_len,
        }
    }

    pub(super) fn supply(self, reply: Reply, context: &Context) -> Transition {
        let bytes = match reply {
            Reply::Fetched(bytes) => bytes,
            other => return Err(link::no_file(ROLE, other)),
        };
        link::within(ROLE, &bytes, context.limits.timestamp_len)?;
        let authority = self.chain.root.authority(RoleType::Timestamp);
        let new: Verified<Timestamp> = link::accept(bytes, ROLE, &authority)?;
        context.profile.check(new.content(), ROLE)?;
        context.profile.check_timestamp(new.content())?;
        if let Some(floor) = self.floor {
            if new.content().version() == floor.content().version() {
                // TUF 5.4.3.1: discarded. The trusted one stays, and must itself be fresh.
                context.profile.check_same_version(&new, &floor, ROLE)?;
                let timestamp = Current::fresh(floor, ROLE, context.now)?;
                return Ok(go_on(self.chain, timestamp));
            }
            check_rollback(new.content(), floor.content())?;
        }
        let timestamp = Current::fresh(new, ROLE, context.now)?;
        Ok(State::TimestampSaved(Box::new(ExpectTimestampSaved {
            chain: self.chain,
            timestamp,
        })))
    }
}

/// TUF 5.4.3: neither the Timestamp nor the Snapshot it names may be older than the trusted ones.
fn check_rollback(new: &Timestamp, floor: &Timestamp) -> Result<(), Reject> {
    let (found, trusted) = (new.version(), floor.version());
    if found < trusted {
        let detail = versions(found, trusted, "below the trusted version");
        return Err(Reject::new(Code::VersionRollback, ROLE, detail));
    }
    let (found, trusted) = (new.snapshot.version, floor.snapshot.version);
    if found < trusted {
        let detail = versions(
            found,
            trusted,
            "named for Snapshot, below the trusted version",
        );
        return Err(Reject::new(Code::VersionRollback, "snapshot", detail));
    }
    Ok(())
}

/// TUF 5.4.5.
#[derive(Debug)]
pub(super) struct ExpectTimestampSaved {
    chain: Chain,
    timestamp: Current<Timestamp>,
}

impl ExpectTimestampSaved {
    pub(super) fn request<T>(&self) -> Step<'_, T> {
        Step::Save {
            name: StoreName::Timestamp,
            version: self.timestamp.content().version(),
            bytes: self.timestamp.verified().received(),
            sha256: None,
            accepted_under: self.chain.version(),
        }
    }

    pub(super) fn supply(self, reply: Reply) -> Transition {
        match reply {
            Reply::Saved => Ok(go_on(self.chain, self.timestamp)),
            _ => Err(misuse("a Timestamp was to be saved")),
        }
    }
}

fn go_on(chain: Chain, timestamp: Current<Timestamp>) -> State {
    State::StoredSnapshot(Box::new(ExpectStoredFile::snapshot(chain, timestamp)))
}
