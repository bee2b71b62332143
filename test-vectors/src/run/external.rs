//! Any client executable, through three commands:
//!
//! - `--metadata-dir D init ROOT`
//! - `--metadata-dir D --metadata-url U refresh`
//! - `--metadata-dir D --metadata-url U --target-name N... --target-base-url B --target-dir T download`
//!
//! It exits with 0 when it is content and with 1 when it is not, and keeps what it trusts in D as
//! `ROLE.json`. A clock other than now is given to it with `faketime`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use countersign_metadata::UtcTime;
use percent_encoding::percent_decode_str;
use tempfile::TempDir;

use super::server::Server;
use super::{Client, Observed, Refusal, RunError};
use crate::format::{Action, Step, Verdict};
use crate::simulate::sha256_hex;
use crate::suite::{self, Vector};
use crate::tree::Files;

/// No case takes a client this long; one that hangs has failed.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A client executable with directories of its own.
pub struct External {
    command: Vec<String>,
    home: TempDir,
    server: Server,
    /// What it said when it refused its provisioned Root.
    refused_root: Option<Output>,
}

impl External {
    /// `command` is split at spaces; what comes after the program stands before every command.
    ///
    /// # Errors
    /// When there is no command, no temporary directory or no free port.
    pub fn new(command: &str) -> Result<Self, RunError> {
        let command: Vec<String> = command.split_whitespace().map(String::from).collect();
        if command.is_empty() {
            return Err(RunError("the client command is empty".into()));
        }
        let failed = |error: io::Error| RunError(format!("cannot prepare a run: {error}"));
        let home = tempfile::tempdir().map_err(failed)?;
        fs::create_dir(home.path().join("metadata")).map_err(failed)?;
        Ok(Self {
            command,
            home,
            server: Server::start().map_err(failed)?,
            refused_root: None,
        })
    }

    fn run(&self, arguments: &[String], clock: Option<UtcTime>) -> Result<Output, RunError> {
        let mut words: Vec<String> = Vec::new();
        if let Some(clock) = clock {
            // An absolute time, from which the clock goes on. TZ below makes it UTC.
            let time = clock.to_string().replace('T', " ").replace('Z', "");
            words.extend(["faketime".into(), "-f".into(), format!("@{time}")]);
        }
        words.extend(self.command.iter().chain(arguments).cloned());
        let program = &words[0];
        let fail = |error: io::Error| {
            RunError(match error.kind() {
                io::ErrorKind::NotFound if clock.is_some() => {
                    "cannot run faketime: install the Debian package `faketime`".into()
                }
                _ => format!("cannot run {program}: {error}"),
            })
        };
        let mut command = Command::new(program);
        command
            .args(&words[1..])
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        let output = wait(command, self.home.path()).map_err(fail)?;
        match output.status.code() {
            Some(0 | 1) => Ok(output),
            _ => Err(RunError(format!(
                "ended with {}, must be exit code 0 or 1; the client said: {}",
                output.status,
                messages(&output)
            ))),
        }
    }
}

/// Runs a command for at most [`TIMEOUT`]. Its output goes through files, which cannot fill up.
fn wait(mut command: Command, home: &Path) -> io::Result<Output> {
    let (out, err) = (home.join("stdout"), home.join("stderr"));
    let mut child = command
        .stdout(fs::File::create(&out)?)
        .stderr(fs::File::create(&err)?)
        .spawn()?;
    let start = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if start.elapsed() > TIMEOUT => {
                child.kill()?;
                break child.wait()?;
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    Ok(Output {
        status,
        stdout: fs::read(out)?,
        stderr: fs::read(err)?,
    })
}

impl Client for External {
    fn init(&mut self, vector: &Vector) -> Result<(), RunError> {
        let file = self.home.path().join("provisioned-root.json");
        fs::write(&file, vector.trusted_root()).map_err(|error| RunError(error.to_string()))?;
        let arguments = [
            "--metadata-dir".into(),
            self.path("metadata"),
            "init".into(),
            file.display().to_string(),
        ];
        let output = self.run(&arguments, None)?;
        self.refused_root = (!output.status.success()).then_some(output);
        Ok(())
    }

    fn act(&mut self, vector: &Vector, step: &Step) -> Result<Observed, RunError> {
        let clock = vector.case.clock_of(step);
        self.server.serve(vector.site(step));
        let failed = |error: io::Error| RunError(error.to_string());
        let targets = tempfile::tempdir_in(self.home.path()).map_err(failed)?;
        let output = match self.refused_root.take() {
            Some(output) => output,
            None => self.run(&self.arguments(&step.action, targets.path()), clock)?,
        };
        let requests = self.server.requests();
        let requests = requests
            .iter()
            .filter_map(|path| path.strip_prefix("metadata/"));
        Ok(Observed {
            verdict: match output.status.success() {
                true => Verdict::Accept,
                false => Verdict::Reject,
            },
            refusal: refusal(&output.stdout),
            trusted: self.trusted()?,
            requests: requests.map(String::from).collect(),
            downloads: downloads(targets.path())?,
            messages: messages(&output),
            ..Observed::default()
        })
    }
}

impl External {
    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    fn arguments(&self, action: &Action, targets: &Path) -> Vec<String> {
        let mut arguments = vec![
            "--metadata-dir".to_string(),
            self.path("metadata"),
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

    /// `*.json` in the metadata directory, by role name.
    fn trusted(&self) -> Result<BTreeMap<String, Vec<u8>>, RunError> {
        let files = read_files(&self.home.path().join("metadata"))?;
        let roles = files.into_iter().filter_map(|(path, bytes)| {
            let name = path
                .strip_suffix(".json")
                .filter(|name| !name.contains('/'))?;
            let role = percent_decode_str(name).decode_utf8_lossy().into_owned();
            Some((role, bytes))
        });
        Ok(roles.collect())
    }
}

fn downloads(directory: &Path) -> Result<BTreeSet<String>, RunError> {
    let files = read_files(directory)?;
    Ok(files.values().map(|bytes| sha256_hex(bytes)).collect())
}

fn read_files(directory: &Path) -> Result<Files, RunError> {
    let mut files = Files::new();
    suite::read_tree(directory, "", &mut files).map_err(|error| RunError(error.to_string()))?;
    Ok(files)
}

/// Why the client refused, if its standard output is one JSON object that says so.
fn refusal(stdout: &[u8]) -> Option<Refusal> {
    let said: serde_json::Value = serde_json::from_slice(stdout).ok()?;
    let text = |name: &str| said.get(name).and_then(|value| value.as_str());
    Some(Refusal {
        code: text("name")?.into(),
        role: text("role").unwrap_or_default().into(),
        repository: text("repository").map(String::from),
        attack: text("attack").unwrap_or("none").into(),
        cause: text("cause").map(String::from),
    })
}

fn messages(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    let both = [text(&output.stdout), text(&output.stderr)];
    both.join(" ").trim().to_string()
}
