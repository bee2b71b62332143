//! The Image repository out of an offline bundle (PURE-2): no Timestamp, and a Snapshot whose
//! expiry does not count. Whichever is newer is used, the one in the bundle or the stored one.

use alloc::boxed::Box;

use countersign_metadata::{Role, RoleType, Snapshot, Verified};

use super::snapshot::{after_snapshot, check_entries};
use super::{State, Transition, misuse};
use crate::chain::{Chain, KeyGroup, Recall};
use crate::context::Context;
use crate::current::Current;
use crate::limits::Limits;
use crate::link;
use crate::names::{RemoteName, StoreName};
use crate::session::{Reply, Step, Stored};

const ROLE: &str = "snapshot";

/// Where it stands.
#[derive(Debug)]
pub(super) enum OfflineState {
    Stored(Chain),
    History(Chain, Stored, u64),
    Fetch(Chain, Option<Verified<Snapshot>>),
    Saved(Chain, Verified<Snapshot>),
}

impl OfflineState {
    pub(super) fn request<T>(&self, limits: &Limits) -> Step<'_, T> {
        match self {
            Self::Stored(_) => Step::Load {
                name: StoreName::Snapshot,
            },
            Self::History(_, _, version) => Step::Load {
                name: StoreName::RootHistory(*version),
            },
            Self::Fetch(..) => Step::Fetch {
                what: RemoteName::Snapshot(None),
                max_len: limits.snapshot_len,
            },
            Self::Saved(chain, file) => Step::Save {
                name: StoreName::Snapshot,
                version: file.content().version(),
                bytes: file.received(),
                sha256: None,
                accepted_under: chain.version(),
            },
        }
    }

    pub(super) fn supply(self, reply: Reply, context: &Context) -> Transition {
        match (self, reply) {
            (Self::Stored(chain), Reply::Stored(stored)) => Ok(recall(chain, stored)),
            (Self::Stored(chain), Reply::NotFound) => Ok(Self::Fetch(chain, None).into()),
            (Self::History(mut chain, stored, _), reply) => {
                chain.add_history(reply)?;
                Ok(recall(chain, stored))
            }
            (Self::Fetch(chain, floor), reply) => fetched(chain, floor, reply, context),
            (Self::Saved(chain, file), Reply::Saved) => {
                after_snapshot(chain, None, Current::of_any_age(file), context)
            }
            _ => Err(misuse("the answer does not fit the step")),
        }
    }
}

impl From<OfflineState> for State {
    fn from(state: OfflineState) -> Self {
        Self::Offline(Box::new(state))
    }
}

fn recall(chain: Chain, stored: Stored) -> State {
    match chain.recall(&stored, KeyGroup::Online) {
        Recall::NeedRoot(version) => OfflineState::History(chain, stored, version),
        Recall::Forget => OfflineState::Fetch(chain, None),
        Recall::Keep => {
            let floor = link::floor(stored, &chain.root.authority(RoleType::Snapshot));
            OfflineState::Fetch(chain, floor)
        }
    }
    .into()
}

fn fetched(
    chain: Chain,
    floor: Option<Verified<Snapshot>>,
    reply: Reply,
    context: &Context,
) -> Transition {
    let bytes = match reply {
        Reply::Fetched(bytes) => bytes,
        other => return Err(link::no_file(ROLE, other)),
    };
    link::within(ROLE, &bytes, context.limits.snapshot_len)?;
    let authority = chain.root.authority(RoleType::Snapshot);
    let file: Verified<Snapshot> = link::accept(bytes, ROLE, &authority)?;
    match floor {
        Some(floor) if floor.content().version() > file.content().version() => {
            after_snapshot(chain, None, Current::of_any_age(floor), context)
        }
        floor => {
            if let Some(floor) = &floor {
                link::check_floor(&file, floor, ROLE)?;
                check_entries(file.content(), floor.content())?;
            }
            Ok(OfflineState::Saved(chain, file).into())
        }
    }
}
