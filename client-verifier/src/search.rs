//! Looking for an image: the pre-order depth-first search over delegations (TUF 5.6.7).
//!
//! A delegated role that matches but cannot be had or believed ENDS the search. Falling through
//! to a less trusted role would let whoever withholds a file choose who answers.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use countersign_metadata::{
    Authority, MetaFile, Role, RoleType, TargetPath, Targets, UtcTime, Verified,
};

use crate::chain::{KeyGroup, Recall};
use crate::current::Current;
use crate::image::ListedTarget;
use crate::link;
use crate::names::{RemoteName, StoreName};
use crate::refresh::misuse;
use crate::reject::{Code, Reject};
use crate::session::{Protocol, Reply, Step, Stored};
use crate::trusted::Trusted;

/// A search for one image. Ends with the [`ListedTarget`] or with `target-not-found`.
#[derive(Debug)]
pub struct Search<'t> {
    trusted: &'t mut Trusted,
    /// Delegations still to follow, the next one last.
    to_visit: Vec<Visit>,
    visited: BTreeSet<String>,
    state: State,
}

/// A delegation to follow.
#[derive(Debug)]
struct Visit {
    delegator: Arc<Current<Targets>>,
    role: String,
    /// When the first of the files that lead here expires.
    valid_until: UtcTime,
}

/// The delegated file that is being obtained.
#[derive(Debug)]
struct Wanted {
    path: TargetPath,
    visit: Visit,
    meta: MetaFile,
    authority: Authority,
}

#[derive(Debug)]
enum State {
    Stored(Wanted),
    History(Wanted, Stored, u64),
    Fetch(Wanted, Option<Verified<Targets>>),
    Saved(Wanted, Current<Targets>),
    Done(Result<ListedTarget, Reject>),
    Over,
}

impl<'t> Search<'t> {
    pub(crate) fn new(trusted: &'t mut Trusted, path: &str) -> Self {
        let (to_visit, visited) = (Vec::new(), BTreeSet::new());
        let mut search = Self {
            trusted,
            to_visit,
            visited,
            state: State::Over,
        };
        search.state = match TargetPath::new(path) {
            Ok(path) => {
                let top = Arc::clone(&search.trusted.targets);
                let valid_until = search.trusted.valid_until();
                search.visit(path, RoleType::Targets.name(), &top, valid_until)
            }
            Err(error) => State::Done(Err(Reject::new(
                Code::UnsafeFilename,
                "",
                error.to_string(),
            ))),
        };
        search
    }

    /// Visits one role: its own entry wins. Otherwise its matching delegations come next, in
    /// their order, before what was still to visit.
    fn visit(
        &mut self,
        path: TargetPath,
        name: &str,
        role: &Arc<Current<Targets>>,
        valid_until: UtcTime,
    ) -> State {
        self.visited.insert(name.into());
        let valid_until = valid_until.min(role.content().expires());
        if let Some(file) = role.content().get(&path) {
            return State::Done(Ok(ListedTarget {
                path,
                file,
                role: name.into(),
                repository: self.trusted.context.repository.clone(),
                consistent: self.trusted.root().content().consistent_snapshot,
                valid_until,
            }));
        }
        let matching = role.content().delegations().map(|all| all.matching(&path));
        let matching = matching.unwrap_or_default();
        // TUF 5.6.7.2.1: after a terminating delegation nothing else may answer.
        if matching.last().is_some_and(|(_, terminating)| *terminating) {
            self.to_visit.clear();
        }
        self.to_visit
            .extend(matching.into_iter().rev().map(|(name, _)| Visit {
                delegator: Arc::clone(role),
                role: name.into_owned(),
                valid_until,
            }));
        self.next_visit(path)
    }

    /// Follows the next delegation to a role that was not visited before.
    fn next_visit(&mut self, path: TargetPath) -> State {
        let next = core::iter::from_fn(|| self.to_visit.pop())
            .find(|visit| !self.visited.contains(&visit.role));
        let Some(visit) = next else {
            let detail = format!("no role that is trusted for {path} lists it");
            return State::Done(Err(Reject::new(Code::TargetNotFound, "", detail)));
        };
        // TUF 5.6.7.1: so that an attacker cannot make the client visit roles for ever.
        if self.visited.len() >= self.trusted.context.limits.visited_roles {
            let detail = format!(
                "{} roles were visited, which is the bound",
                self.visited.len()
            );
            return State::Done(Err(Reject::new(Code::TargetNotFound, &visit.role, detail)));
        }
        match self.want(path, visit) {
            Ok(wanted) => match self
                .trusted
                .delegated(&wanted.visit.role, &wanted.authority)
            {
                Some(role) => self.arrive(wanted, &role),
                None => State::Stored(wanted),
            },
            Err(reject) => not_found(reject),
        }
    }

    fn arrive(&mut self, wanted: Wanted, role: &Arc<Current<Targets>>) -> State {
        let Wanted { path, visit, .. } = wanted;
        self.visit(path, &visit.role, role, visit.valid_until)
    }

    /// What is needed to obtain a delegated role.
    fn want(&self, path: TargetPath, visit: Visit) -> Result<Wanted, Reject> {
        let role = &visit.role;
        let Some(authority) = visit.delegator.delegate(role) else {
            return Err(Reject::new(
                Code::SignatureThreshold,
                role,
                "nobody may sign it",
            ));
        };
        let Some(meta) = self.trusted.snapshot.content().role(role).cloned() else {
            let detail = "Snapshot does not list this delegated role";
            return Err(Reject::new(Code::RoleNotInSnapshot, role, detail));
        };
        Ok(Wanted {
            path,
            visit,
            meta,
            authority,
        })
    }

    /// The stored file is used if it is the one that is named, and is a floor for another one.
    fn recall(&mut self, wanted: Wanted, stored: Stored) -> Result<State, Reject> {
        let floor = match self.trusted.chain.recall(&stored, KeyGroup::Targets) {
            Recall::NeedRoot(version) => return Ok(State::History(wanted, stored, version)),
            Recall::Forget => None,
            Recall::Keep => link::floor::<Targets>(stored, &wanted.authority),
        };
        match floor {
            Some(file) if link::is_named(&file, &wanted.meta) => {
                link::within(&wanted.visit.role, file.received(), self.max_len(&wanted))?;
                let now = self.trusted.context.now;
                let file = Current::fresh(file, &wanted.visit.role, now)?;
                Ok(self.obtained(wanted, file))
            }
            floor => Ok(State::Fetch(wanted, floor)),
        }
    }

    fn max_len(&self, wanted: &Wanted) -> u64 {
        let limits = &self.trusted.context.limits;
        let left = limits
            .delegated_len
            .saturating_sub(self.trusted.delegated_len());
        link::max_len(&wanted.meta, limits.targets_len.min(left))
    }

    fn fetched(
        &self,
        wanted: Wanted,
        floor: Option<Verified<Targets>>,
        reply: Reply,
    ) -> Result<State, Reject> {
        let role = &wanted.visit.role;
        let bytes = match reply {
            Reply::Fetched(bytes) => bytes,
            other => return Err(link::no_file(role, other)),
        };
        link::within(role, &bytes, self.max_len(&wanted))?;
        let file = link::check(bytes, role, &wanted.meta, &wanted.authority, floor.as_ref())?;
        let file = Current::fresh(file, role, self.trusted.context.now)?;
        Ok(State::Saved(wanted, file))
    }

    fn obtained(&mut self, wanted: Wanted, file: Current<Targets>) -> State {
        let authority = wanted.authority.clone();
        let role = self
            .trusted
            .add_delegated(&wanted.visit.role, authority, file);
        self.arrive(wanted, &role)
    }
}

fn not_found(cause: Reject) -> State {
    let detail = format!(
        "the search ends at role {}, which is trusted for the path",
        cause.role
    );
    let reject = match cause.code {
        Code::Misuse => cause,
        _ => Reject::new(Code::TargetNotFound, &cause.role.clone(), detail).because(cause),
    };
    State::Done(Err(reject))
}

impl Protocol for Search<'_> {
    type Output = ListedTarget;

    fn next(&mut self) -> Step<'_, ListedTarget> {
        if let State::Done(_) = self.state {
            let State::Done(outcome) = core::mem::replace(&mut self.state, State::Over) else {
                return Step::Done(Err(misuse("the search is over")));
            };
            let repository = &self.trusted.context.repository;
            return Step::Done(outcome.map_err(|reject| reject.at(repository)));
        }
        match &self.state {
            State::Stored(wanted) => Step::Load {
                name: StoreName::Delegated(wanted.visit.role.clone()),
            },
            State::History(_, _, version) => Step::Load {
                name: StoreName::RootHistory(*version),
            },
            State::Fetch(wanted, _) => {
                let consistent = self.trusted.root().content().consistent_snapshot;
                let version = consistent.then_some(wanted.meta.version);
                let what = RemoteName::Targets(wanted.visit.role.clone(), version);
                Step::Fetch {
                    what,
                    max_len: self.max_len(wanted),
                }
            }
            State::Saved(wanted, file) => Step::Save {
                name: StoreName::Delegated(wanted.visit.role.clone()),
                version: file.content().version(),
                bytes: file.verified().received(),
                accepted_under: self.trusted.chain.version(),
            },
            State::Done(_) | State::Over => Step::Done(Err(misuse("the search is over"))),
        }
    }

    fn supply(&mut self, reply: Reply) {
        let next = match (core::mem::replace(&mut self.state, State::Over), reply) {
            (State::Stored(wanted), Reply::Stored(stored)) => self.recall(wanted, stored),
            (State::Stored(wanted), Reply::NotFound) => Ok(State::Fetch(wanted, None)),
            (State::History(wanted, stored, _), reply) => {
                let noted = self.trusted.chain.add_history(reply);
                noted.and_then(|()| self.recall(wanted, stored))
            }
            (State::Fetch(wanted, floor), reply) => self.fetched(wanted, floor, reply),
            (State::Saved(wanted, file), Reply::Saved) => Ok(self.obtained(wanted, file)),
            _ => Err(misuse("the answer does not fit the step")),
        };
        self.state = next.unwrap_or_else(not_found);
    }
}
