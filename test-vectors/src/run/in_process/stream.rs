//! Our verifier on a device that cannot hold a file.

use std::num::NonZeroUsize;

use countersign_verifier::uptane::{Partial, PartialStream, StreamReply, StreamStep};
use countersign_verifier::{Code, Reject, Stored};

use super::{Line, no_file};
use crate::tree::Answer;

impl Line<'_> {
    /// Answers all steps of a session, with chunks of so many bytes.
    pub(super) fn stream(
        &mut self,
        mut session: PartialStream,
        chunk: NonZeroUsize,
    ) -> Result<Partial, Reject> {
        let mut aside = Vec::new();
        loop {
            let reply = match session.next() {
                StreamStep::Load { name } => match self.store.get(&name) {
                    Some(stored) => {
                        feed(&mut session, &stored.bytes, chunk);
                        StreamReply::Stored {
                            accepted_under: stored.accepted_under,
                        }
                    }
                    None => StreamReply::NotFound,
                },
                StreamStep::Fetch { what, .. } => {
                    let name = what.file_name();
                    self.requests.push(format!("{}{name}", self.prefix));
                    match self.site.get(&format!("{}{name}", self.folder)) {
                        // Whatever its length, as for the other sessions.
                        Answer::Found(bytes) => {
                            feed(&mut session, &bytes, chunk);
                            aside = bytes;
                            StreamReply::Fetched
                        }
                        Answer::Status(403 | 404 | 410) => StreamReply::NotFound,
                        Answer::Status(status) => {
                            let failed = no_file(Code::FetchFailed, what.role(), status);
                            return Err(failed.at(self.prefix.trim_end_matches('/')));
                        }
                    }
                }
                StreamStep::Keep {
                    name,
                    accepted_under,
                    ..
                } => {
                    let stored = Stored {
                        bytes: std::mem::take(&mut aside),
                        accepted_under: Some(accepted_under),
                    };
                    self.store.insert(name, stored);
                    StreamReply::Kept
                }
                StreamStep::Done(outcome) => return outcome,
            };
            session.supply(reply);
        }
    }
}

/// Feeds all of a file: that it is too much is said again at its end.
fn feed(session: &mut PartialStream, file: &[u8], chunk: NonZeroUsize) {
    for chunk in file.chunks(chunk.get()) {
        let _ = session.feed(chunk);
    }
}
