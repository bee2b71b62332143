//! Any executable, through a few commands. It exits with 0 when it is content and with 1 when it is not.
//! A clock other than now is given to it with `faketime`.

mod director;
mod ecu;
mod tuf;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use countersign_metadata::UtcTime;
use percent_encoding::percent_decode_str;
use tempfile::TempDir;

use super::{Client, Observed, Refusal, RunError};
use crate::format::{Kind, Verdict};
use crate::suite;
use crate::tree::Files;

/// No case takes a client this long; one that hangs has failed.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The program with this command line, as the client for a case of this kind. It is split at spaces; what
/// comes after the program stands before every command.
///
/// # Errors
/// When there is no command, no temporary directory or no free port.
pub fn client(command: &str, kind: Kind) -> Result<Box<dyn Client>, RunError> {
    let program = Program::new(command)?;
    Ok(match kind {
        Kind::Tuf => Box::new(tuf::External::new(program)?),
        Kind::Uptane => Box::new(ecu::External::new(program)?),
        Kind::Director => Box::new(director::External::new(program)?),
    })
}

/// A program with a directory of its own.
struct Program {
    command: Vec<String>,
    home: TempDir,
}

impl Program {
    fn new(command: &str) -> Result<Self, RunError> {
        let command: Vec<String> = command.split_whitespace().map(String::from).collect();
        if command.is_empty() {
            return Err(RunError("the client command is empty".into()));
        }
        let home = tempfile::tempdir().map_err(failed)?;
        Ok(Self { command, home })
    }

    /// A name in its directory.
    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    /// Puts a file into its directory.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<String, RunError> {
        fs::write(self.home.path().join(name), bytes).map_err(failed)?;
        Ok(self.path(name))
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

fn failed(error: io::Error) -> RunError {
    RunError(error.to_string())
}

/// What can be seen of every client's run.
fn observed(output: &Output) -> Observed {
    Observed {
        verdict: match output.status.success() {
            true => Verdict::Accept,
            false => Verdict::Reject,
        },
        refusal: refusal(&output.stdout),
        messages: messages(output),
        ..Observed::default()
    }
}

/// `*.json` in a metadata directory, by role name behind `prefix`: what a client that keeps to the
/// contract trusts.
///
/// # Errors
/// When the directory cannot be read.
pub fn trusted(directory: &Path, prefix: &str) -> Result<BTreeMap<String, Vec<u8>>, RunError> {
    let roles = read_files(directory)?
        .into_iter()
        .filter_map(|(path, bytes)| {
            let name = path
                .strip_suffix(".json")
                .filter(|name| !name.contains('/'))?;
            let role = percent_decode_str(name).decode_utf8_lossy();
            Some((format!("{prefix}{role}"), bytes))
        });
    Ok(roles.collect())
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
