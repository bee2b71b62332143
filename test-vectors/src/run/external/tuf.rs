//! A TUF client:
//!
//! - `--metadata-dir D init ROOT`
//! - `--metadata-dir D --metadata-url U refresh`
//! - `--metadata-dir D --metadata-url U --target-name N... --target-base-url B --target-dir T download`
//!
//! It keeps what it trusts in D as `ROLE.json`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Output;

use super::{Program, failed, observed, read_files, trusted};
use crate::format::{Action, Step};
use crate::run::server::Server;
use crate::run::{Client, Observed, RunError};
use crate::simulate::sha256_hex;
use crate::suite::Vector;

pub(super) struct External {
    program: Program,
    server: Server,
    /// What it said when it refused its provisioned Root.
    refused_root: Option<Output>,
}

impl External {
    pub(super) fn new(program: Program) -> Result<Self, RunError> {
        fs::create_dir(program.home.path().join("metadata")).map_err(failed)?;
        Ok(Self {
            program,
            server: Server::start().map_err(failed)?,
            refused_root: None,
        })
    }

    fn arguments(&self, action: &Action, targets: &Path) -> Vec<String> {
        let mut arguments = vec![
            "--metadata-dir".to_string(),
            self.program.path("metadata"),
            "--metadata-url".into(),
            self.server.url("metadata"),
        ];
        match action {
            Action::Download(names) => {
                for name in names {
                    arguments.extend(["--target-name".into(), name.clone()]);
                }
                arguments.extend([
                    "--target-base-url".into(),
                    self.server.url("targets"),
                    "--target-dir".into(),
                    targets.display().to_string(),
                    "download".into(),
                ]);
            }
            _ => arguments.push("refresh".into()),
        }
        arguments
    }
}

impl Client for External {
    fn init(&mut self, vector: &Vector) -> Result<(), RunError> {
        let root = self
            .program
            .write("provisioned-root.json", vector.trusted_root())?;
        let arguments = [
            "--metadata-dir".into(),
            self.program.path("metadata"),
            "init".into(),
            root,
        ];
        let output = self.program.run(&arguments, None)?;
        self.refused_root = (!output.status.success()).then_some(output);
        Ok(())
    }

    fn act(&mut self, vector: &Vector, step: &Step) -> Result<Observed, RunError> {
        let clock = vector.case.clock_of(step);
        self.server.serve(vector.site(step));
        let targets = tempfile::tempdir_in(self.program.home.path()).map_err(failed)?;
        let output = match self.refused_root.take() {
            Some(output) => output,
            None => {
                let arguments = self.arguments(&step.action, targets.path());
                self.program.run(&arguments, clock)?
            }
        };
        let requests = self.server.requests();
        let requests = requests
            .iter()
            .filter_map(|path| path.strip_prefix("metadata/"));
        Ok(Observed {
            trusted: trusted(&self.program.home.path().join("metadata"), "")?,
            requests: requests.map(String::from).collect(),
            downloads: downloads(targets.path())?,
            ..observed(&output)
        })
    }
}

fn downloads(directory: &Path) -> Result<BTreeSet<String>, RunError> {
    let files = read_files(directory)?;
    Ok(files.values().map(|bytes| sha256_hex(bytes)).collect())
}
