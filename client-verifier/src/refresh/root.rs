//! The chain of Roots (TUF 5.2, 5.3).

use alloc::boxed::Box;
use alloc::format;

use countersign_metadata::{Role, Root, Verified};

use super::timestamp::ExpectStored;
use super::{State, Transition, misuse};
use crate::chain::{Chain, Rotations};
use crate::context::Context;
use crate::current::Current;
use crate::limits::Limits;
use crate::link;
use crate::names::{RemoteName, StoreName};
use crate::reject::{Code, Reject};
use crate::session::{Reply, Step};

const ROLE: &str = "root";

/// TUF 5.2: the Root that was provisioned or last trusted. Its expiry does not matter.
#[derive(Debug)]
pub(super) struct ExpectStoredRoot;

impl ExpectStoredRoot {
    pub(super) fn request<T>(&self) -> Step<'_, T> {
        Step::Load {
            name: StoreName::Root,
        }
    }

    pub(super) fn supply(self, reply: Reply) -> Transition {
        let stored = match reply {
            Reply::Stored(stored) => stored,
            Reply::NotFound => {
                let detail = "the store holds no Root; provision one first";
                return Err(Reject::new(Code::NoTrustedRoot, ROLE, detail));
            }
            _ => return Err(misuse("a stored Root was asked for")),
        };
        let trusted = crate::provision_root(stored.bytes)?;
        let rotations = Rotations::starting_at(trusted.content());
        Ok(State::NextRoot(Box::new(ExpectNextRoot {
            trusted,
            rotations,
            followed: 0,
        })))
    }
}

/// TUF 5.3.3: version N+1, until there is none.
#[derive(Debug)]
pub(super) struct ExpectNextRoot {
    trusted: Verified<Root>,
    rotations: Rotations,
    followed: u32,
}

impl ExpectNextRoot {
    pub(super) fn request<T>(&self, limits: &Limits) -> Step<'_, T> {
        let next = self.trusted.content().version().saturating_add(1);
        Step::Fetch {
            what: RemoteName::Root(next),
            max_len: limits.root_len,
        }
    }

    pub(super) fn supply(mut self, reply: Reply, context: &Context) -> Transition {
        let bytes = match reply {
            Reply::Fetched(bytes) => bytes,
            Reply::NotFound => return self.end_of_chain(context),
            other => return Err(link::no_file(ROLE, other)),
        };
        link::within(ROLE, &bytes, context.limits.root_len)?;
        let next = link::parse::<Root>(bytes, ROLE)?;
        let next = self
            .trusted
            .verify_next(next)
            .map_err(|error| Reject::metadata(ROLE, error))?;
        self.rotations.note(self.trusted.content(), next.content());
        self.trusted = next;
        self.followed += 1;
        Ok(State::RootSaved(Box::new(ExpectRootSaved { next: self })))
    }

    /// TUF 5.3.10: only the last Root has to be unexpired.
    fn end_of_chain(self, context: &Context) -> Transition {
        let root = Current::fresh(self.trusted, ROLE, context.now)?;
        let chain = Chain {
            root,
            rotations: self.rotations,
        };
        Ok(State::StoredTimestamp(Box::new(ExpectStored { chain })))
    }
}

/// TUF 5.3.8: the new Root is durable before anything is verified with it.
#[derive(Debug)]
pub(super) struct ExpectRootSaved {
    next: ExpectNextRoot,
}

impl ExpectRootSaved {
    pub(super) fn request<T>(&self) -> Step<'_, T> {
        let root = &self.next.trusted;
        let version = root.content().version();
        Step::Save {
            name: StoreName::Root,
            version,
            bytes: root.received(),
            accepted_under: version,
        }
    }

    pub(super) fn supply(self, reply: Reply, context: &Context) -> Transition {
        if !matches!(reply, Reply::Saved) {
            return Err(misuse("a Root was to be saved"));
        }
        // TUF 5.3.3: a bound per session; what was saved is where the next one goes on.
        let bound = context.limits.root_versions;
        if self.next.followed >= bound {
            let version = self.next.trusted.content().version();
            let detail = format!(
                "{bound} versions were followed, up to {version}, and saved; the next session goes on from there"
            );
            return Err(Reject::new(Code::TooManyRoots, ROLE, detail));
        }
        Ok(State::NextRoot(Box::new(self.next)))
    }
}
