//! Obtaining the files that a search needs: from the store, or else from the repository.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use countersign_metadata::{Authority, MetaFile, Role, RoleType, Targets, UtcTime, Verified};

use super::{Engine, Go, Wanted, ended_by};
use crate::chain::{KeyGroup, Recall};
use crate::current::Current;
use crate::image::ListedTarget;
use crate::link;
use crate::listing::Listing;
use crate::names::{RemoteName, StoreName};
use crate::refresh::{misuse, outline};
use crate::reject::Reject;
use crate::session::{Reply, Step, Stored};
use crate::trusted::Trusted;

/// A delegated role and the file of it that is being obtained.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) wanted: Wanted,
    pub(super) role: String,
    pub(super) store: StoreName,
    /// When the first of the files that lead here expires.
    pub(super) valid_until: UtcTime,
    pub(super) meta: MetaFile,
    pub(super) authority: Authority,
}

/// What the search waits for.
#[derive(Debug)]
pub(super) enum State {
    /// Bytes of top-level Targets, whose outline says that they list the image if anything does.
    Part(Wanted, Range<u64>),
    Stored(Due),
    History(Due, Stored, u64),
    Fetch(Due, Option<Verified<Targets>>),
    Saved(Due, Current<Targets>),
    OutlineSaved(Due, Current<Targets>, Vec<u8>),
    Done(Result<ListedTarget, Reject>),
    Over,
}

impl Engine {
    /// As [`Protocol::next`], while there is no outcome.
    pub(crate) fn next(&self, trusted: &Trusted) -> Step<'_, ListedTarget> {
        match &self.state {
            State::Part(_, range) => Step::LoadPart {
                name: StoreName::Targets,
                range: range.clone(),
            },
            State::Stored(due) => Step::Load {
                name: due.store.clone(),
            },
            State::History(_, _, version) => Step::Load {
                name: StoreName::RootHistory(*version),
            },
            State::Fetch(due, _) => {
                let consistent = trusted.root().content().consistent_snapshot;
                let version = consistent.then_some(due.meta.version);
                Step::Fetch {
                    what: RemoteName::Targets(due.role.clone(), version),
                    max_len: max_len(trusted, due),
                }
            }
            State::OutlineSaved(_, file, bytes) => {
                outline::save(file, bytes, trusted.chain.version())
            }
            State::Saved(due, file) => Step::Save {
                name: due.store.clone(),
                version: file.content().version(),
                bytes: file.verified().received(),
                sha256: link::known_sha256(&due.meta),
                accepted_under: trusted.chain.version(),
            },
            State::Done(_) | State::Over => Step::Done(Err(misuse("the search is over"))),
        }
    }

    /// As [`Protocol::supply`].
    pub(crate) fn supply(&mut self, trusted: &mut Trusted, reply: Reply) {
        let state = core::mem::replace(&mut self.state, State::Over);
        let next = match (state, reply) {
            (State::Part(wanted, _), reply) => Ok(self.read(trusted, wanted, reply)),
            (State::Stored(due), Reply::Stored(stored)) => self.recall(trusted, due, stored),
            (State::Stored(due), Reply::NotFound) => Ok(State::Fetch(due, None)),
            (State::History(due, stored, _), reply) => match trusted.chain.add_history(reply) {
                Ok(()) => self.recall(trusted, due, stored),
                Err(reject) => Err(Box::new((due.wanted, reject))),
            },
            (State::Fetch(due, floor), reply) => {
                match fetched(trusted, &due, floor.as_ref(), reply) {
                    Ok(file) => Ok(State::Saved(due, file)),
                    Err(reject) => Err(Box::new((due.wanted, reject))),
                }
            }
            (State::Saved(due, file), Reply::Saved) => Ok(self.saved(trusted, due, file)),
            (State::OutlineSaved(due, file, _), Reply::Saved) => {
                Ok(self.obtained(trusted, due, file))
            }
            _ => Ok(State::Done(Err(misuse("the answer does not fit the step")))),
        };
        self.state = match next {
            Ok(state) => state,
            Err(refused) => {
                let (wanted, reject) = *refused;
                self.advance(trusted, wanted, Go::Settle(Err(ended_by(reject))))
            }
        };
    }
    /// The stored file is used if it is the one that is named, and is a floor for another one.
    fn recall(
        &mut self,
        trusted: &mut Trusted,
        due: Due,
        stored: Stored,
    ) -> Result<State, Box<(Wanted, Reject)>> {
        let floor = match trusted.chain.recall(&stored, KeyGroup::Targets) {
            Recall::NeedRoot(version) => return Ok(State::History(due, stored, version)),
            Recall::Forget => None,
            Recall::Keep => link::floor::<Targets>(stored, &due.authority),
        };
        match floor {
            Some(file) if link::is_named(&file, &due.meta) => {
                let now = trusted.context.now;
                let fresh = link::within(&due.role, file.received(), max_len(trusted, &due))
                    .and_then(|()| Current::fresh(file, &due.role, now));
                match fresh {
                    Ok(file) => Ok(self.obtained(trusted, due, file)),
                    Err(reject) => Err(Box::new((due.wanted, reject))),
                }
            }
            floor => Ok(State::Fetch(due, floor)),
        }
    }

    /// Looks the image up in bytes of top-level Targets. Where these are not what they were, the file is fetched
    /// again.
    fn read(&mut self, trusted: &Trusted, wanted: Wanted, reply: Reply) -> State {
        let top = Arc::clone(&trusted.targets);
        let entry = match (&*top, reply) {
            (Listing::Outlined(outline), Reply::Stored(part)) => {
                outline.look_up(&wanted.path, &part.bytes).ok()
            }
            (_, Reply::NotFound) => None,
            _ => return State::Done(Err(misuse("a part of a stored file was asked for"))),
        };
        let role = RoleType::Targets.name();
        let Some(entry) = entry else {
            return match trusted.snapshot.content().role(role) {
                Some(meta) => State::Fetch(due_again(trusted, wanted, meta), None),
                None => State::Done(Err(misuse("Snapshot lists no top-level Targets"))),
            };
        };
        let until = trusted.valid_until();
        let go = self.visited(trusted, &wanted, role.into(), &top, until, entry);
        self.advance(trusted, wanted, go)
    }

    /// Top-level Targets has its outline made anew.
    fn saved(&mut self, trusted: &mut Trusted, due: Due, file: Current<Targets>) -> State {
        let outline = match due.store {
            StoreName::Targets => outline::of(&file, &due.meta, &due.authority),
            _ => None,
        };
        match outline {
            Some(outline) => State::OutlineSaved(due, file, outline),
            None => self.obtained(trusted, due, file),
        }
    }

    fn obtained(&mut self, trusted: &mut Trusted, due: Due, file: Current<Targets>) -> State {
        let file = Listing::Whole(file);
        let file = match due.store {
            StoreName::Targets => trusted.replace_targets(file),
            _ => trusted.add_delegated(&due.role, due.authority, file),
        };
        let go = Go::Visit(due.role, file, due.valid_until);
        self.advance(trusted, due.wanted, go)
    }
}

/// Top-level Targets once more, the very version that its outline is of.
fn due_again(trusted: &Trusted, wanted: Wanted, meta: MetaFile) -> Due {
    Due {
        wanted,
        role: RoleType::Targets.name().into(),
        store: StoreName::Targets,
        valid_until: trusted.valid_until(),
        meta,
        authority: trusted.root().authority(RoleType::Targets),
    }
}

fn fetched(
    trusted: &Trusted,
    due: &Due,
    floor: Option<&Verified<Targets>>,
    reply: Reply,
) -> Result<Current<Targets>, Reject> {
    let role = &due.role;
    let bytes = match reply {
        Reply::Fetched(bytes) => bytes,
        other => return Err(link::no_file(role, other)),
    };
    link::within(role, &bytes, max_len(trusted, due))?;
    let file = link::check(bytes, role, &due.meta, &due.authority, floor)?;
    Current::fresh(file, role, trusted.context.now)
}

fn max_len(trusted: &Trusted, due: &Due) -> u64 {
    let limits = &trusted.context.limits;
    let left = limits.delegated_len.saturating_sub(trusted.delegated_len());
    link::max_len(&due.meta, limits.targets_len.min(left))
}
