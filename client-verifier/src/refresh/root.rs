//! The chain of Roots (TUF 5.2, 5.3; Uptane 5.4.4.3). Nothing here needs the time: only the last
//! Root has to be unexpired, and whoever goes on from it judges that.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use countersign_metadata::uptane::folded_time_server;
use countersign_metadata::{Authority, Folded, Role, Root, Successor, UtcTime, Verified};

use super::misuse;
use crate::chain::{Chain, Rotations};
use crate::current::Current;
use crate::limits::Limits;
use crate::link;
use crate::names::{RemoteName, StoreName};
use crate::reject::{Code, Reject};
use crate::session::{Protocol, Reply, Step};

const ROLE: &str = "root";

/// The last Root of a chain, verified link by link. It may have expired: a session that goes on
/// from it judges that first.
#[derive(Debug, Clone)]
pub struct Followed {
    /// As text: a small device has no memory for more.
    trusted: Folded,
    version: u64,
    expires: UtcTime,
    rotations: Rotations,
}

impl Followed {
    /// The Root.
    pub fn root(&self) -> Verified<Root> {
        self.trusted.unfold()
    }

    /// When it expires.
    pub(crate) fn expires(&self) -> UtcTime {
        self.expires
    }

    /// Who may sign time attestations, as it says.
    pub(crate) fn time_server(&self) -> Result<Option<Authority>, Reject> {
        folded_time_server(&self.trusted).map_err(|error| Reject::metadata(ROLE, error))
    }

    /// TUF 5.3.10: only the last Root has to be unexpired.
    pub(crate) fn fresh(self, now: UtcTime) -> Result<Chain, Reject> {
        Ok(Chain {
            root: Current::fresh(self.trusted.unfold(), ROLE, now)?,
            rotations: self.rotations,
        })
    }

    fn of(trusted: Verified<Root>, rotations: Rotations) -> Self {
        Self {
            version: trusted.content().version(),
            expires: trusted.content().expires(),
            trusted: trusted.fold(),
            rotations,
        }
    }
}

/// Follows the chain of Roots to its end, which needs no time: a device that has to ask for the
/// time learns from the last Root whose word on it counts. Ends with [`Followed`].
#[derive(Debug)]
pub struct FollowRoot {
    limits: Limits,
    repository: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting(RootState),
    Done(Box<Followed>),
    Refused(Reject),
    Over,
}

impl FollowRoot {
    /// In the repository that refusals call `repository`.
    pub fn new(limits: Limits, repository: impl Into<String>) -> Self {
        Self {
            limits,
            repository: repository.into(),
            state: State::Waiting(RootState::Stored),
        }
    }
}

impl Protocol for FollowRoot {
    type Output = Followed;

    fn next(&mut self) -> Step<'_, Followed> {
        if !matches!(self.state, State::Waiting(_)) {
            return Step::Done(match core::mem::replace(&mut self.state, State::Over) {
                State::Done(followed) => Ok(*followed),
                State::Refused(reject) => Err(reject.at(&self.repository)),
                _ => Err(misuse("the session is over")),
            });
        }
        match &self.state {
            State::Waiting(state) => state.request(&self.limits),
            _ => Step::Done(Err(misuse("the session is over"))),
        }
    }

    fn supply(&mut self, reply: Reply) {
        self.state = match core::mem::replace(&mut self.state, State::Over) {
            State::Waiting(state) => match state.supply(reply, &self.limits) {
                Ok(RootNext::Go(state)) => State::Waiting(state),
                Ok(RootNext::End(followed)) => State::Done(followed),
                Err(reject) => State::Refused(reject),
            },
            _ => State::Refused(misuse("the session waits for no answer")),
        };
    }
}

/// What following the chain waits for.
#[derive(Debug)]
pub(crate) enum RootState {
    /// TUF 5.2: the Root that was provisioned or last trusted. Its expiry does not matter.
    Stored,
    /// TUF 5.3.3: version N+1, until there is none.
    Next(Box<Chained>),
    /// TUF 5.3.8: the new Root is durable before anything is verified with it.
    Saved(Box<Chained>),
}

/// The Root trusted so far, and how many steps led to it.
#[derive(Debug)]
pub(crate) struct Chained {
    last: Followed,
    successor: Successor,
    steps: u32,
}

/// What comes of an answer.
pub(crate) enum RootNext {
    /// More is needed.
    Go(RootState),
    /// There is no newer Root.
    End(Box<Followed>),
}

impl RootState {
    pub(crate) fn request<T>(&self, limits: &Limits) -> Step<'_, T> {
        match self {
            Self::Stored => Step::Load {
                name: StoreName::Root,
            },
            Self::Next(chained) => Step::Fetch {
                what: RemoteName::Root(chained.last.version.saturating_add(1)),
                max_len: limits.root_len,
            },
            Self::Saved(chained) => Step::Save {
                name: StoreName::Root,
                version: chained.last.version,
                bytes: chained.last.trusted.received(),
                sha256: None,
                accepted_under: chained.last.version,
            },
        }
    }

    pub(crate) fn supply(self, reply: Reply, limits: &Limits) -> Result<RootNext, Reject> {
        match self {
            Self::Stored => start(reply),
            Self::Next(chained) => chained.next(reply, limits),
            Self::Saved(chained) => chained.saved(&reply, limits),
        }
    }
}

fn start(reply: Reply) -> Result<RootNext, Reject> {
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
    Ok(RootNext::Go(RootState::Next(Box::new(Chained {
        successor: trusted.successor(),
        last: Followed::of(trusted, rotations),
        steps: 0,
    }))))
}

impl Chained {
    fn next(self: Box<Self>, reply: Reply, limits: &Limits) -> Result<RootNext, Reject> {
        let bytes = match reply {
            Reply::Fetched(bytes) => bytes,
            Reply::NotFound => return Ok(RootNext::End(Box::new(self.last))),
            other => return Err(link::no_file(ROLE, other)),
        };
        link::within(ROLE, &bytes, limits.root_len)?;
        let Self {
            last,
            successor,
            steps,
        } = *self;
        let Followed {
            trusted,
            mut rotations,
            ..
        } = last;
        // A small device has no memory for the text of two Roots.
        drop(trusted);
        let next = successor
            .verify(link::parse::<Root>(bytes, ROLE)?)
            .map_err(|error| Reject::metadata(ROLE, error))?;
        rotations.note(next.content());
        Ok(RootNext::Go(RootState::Saved(Box::new(Self {
            successor: next.successor(),
            last: Followed::of(next, rotations),
            steps: steps.saturating_add(1),
        }))))
    }

    fn saved(self: Box<Self>, reply: &Reply, limits: &Limits) -> Result<RootNext, Reject> {
        if !matches!(reply, Reply::Saved) {
            return Err(misuse("a Root was to be saved"));
        }
        // TUF 5.3.3: a bound per session; what was saved is where the next one goes on.
        let bound = limits.root_versions;
        if self.steps >= bound {
            let version = self.last.version;
            let detail = format!(
                "{bound} versions were followed, up to {version}, and saved; the next session goes on from there"
            );
            return Err(Reject::new(Code::TooManyRoots, ROLE, detail));
        }
        Ok(RootNext::Go(RootState::Next(self)))
    }
}
