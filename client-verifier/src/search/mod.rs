//! Looking for an image: the pre-order depth-first search over delegations (TUF 5.6.7; Uptane
//! 5.4.4.7 and, where several roles have to agree, 5.4.4.8).
//!
//! A delegated role that matches but cannot be had or believed ENDS the search. Falling through
//! to a less trusted role would let whoever withholds a file choose who answers. Among roles that
//! have to agree it costs that role its voice; the others may still be enough.

mod obtain;
mod vote;
mod walk;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use countersign_metadata::uptane::HardwareId;
use countersign_metadata::{Authority, MetaFile, RoleType, TargetFile, TargetPath, UtcTime};

use crate::image::ListedTarget;
use crate::listing::Listing;
use crate::names::StoreName;
use crate::reject::{Code, Reject};
use crate::session::{Protocol, Reply, Step};
use crate::trusted::Trusted;

use self::obtain::{Due, State};
use self::vote::{Outcome, Vote};
use self::walk::{To, Visit, Walk};

/// A search for one image. Ends with the [`ListedTarget`] or with `target-not-found`.
#[derive(Debug)]
pub struct Search<'t> {
    trusted: &'t mut Trusted,
    engine: Engine,
}

impl<'t> Search<'t> {
    pub(crate) fn new(trusted: &'t mut Trusted, path: &str) -> Self {
        let engine = Engine::new(trusted, path, None);
        Self { trusted, engine }
    }
}

impl Protocol for Search<'_> {
    type Output = ListedTarget;

    fn next(&mut self) -> Step<'_, ListedTarget> {
        match self.engine.outcome(self.trusted) {
            Some(outcome) => Step::Done(outcome),
            None => self.engine.next(self.trusted),
        }
    }

    fn supply(&mut self, reply: Reply) {
        self.engine.supply(self.trusted, reply);
    }
}

/// A search that borrows what it searches in from call to call.
#[derive(Debug)]
pub(crate) struct Engine {
    /// The walk from the top-level role, and one more for each delegation to several roles that
    /// is being asked: `walks[n + 1]` looks for the answer of a role of `votes[n]`.
    walks: Vec<Walk>,
    votes: Vec<Vote>,
    /// Roles visited, in all walks.
    visits: usize,
    state: State,
}

/// What is looked for.
#[derive(Debug)]
struct Wanted {
    path: TargetPath,
    /// For Uptane: delegations for other hardware are passed over (5.4.4.7 step 4.1).
    hardware_id: Option<HardwareId>,
}

/// What to do next without asking anybody.
enum Go {
    /// Take the next step of the innermost walk.
    On,
    /// A role's file is at hand, with when the files that lead to it expire.
    Visit(String, Arc<Listing>, UtcTime),
    /// The images of top-level Targets have to be read.
    Read(Range<u64>),
    /// The innermost walk came to its end.
    Settle(Result<ListedTarget, Reject>),
    /// The whole search did.
    Done(Result<ListedTarget, Reject>),
    /// A role's file has to be obtained.
    Obtain(Visit, String),
}

impl Engine {
    pub(crate) fn new(trusted: &mut Trusted, path: &str, hardware_id: Option<HardwareId>) -> Self {
        let mut engine = Self {
            walks: Vec::from([Walk::new()]),
            votes: Vec::new(),
            visits: 1,
            state: State::Over,
        };
        engine.state = match TargetPath::new(path) {
            Ok(path) => {
                let top = Arc::clone(&trusted.targets);
                let role = RoleType::Targets.name().into();
                let go = Go::Visit(role, top, trusted.valid_until());
                engine.advance(trusted, Wanted { path, hardware_id }, go)
            }
            Err(error) => {
                let reject = Reject::new(Code::UnsafeFilename, "", error.to_string());
                State::Done(Err(reject))
            }
        };
        engine
    }

    /// Goes as far as it can without asking.
    fn advance(&mut self, trusted: &Trusted, wanted: Wanted, mut go: Go) -> State {
        loop {
            go = match go {
                Go::On => self.next_visit(trusted, &wanted),
                Go::Visit(role, file, valid_until) => {
                    self.visit(trusted, &wanted, role, &file, valid_until)
                }
                Go::Read(range) => return State::Part(wanted, range),
                Go::Settle(result) => self.settle(trusted, result),
                Go::Done(result) => return State::Done(result),
                Go::Obtain(visit, role) => match due(trusted, &visit, &role) {
                    Err(reject) => Go::Settle(Err(ended_by(reject))),
                    Ok((meta, authority)) => match trusted.delegated(&role, &authority) {
                        Some(file) => Go::Visit(role, file, visit.valid_until),
                        None => {
                            return State::Stored(Due {
                                wanted,
                                store: StoreName::Delegated(role.clone()),
                                role,
                                valid_until: visit.valid_until,
                                meta,
                                authority,
                            });
                        }
                    },
                },
            };
        }
    }

    /// Visits one role: its own entry wins. Otherwise its matching delegations come next, in
    /// their order, before what was still to visit.
    fn visit(
        &mut self,
        trusted: &Trusted,
        wanted: &Wanted,
        role: String,
        file: &Arc<Listing>,
        valid_until: UtcTime,
    ) -> Go {
        let entry = match &**file {
            Listing::Whole(file) => file.content().get(&wanted.path),
            Listing::Outlined(outline) => match outline.part(&wanted.path) {
                Some(range) => return Go::Read(range),
                None => None,
            },
        };
        self.visited(trusted, wanted, role, file, valid_until, entry)
    }

    /// The same when it is known what the role says of the image.
    fn visited(
        &mut self,
        trusted: &Trusted,
        wanted: &Wanted,
        role: String,
        file: &Arc<Listing>,
        valid_until: UtcTime,
        entry: Option<TargetFile>,
    ) -> Go {
        let valid_until = valid_until.min(file.expires());
        if let Some(entry) = entry {
            return Go::Settle(Ok(ListedTarget {
                path: wanted.path.clone(),
                file: entry,
                role,
                repository: trusted.context.repository.clone(),
                consistent: trusted.root().content().consistent_snapshot,
                valid_until,
            }));
        }
        if let Some(walk) = self.walks.last_mut() {
            let hardware_id = wanted.hardware_id.as_ref();
            walk.enter(role, file, &wanted.path, hardware_id, valid_until);
        }
        Go::On
    }

    /// Follows the next delegation of the innermost walk.
    fn next_visit(&mut self, trusted: &Trusted, wanted: &Wanted) -> Go {
        let next = self.walks.last_mut().and_then(Walk::next);
        let Some((visit, to)) = next else {
            let detail = format!("no role that is trusted for {} lists it", wanted.path);
            return Go::Settle(Err(Reject::new(Code::TargetNotFound, "", detail)));
        };
        match to {
            To::Role(role) => self.obtain(trusted, visit, role),
            To::Several(delegation) => {
                self.votes.push(Vote::on(visit, delegation));
                self.next_voter(trusted)
            }
        }
    }

    /// TUF 5.6.7.1: a bound on roles visited, had or not, so that an attacker cannot make the client
    /// ask for ever.
    fn obtain(&mut self, trusted: &Trusted, visit: Visit, role: String) -> Go {
        if self.visits >= trusted.context.limits.visited_roles {
            let detail = format!("{} roles were visited, which is the bound", self.visits);
            return Go::Done(Err(Reject::new(Code::TargetNotFound, &role, detail)));
        }
        self.visits += 1;
        Go::Obtain(visit, role)
    }

    /// Starts a walk of its own for the next role that has a voice.
    fn next_voter(&mut self, trusted: &Trusted) -> Go {
        let visited = self.walks.last().map(Walk::visited).unwrap_or_default();
        match self.votes.last_mut().map(Vote::next_voter) {
            Some(Some((visit, role))) if !visited.contains(&role) => {
                self.walks.push(Walk::after(visited));
                self.obtain(trusted, visit, role)
            }
            // A role on the way to here cannot vouch for itself.
            Some(Some((_, role))) => {
                self.walks.push(Walk::new());
                let detail = "the role is on the way to itself";
                Go::Settle(Err(Reject::new(Code::TargetNotFound, &role, detail)))
            }
            _ => self.decide(),
        }
    }

    /// The innermost walk has an answer: the search's, or one role's voice.
    fn settle(&mut self, trusted: &Trusted, result: Result<ListedTarget, Reject>) -> Go {
        let result = match result {
            Err(reject) if reject.code == Code::Misuse => return Go::Done(Err(reject)),
            result => result,
        };
        match self.votes.last_mut() {
            None => Go::Done(result),
            Some(vote) => {
                self.walks.pop();
                vote.count(result);
                self.next_voter(trusted)
            }
        }
    }

    /// All roles of the innermost vote were asked.
    fn decide(&mut self) -> Go {
        match self.votes.pop().map(Vote::decide) {
            Some(Outcome::Agreed(target)) => Go::Settle(Ok(*target)),
            Some(Outcome::Ended(reject)) => Go::Settle(Err(reject)),
            Some(Outcome::GoOn) | None => Go::On,
        }
    }

    /// What the search ended with, once.
    pub(crate) fn outcome(&mut self, trusted: &Trusted) -> Option<Result<ListedTarget, Reject>> {
        if !matches!(self.state, State::Done(_)) {
            return None;
        }
        match core::mem::replace(&mut self.state, State::Over) {
            State::Done(outcome) => {
                Some(outcome.map_err(|reject| reject.at(&trusted.context.repository)))
            }
            _ => None,
        }
    }
}

/// What is needed to obtain a delegated role.
fn due(trusted: &Trusted, visit: &Visit, role: &str) -> Result<(MetaFile, Authority), Reject> {
    let Some(authority) = visit.delegator.delegate(role) else {
        let detail = "nobody may sign it";
        return Err(Reject::new(Code::SignatureThreshold, role, detail));
    };
    let Some(meta) = trusted.snapshot.content().role(role) else {
        let detail = "Snapshot does not list this delegated role";
        return Err(Reject::new(Code::RoleNotInSnapshot, role, detail));
    };
    Ok((meta, authority))
}

fn ended_by(cause: Reject) -> Reject {
    let detail = format!(
        "the search ends at role {}, which is trusted for the path",
        cause.role
    );
    match cause.code {
        Code::Misuse => cause,
        _ => Reject::new(Code::TargetNotFound, &cause.role.clone(), detail).because(cause),
    }
}
