//! A TUF client.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use countersign_bare_metal_messages::{Answer, Outcome, Question};
use countersign_metadata::{UtcTime, sha256};
use countersign_verifier::{Code, ListedTarget, Reject, Session, Trusted};

use crate::host::Host;
use crate::line::{Line, misuse};
use crate::refused;

/// All that it keeps is with the host.
pub(crate) struct TufClient;

impl TufClient {
    pub(crate) fn provisioned(root: Vec<u8>, host: &mut Host) -> Self {
        host.provision(root);
        Self
    }

    pub(crate) fn download(&mut self, now: i64, names: &[String], host: &mut Host) -> Outcome {
        let mut run = Run {
            line: Line {
                host,
                folder: "metadata",
                repository: "",
            },
            downloads: Vec::new(),
        };
        let outcome = run.download(now, names);
        let downloads = run.downloads;
        match outcome {
            Ok(()) => Outcome {
                downloads,
                ..Outcome::default()
            },
            Err(reject) => Outcome {
                downloads,
                ..refused(&reject)
            },
        }
    }
}

struct Run<'h> {
    line: Line<'h>,
    downloads: Vec<[u8; 32]>,
}

impl Run<'_> {
    fn download(&mut self, now: i64, names: &[String]) -> Result<(), Reject> {
        let now = UtcTime::from_unix(now).ok_or_else(|| misuse("that is no time"))?;
        let mut trusted = self.line.drive(&mut Session::refresh(now))?;
        names
            .iter()
            .try_for_each(|name| self.one(&mut trusted, name, now))
    }

    fn one(&mut self, trusted: &mut Trusted, name: &str, now: UtcTime) -> Result<(), Reject> {
        let target: ListedTarget = self.line.drive(&mut trusted.search(name))?;
        let role = target.role().to_string();
        let path = target.remote_path()?;
        let bytes = match self.line.host.ask(&Question::Image { path }) {
            Answer::File(bytes) => bytes,
            Answer::NotFound => {
                let detail = "the repository does not have the image";
                return Err(Reject::new(Code::ImageMissing, &role, detail));
            }
            _ => {
                let detail = "the host could not fetch the image";
                return Err(Reject::new(Code::FetchFailed, &role, detail));
            }
        };
        let mut stream = target.open(now)?;
        // In pieces, as a network would bring them.
        for piece in bytes.chunks(5) {
            stream.update(piece)?;
        }
        stream.finish()?;
        self.downloads.push(sha256(&bytes));
        Ok(())
    }
}
