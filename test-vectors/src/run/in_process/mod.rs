//! Our verifier, without network, disk or clock.

mod both;
pub mod bundle;
mod director;
mod ecu;
mod stream;
mod tuf;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;

use countersign_metadata::{Role as _, UtcTime};
use countersign_verifier::{Code, Protocol, Reject, Reply, Step, StoreName, Stored};

use super::{Client, Observed, Refusal, RunError};
use crate::format::{self, Kind, Verdict, Verification};
use crate::suite::Vector;
use crate::tree::{Answer, Site};

/// The time of cases that leave it open: 2030-01-01T00:00:00Z.
const ANY_TIME: i64 = 1_893_456_000;

/// The client for this case.
pub fn client(vector: &Vector) -> Box<dyn Client> {
    let ecu = vector.case.ecu.as_ref();
    match ecu.map(|ecu| ecu.verification) {
        // Other sizes of chunks have a test of their own.
        Some(Verification::Partial) => Box::new(both::Both::new(
            ecu::InProcess::new(directly),
            ecu::InProcess::streaming(CHUNK),
        )),
        _ => client_driven_by(directly, vector),
    }
}

/// Parts and chunks never end together.
const CHUNK: NonZeroUsize = NonZeroUsize::new(61).expect("not zero");

/// An ECU that verifies in part what passes in chunks of so many bytes.
pub fn streaming_client(chunk: NonZeroUsize) -> Box<dyn Client> {
    Box::new(ecu::InProcess::streaming(chunk))
}

/// The client for this case, its sessions driven by `driver`.
pub fn client_driven_by(driver: Driver, vector: &Vector) -> Box<dyn Client> {
    match vector.case.kind() {
        Kind::Tuf => Box::new(tuf::InProcess::new(driver)),
        Kind::Uptane => Box::new(ecu::InProcess::new(driver)),
        Kind::Director => Box::new(director::InProcess::default()),
    }
}

/// Answers a session from a line until it ends. It ends with nothing: what it has concluded stays here.
pub type Driver = fn(&mut dyn Protocol<Output = ()>, &mut Line<'_>) -> Result<(), Reject>;

fn directly(session: &mut dyn Protocol<Output = ()>, line: &mut Line<'_>) -> Result<(), Reject> {
    loop {
        let reply = match session.next() {
            Step::Load { name } => match line.load(&name) {
                Some(stored) => Reply::Stored(stored),
                None => Reply::NotFound,
            },
            Step::LoadPart { name, range } => match line.load_part(&name, range) {
                Some(part) => Reply::part(part),
                None => Reply::NotFound,
            },
            Step::Fetch { what, .. } => match line.get(&what.file_name()) {
                // Whatever its length: a session must not trust whoever drives it with that.
                Answer::Found(bytes) => Reply::Fetched(bytes),
                // Object stores say 403 for what is not there.
                Answer::Status(403 | 404 | 410) => Reply::NotFound,
                Answer::Status(status) => {
                    let failed = no_file(Code::FetchFailed, what.role(), status);
                    return Err(failed.at(line.repository()));
                }
            },
            Step::Save {
                name,
                bytes,
                accepted_under,
                ..
            } => {
                line.save(&name, bytes, accepted_under);
                Reply::Saved
            }
            Step::Done(outcome) => return outcome,
        };
        session.supply(reply);
    }
}

/// What a client keeps of one repository.
type Store = BTreeMap<StoreName, Stored>;

/// A store with the first Root.
fn provisioned(root: &[u8]) -> Store {
    let stored = Stored {
        bytes: root.to_vec(),
        accepted_under: None,
    };
    let mut store = Store::new();
    // As a real store does: the first Root belongs in the history too.
    if let Ok(root) = countersign_verifier::provision_root(root.to_vec()) {
        let version = root.content().version();
        store.insert(StoreName::RootHistory(version), stored.clone());
    }
    store.insert(StoreName::Root, stored);
    store
}

/// The files of a store by role, each name after `prefix`.
fn trusted<'s>(store: &'s Store, prefix: &'s str) -> impl Iterator<Item = (String, Vec<u8>)> + 's {
    store.iter().filter_map(move |(name, stored)| {
        let role = match name {
            StoreName::Root => "root",
            StoreName::Timestamp => "timestamp",
            StoreName::Snapshot => "snapshot",
            StoreName::Targets => "targets",
            StoreName::Delegated(role) => role,
            StoreName::RootHistory(_)
            | StoreName::TargetsOutline
            | StoreName::OfflineSnapshot
            | StoreName::OfflineTargets(_) => return None,
        };
        Some((format!("{prefix}{role}"), stored.bytes.clone()))
    })
}

/// One repository as a session sees it, and what is kept of it.
pub struct Line<'l> {
    driver: Driver,
    store: &'l mut Store,
    site: &'l Site,
    /// Where its metadata is.
    folder: &'static str,
    /// What requests are noted under.
    prefix: &'static str,
    requests: &'l mut Vec<String>,
}

impl Line<'_> {
    /// What is kept under `name`.
    pub fn load(&self, name: &StoreName) -> Option<Stored> {
        self.store.get(name).cloned()
    }

    /// Some bytes of it.
    pub fn load_part(&self, name: &StoreName, range: Range<u64>) -> Option<Vec<u8>> {
        self.store.get(name)?.part(range)
    }

    /// Keeps `bytes` under `name`; a Root goes into the history as well.
    pub fn save(&mut self, name: &StoreName, bytes: &[u8], accepted_under: u64) {
        let stored = Stored {
            bytes: bytes.to_vec(),
            accepted_under: Some(accepted_under),
        };
        if *name == StoreName::Targets {
            self.store.remove(&StoreName::TargetsOutline);
        }
        if *name == StoreName::Root {
            let history = StoreName::RootHistory(accepted_under);
            self.store.insert(history, stored.clone());
        }
        self.store.insert(name.clone(), stored);
    }

    /// What the repository answers when it is asked for this metadata file. The request is noted.
    pub fn get(&mut self, file_name: &str) -> Answer {
        self.requests.push(format!("{}{file_name}", self.prefix));
        self.site.get(&format!("{}{file_name}", self.folder))
    }

    /// The repository's name in refusals.
    pub fn repository(&self) -> &'static str {
        self.prefix.trim_end_matches('/')
    }

    fn drive<P: Protocol>(&mut self, protocol: &mut P) -> Result<P::Output, Reject> {
        let mut kept = Kept {
            protocol,
            outcome: None,
        };
        (self.driver)(&mut kept, self)?;
        let unended = || Reject::new(Code::Misuse, "", "the session was not driven to its end");
        kept.outcome.ok_or_else(unended)
    }
}

/// A session whose conclusion is kept here.
struct Kept<'p, P: Protocol> {
    protocol: &'p mut P,
    outcome: Option<P::Output>,
}

impl<P: Protocol> Protocol for Kept<'_, P> {
    type Output = ();

    fn next(&mut self) -> Step<'_, ()> {
        match self.protocol.next() {
            Step::Load { name } => Step::Load { name },
            Step::LoadPart { name, range } => Step::LoadPart { name, range },
            Step::Fetch { what, max_len } => Step::Fetch { what, max_len },
            Step::Save {
                name,
                version,
                bytes,
                sha256,
                accepted_under,
            } => Step::Save {
                name,
                version,
                bytes,
                sha256,
                accepted_under,
            },
            Step::Done(outcome) => Step::Done(outcome.map(|done| self.outcome = Some(done))),
        }
    }

    fn supply(&mut self, reply: Reply) {
        self.protocol.supply(reply);
    }
}

fn no_file(code: Code, role: &str, status: u16) -> Reject {
    let code = match status {
        403 | 404 | 410 => code,
        _ => Code::FetchFailed,
    };
    Reject::new(code, role, format!("the server answered {status}"))
}

/// An outcome as it is compared.
fn observed<T>(outcome: &Result<T, Reject>) -> Observed {
    let refusal = outcome.as_ref().err();
    Observed {
        verdict: match refusal {
            None => Verdict::Accept,
            Some(_) => Verdict::Reject,
        },
        refusal: refusal.map(of_reject),
        messages: refusal.map_or_else(String::new, ToString::to_string),
        ..Observed::default()
    }
}

fn of_reject(reject: &Reject) -> Refusal {
    let cause = reject.cause.as_ref();
    Refusal {
        code: reject.code.name().into(),
        role: reject.role.clone(),
        repository: Some(reject.repository.clone()),
        attack: reject.attack().name().into(),
        cause: Some(cause.map_or("none", |cause| cause.code.name()).into()),
    }
}

/// The time of a step; any, where it does not matter.
///
/// # Errors
/// None that a case of ours could cause.
pub fn clock(vector: &Vector, step: &format::Step) -> Result<UtcTime, RunError> {
    let clock = vector.case.clock_of(step);
    clock
        .or(UtcTime::from_unix(ANY_TIME))
        .ok_or_else(|| RunError("the time of the case is out of range".into()))
}
