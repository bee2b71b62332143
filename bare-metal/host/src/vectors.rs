//! The vectors of the firmware's scope, on a board.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use countersign_vectors::format::{Kind, Verification};
use countersign_vectors::report::{Entry, Outcome};
use countersign_vectors::run::exceptions::Exceptions;
use countersign_vectors::run::{CaseResult, run_case};
use countersign_vectors::suite::{self, Vector};

use crate::Failure;
use crate::client::{Boards, OnBoard};

/// In how small pieces files come in the runs in chunks: not a divisor of anything.
const CHUNK: u32 = 61;

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The firmware: an ELF file.
    firmware: PathBuf,
    /// The folder that has `vectors/`.
    #[arg(long, default_value = "test-vectors", value_name = "DIR")]
    home: PathBuf,
    /// What the firmware is known to do otherwise: a TOML file of lines "AREA/NAME" = "reason".
    #[arg(long, value_name = "FILE")]
    exceptions: Option<PathBuf>,
    /// Only cases with this text in their name.
    #[arg(long, default_value = "", value_name = "TEXT")]
    filter: String,
}

/// Runs all cases in scope; those of an ECU once more in chunks. What to print, and whether all is well.
pub(crate) fn run(options: &Options) -> Result<(String, bool), Failure> {
    let all = suite::load(&options.home.join("vectors"), "")?;
    let names: Vec<&str> = all.iter().map(|vector| vector.case.name.as_str()).collect();
    let exceptions = match &options.exceptions {
        Some(file) => read_exceptions(file, &names)?,
        None => Exceptions::default(),
    };
    let mut boards = Boards::with(options.firmware.clone());
    let mut outcome = Outcome::default();
    for vector in all.iter().filter(|vector| in_scope(vector)) {
        if !vector.case.name.contains(&options.filter) {
            continue;
        }
        let chunks: &[Option<u32>] = match vector.case.kind() {
            Kind::Uptane => &[None, Some(CHUNK)],
            Kind::Tuf | Kind::Director => &[None],
        };
        let start = Instant::now();
        let mut result = CaseResult {
            name: vector.case.name.clone(),
            problems: Vec::new(),
        };
        for chunk in chunks {
            let mut client = OnBoard::new(&mut boards, *chunk);
            let problems = run_case(&mut client, vector).problems;
            let of_run = |problem: String| match chunk {
                None => problem,
                Some(_) => format!("in chunks: {problem}"),
            };
            result.problems.extend(problems.into_iter().map(of_run));
        }
        outcome.0.push(Entry {
            status: exceptions.judge(&result),
            name: result.name,
            time: start.elapsed(),
        });
    }
    match outcome.0.is_empty() {
        true => Err(Failure("no case has that in its name".into())),
        false => Ok((outcome.to_text(), outcome.is_good())),
    }
}

/// TUF clients, and ECUs that verify in part.
fn in_scope(vector: &Vector) -> bool {
    let ecu = vector.case.ecu.as_ref();
    match vector.case.kind() {
        Kind::Tuf => true,
        Kind::Uptane => ecu.is_some_and(|ecu| ecu.verification == Verification::Partial),
        Kind::Director => false,
    }
}

fn read_exceptions(file: &Path, names: &[&str]) -> Result<Exceptions, Failure> {
    let at = |what: String| Failure(format!("{}: {what}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| at(error.to_string()))?;
    Exceptions::from_toml(&text, names).map_err(at)
}
