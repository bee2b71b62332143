//! Our verifier as a TUF client.

use std::collections::BTreeSet;

use countersign_metadata::UtcTime;
use countersign_verifier::{Code, Context, ListedTarget, Reject, Session, Trusted};

use super::{Driver, Line, Store, clock, no_file, observed, provisioned, trusted};
use crate::format::{Action, Step};
use crate::run::{Client, Observed, RunError};
use crate::simulate::sha256_hex;
use crate::suite::Vector;
use crate::tree::{Answer, Site};

/// With a store in memory.
#[derive(Debug)]
pub(super) struct InProcess {
    driver: Driver,
    store: Store,
}

impl InProcess {
    pub(super) fn new(driver: Driver) -> Self {
        let store = Store::new();
        Self { driver, store }
    }
}

/// One run of it.
struct Run<'a> {
    line: Line<'a>,
    site: &'a Site,
    downloads: BTreeSet<String>,
}

impl Client for InProcess {
    fn init(&mut self, vector: &Vector) -> Result<(), RunError> {
        self.store = provisioned(vector.trusted_root());
        Ok(())
    }

    fn act(&mut self, vector: &Vector, step: &Step) -> Result<Observed, RunError> {
        let now = clock(vector, step)?;
        let site = vector.site(step);
        let mut requests = Vec::new();
        let mut run = Run {
            line: Line {
                driver: self.driver,
                store: &mut self.store,
                site: &site,
                folder: "metadata/",
                prefix: "",
                requests: &mut requests,
            },
            site: &site,
            downloads: BTreeSet::new(),
        };
        let outcome = run.act(&step.action, now);
        let downloads = run.downloads;
        Ok(Observed {
            trusted: trusted(&self.store, "").collect(),
            requests,
            downloads,
            ..observed(&outcome)
        })
    }
}

impl Run<'_> {
    fn act(&mut self, action: &Action, now: UtcTime) -> Result<(), Reject> {
        let context = Context {
            outlines: true,
            ..Context::new(now)
        };
        let mut trusted = self.line.drive(&mut Session::with_context(context))?;
        match action {
            Action::Download(names) => names
                .iter()
                .try_for_each(|name| self.download(&mut trusted, name, now)),
            _ => Ok(()),
        }
    }

    fn download(&mut self, trusted: &mut Trusted, name: &str, now: UtcTime) -> Result<(), Reject> {
        let target: ListedTarget = self.line.drive(&mut trusted.search(name))?;
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
}
