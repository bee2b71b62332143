//! Our verifier, without network, disk or clock.

use std::collections::{BTreeMap, BTreeSet};

use countersign_metadata::{Role, UtcTime};
use countersign_verifier::{
    Code, ListedTarget, Protocol, Reject, Reply, Session, Step, StoreName, Stored, Trusted, drive,
    provision_root,
};

use super::{Client, Observed, Refusal, RunError};
use crate::format::{Action, Verdict};
use crate::simulate::sha256_hex;
use crate::tree::{Answer, Site};

/// The time of cases that leave it open: 2030-01-01T00:00:00Z.
const ANY_TIME: i64 = 1_893_456_000;

/// Our verifier with a store in memory.
#[derive(Debug, Default)]
pub struct InProcess {
    store: BTreeMap<StoreName, Stored>,
}

/// One run of it.
struct Run<'a> {
    store: &'a mut BTreeMap<StoreName, Stored>,
    site: Site,
    requests: Vec<String>,
    downloads: BTreeSet<String>,
}

impl Client for InProcess {
    fn init(&mut self, root: &[u8]) -> Result<(), RunError> {
        let stored = Stored {
            bytes: root.to_vec(),
            accepted_under: None,
        };
        // As a real store does: the first Root belongs in the history too.
        if let Ok(root) = provision_root(root.to_vec()) {
            let version = root.content().version();
            let stored = stored.clone();
            self.store.insert(StoreName::RootHistory(version), stored);
        }
        self.store.insert(StoreName::Root, stored);
        Ok(())
    }

    fn act(
        &mut self,
        action: &Action,
        site: Site,
        clock: Option<UtcTime>,
    ) -> Result<Observed, RunError> {
        let now = clock
            .or(UtcTime::from_unix(ANY_TIME))
            .ok_or_else(|| RunError("the time of the case is out of range".into()))?;
        let mut run = Run {
            store: &mut self.store,
            site,
            requests: Vec::new(),
            downloads: BTreeSet::new(),
        };
        let outcome = run.act(action, now);
        let (requests, downloads) = (run.requests, run.downloads);
        let refusal = outcome.as_ref().err().map(|reject| Refusal {
            code: reject.code.name().into(),
            role: reject.role.clone(),
            attack: reject.attack().name().into(),
            cause: Some(
                reject
                    .cause
                    .as_ref()
                    .map_or("none", |cause| cause.code.name())
                    .into(),
            ),
        });
        Ok(Observed {
            verdict: match outcome {
                Ok(()) => Verdict::Accept,
                Err(_) => Verdict::Reject,
            },
            refusal,
            trusted: self.trusted(),
            requests,
            downloads,
            messages: outcome.err().map_or_else(String::new, |r| r.to_string()),
        })
    }
}

impl InProcess {
    fn trusted(&self) -> BTreeMap<String, Vec<u8>> {
        let roles = self.store.iter().filter_map(|(name, stored)| {
            let role = match name {
                StoreName::Root => "root",
                StoreName::Timestamp => "timestamp",
                StoreName::Snapshot => "snapshot",
                StoreName::Targets => "targets",
                StoreName::Delegated(role) => role,
                StoreName::RootHistory(_)
                | StoreName::OfflineSnapshot
                | StoreName::OfflineTargets(_) => return None,
            };
            Some((role.to_string(), stored.bytes.clone()))
        });
        roles.collect()
    }
}

impl Run<'_> {
    fn act(&mut self, action: &Action, now: UtcTime) -> Result<(), Reject> {
        let mut trusted = self.drive(&mut Session::refresh(now))?;
        match action {
            Action::Refresh => Ok(()),
            Action::Download(names) => names
                .iter()
                .try_for_each(|name| self.download(&mut trusted, name, now)),
        }
    }

    fn download(&mut self, trusted: &mut Trusted, name: &str, now: UtcTime) -> Result<(), Reject> {
        let target: ListedTarget = self.drive(&mut trusted.search(name))?;
        let role = target.role().to_string();
        let path = format!("targets/{}", target.remote_path()?);
        let bytes = match self.site.get(&path) {
            Answer::Found(bytes) => bytes,
            Answer::Status(status) => return Err(no_file(Code::ImageMissing, &role, status)),
        };
        let mut stream = target.open(now)?;
        // In pieces, as a network would bring them.
        for piece in bytes.chunks(5) {
            stream.update(piece)?;
        }
        stream.finish()?;
        self.downloads.insert(sha256_hex(&bytes));
        Ok(())
    }

    fn drive<P: Protocol>(&mut self, protocol: &mut P) -> Result<P::Output, Reject> {
        drive(protocol, |step| self.answer(step))
    }

    fn answer<T>(&mut self, step: Step<'_, T>) -> Result<Reply, Reject> {
        Ok(match step {
            Step::Load { name } => match self.store.get(&name) {
                Some(stored) => Reply::Stored(stored.clone()),
                None => Reply::NotFound,
            },
            Step::Fetch { what, max_len } => {
                let name = what.file_name();
                let role = what.role().to_owned();
                let answer = self.site.get(&format!("metadata/{name}"));
                self.requests.push(name);
                match answer {
                    Answer::Found(bytes) if bytes.len() as u64 > max_len => Reply::TooLarge,
                    Answer::Found(bytes) => Reply::Fetched(bytes),
                    // Object stores say 403 for what is not there.
                    Answer::Status(403 | 404 | 410) => Reply::NotFound,
                    Answer::Status(status) => {
                        return Err(no_file(Code::FetchFailed, &role, status));
                    }
                }
            }
            Step::Save {
                name,
                version,
                bytes,
                accepted_under,
            } => {
                let stored = Stored {
                    bytes: bytes.to_vec(),
                    accepted_under: Some(accepted_under),
                };
                if name == StoreName::Root {
                    let history = StoreName::RootHistory(version);
                    self.store.insert(history, stored.clone());
                }
                self.store.insert(name, stored);
                Reply::Saved
            }
            // `drive` keeps the end to itself.
            Step::Done(_) => Reply::NotFound,
        })
    }
}

fn no_file(code: Code, role: &str, status: u16) -> Reject {
    let code = match status {
        403 | 404 | 410 => code,
        _ => Code::FetchFailed,
    };
    Reject::new(code, role, format!("the server answered {status}"))
}
