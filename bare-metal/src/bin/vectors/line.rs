//! One repository as a session sees it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use countersign_bare_metal_messages::{Answer, Question};
use countersign_metadata::Role as _;
use countersign_verifier::uptane::{Partial, PartialStream, StreamReply, StreamStep};
use countersign_verifier::{
    Code, Protocol, Reject, RemoteName, Reply, Step, StoreName, Stored, drive, provision_root,
};

use crate::host::Host;

/// Answers the steps of sessions with what the host has.
pub(crate) struct Line<'h> {
    pub(crate) host: &'h mut Host,
    /// Where the metadata is.
    pub(crate) folder: &'static str,
    /// The repository's name in refusals.
    pub(crate) repository: &'static str,
}

impl Line<'_> {
    pub(crate) fn drive<P: Protocol>(&mut self, session: &mut P) -> Result<P::Output, Reject> {
        drive(session, |step| self.answer(step))
    }

    /// As `drive`, with chunks of so many bytes.
    pub(crate) fn stream(
        &mut self,
        mut session: PartialStream,
        chunk: usize,
    ) -> Result<Partial, Reject> {
        let mut aside = Vec::new();
        loop {
            let reply = match session.next() {
                StreamStep::Load { name } => {
                    let name = stored_as(&name);
                    match self.host.ask(&Question::Load { name }) {
                        Answer::Stored {
                            bytes,
                            accepted_under,
                        } => {
                            feed(&mut session, &bytes, chunk);
                            StreamReply::Stored { accepted_under }
                        }
                        _ => StreamReply::NotFound,
                    }
                }
                StreamStep::Fetch { what, .. } => match self.fetch(&what)? {
                    Reply::Fetched(bytes) => {
                        feed(&mut session, &bytes, chunk);
                        aside = bytes;
                        StreamReply::Fetched
                    }
                    _ => StreamReply::NotFound,
                },
                StreamStep::Keep {
                    name,
                    accepted_under,
                    ..
                } => {
                    let bytes = mem::take(&mut aside);
                    self.host
                        .save(stored_as(&name), Some(accepted_under), bytes);
                    StreamReply::Kept
                }
                StreamStep::Done(outcome) => return outcome,
            };
            session.supply(reply);
        }
    }

    fn answer<T>(&mut self, step: Step<'_, T>) -> Result<Reply, Reject> {
        let question = match step {
            Step::Fetch { what, .. } => return self.fetch(&what),
            Step::Load { name } => Question::Load {
                name: stored_as(&name),
            },
            Step::Save {
                name,
                version,
                bytes,
                accepted_under,
                ..
            } => {
                let accepted_under = Some(accepted_under);
                if name == StoreName::Root {
                    let name = stored_as(&StoreName::RootHistory(version));
                    self.host.save(name, accepted_under, bytes.to_vec());
                }
                Question::Save {
                    name: stored_as(&name),
                    accepted_under,
                    bytes: bytes.to_vec(),
                }
            }
            // No outline is kept, and whoever drives a session keeps the end to itself.
            Step::LoadPart { .. } | Step::Done(_) => return Ok(Reply::NotFound),
        };
        match self.host.ask(&question) {
            Answer::Stored {
                bytes,
                accepted_under,
            } => Ok(Reply::Stored(Stored {
                bytes,
                accepted_under,
            })),
            Answer::NotFound => Ok(Reply::NotFound),
            Answer::Saved => Ok(Reply::Saved),
            Answer::File(_) | Answer::Failed => Err(misuse("the host has answered wrongly")),
        }
    }

    /// The file, whatever its length: a session must not trust whoever drives it with that.
    fn fetch(&mut self, what: &RemoteName) -> Result<Reply, Reject> {
        let question = Question::Fetch {
            folder: self.folder.into(),
            file: what.file_name(),
        };
        match self.host.ask(&question) {
            Answer::File(bytes) => Ok(Reply::Fetched(bytes)),
            Answer::NotFound => Ok(Reply::NotFound),
            Answer::Failed => {
                let detail = "the host could not fetch it";
                Err(Reject::new(Code::FetchFailed, what.role(), detail).at(self.repository))
            }
            Answer::Stored { .. } | Answer::Saved => Err(misuse("the host has answered wrongly")),
        }
    }
}

impl Host {
    /// Keeps the first Root, and as a real device does, in the history too.
    pub(crate) fn provision(&mut self, root: Vec<u8>) {
        if let Ok(verified) = provision_root(root.clone()) {
            let version = verified.content().version();
            let name = stored_as(&StoreName::RootHistory(version));
            self.save(name, None, root.clone());
        }
        self.save(stored_as(&StoreName::Root), None, root);
    }

    fn save(&mut self, name: String, accepted_under: Option<u64>, bytes: Vec<u8>) {
        self.ask(&Question::Save {
            name,
            accepted_under,
            bytes,
        });
    }
}

/// All of a file: that it is too much, the session says again at its end.
fn feed(session: &mut PartialStream, file: &[u8], chunk: usize) {
    for chunk in file.chunks(chunk) {
        let _ = session.feed(chunk);
    }
}

fn stored_as(name: &StoreName) -> String {
    match name {
        StoreName::Root => "root".into(),
        StoreName::RootHistory(version) => format!("history/{version}"),
        StoreName::Timestamp => "timestamp".into(),
        StoreName::Snapshot => "snapshot".into(),
        StoreName::Targets => "targets".into(),
        StoreName::TargetsOutline => "outline".into(),
        StoreName::Delegated(role) => format!("delegated/{role}"),
        StoreName::OfflineSnapshot => "offline-snapshot".into(),
        StoreName::OfflineTargets(name) => format!("offline/{name}"),
    }
}

pub(crate) fn misuse(what: &str) -> Reject {
    Reject::new(Code::Misuse, "", what)
}
