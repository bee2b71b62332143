//! The command line.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

use crate::lists::Known;
use crate::memory::Memory;
use crate::mutant::Mutant;
use crate::report::{Outcome, Report};
use crate::sources::Sources;
use crate::trial::{Trials, Verdict};
use crate::work::Work;

/// Takes the verifier's checks away one at a time, and tells which of them no conformance vector misses.
#[derive(Debug, Parser)]
#[command(
    name = "mutation-check",
    version,
    after_help = "Examples:
  mutation-check                                   every check of the verifier
  mutation-check --only search/vote.rs             those in one file
  mutation-check --only 'expires'                  those with this text in them
  mutation-check --list                            what there is, without building anything
  mutation-check --format json > mutants.json      with who noticed what

Exit codes: 0 every check is noticed, or known not to be; 1 some check is not; 2 usage or input error."
)]
pub(crate) struct Cli {
    /// The root of the workspace.
    #[arg(long, default_value = ".", value_name = "DIR")]
    root: PathBuf,
    /// Only mutants with this text in their identity; repeat it for several.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// List the mutants; build and run nothing.
    #[arg(long)]
    list: bool,
    /// How many runs at a time; by default one for each core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    jobs: Option<u8>,
    /// Seconds after which a run hangs; by default ten times what one takes without a mutant.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// How to report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Does what the command line says.
pub(crate) fn run(cli: &Cli) -> Result<Report, Box<dyn Error>> {
    let lists = cli.root.join("test-vectors/mutation-check");
    let skip = read_list(&lists.join("skip.toml"))?;
    let known = read_list(&lists.join("unnoticed.toml"))?;
    let sources = Sources::read(&cli.root, &skip)?;
    let wanted = |mutant: &&Mutant| {
        let named = |text: &String| mutant.identity.contains(text.as_str());
        cli.only.is_empty() || cli.only.iter().any(named)
    };
    let mutants: Vec<&Mutant> = sources.mutants().filter(wanted).collect();
    if mutants.is_empty() {
        return Err(format!("no mutant with {:?} in its identity", cli.only).into());
    }
    if cli.list {
        return Ok(list(&mutants, cli.format)?);
    }
    let work = Work::at(&cli.root)?;
    let trials = prepare(cli, &sources, &work)?;
    let memory = Memory::at(&work.memory());
    let jobs = cli.jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        usize::from,
    );
    let start = Instant::now();
    let total = mutants.len();
    let verdicts = trials.all(&mutants, &memory, jobs, |done, unnoticed| {
        progress(done, total, unnoticed);
    })?;
    memory.keep(mutants.iter().copied().zip(&verdicts));
    let outcome = Outcome {
        verdicts: mutants.into_iter().zip(verdicts).collect(),
        known: &known,
        gone: known.without(|identity| sources.has(identity)),
        time: start.elapsed(),
    };
    Ok(match cli.format {
        Format::Text => outcome.to_text(),
        Format::Json => outcome.to_json()?,
    })
}

/// A copy that is built and passes everything without a mutant.
fn prepare(cli: &Cli, sources: &Sources, work: &Work) -> Result<Trials, Box<dyn Error>> {
    tell("copying the workspace");
    work.copy(sources)?;
    tell("building the copy");
    let mut trials = Trials {
        program: work.build()?,
        vectors: work.vectors(),
        scratch: work.scratch()?,
        limit: Duration::from_secs(600),
    };
    let start = Instant::now();
    match trials.without()? {
        Verdict::Unnoticed => {}
        other => return Err(format!("without a mutant not all vectors pass: {other:?}").into()),
    }
    // Others may want the processor too.
    let usual = (start.elapsed() * 10).max(Duration::from_secs(20));
    trials.limit = cli.timeout.map_or(usual, Duration::from_secs);
    Ok(trials)
}

fn read_list(file: &Path) -> Result<Known, String> {
    let failed = |what: String| format!("{}: {what}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    Known::from_toml(&text).map_err(failed)
}

fn list(mutants: &[&Mutant], format: Format) -> Result<Report, serde_json::Error> {
    let text = match format {
        Format::Text => mutants
            .iter()
            .map(|mutant| format!("{}:{}  {}\n", mutant.file, mutant.line, mutant.identity))
            .collect(),
        Format::Json => serde_json::to_string_pretty(mutants)? + "\n",
    };
    Ok(Report { text, good: true })
}

/// Says what is done now.
fn tell(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Says how far it is: over and over on one line of a terminal, and elsewhere now and then.
fn progress(done: usize, total: usize, unnoticed: usize) {
    let mut err = std::io::stderr();
    let is_terminal = err.is_terminal();
    let (before, after) = match (is_terminal, done == total) {
        (true, false) => ("\r", ""),
        (true, true) => ("\r", "\n"),
        (false, _) => ("", "\n"),
    };
    if is_terminal || done == total || done.is_multiple_of(100) {
        let _ = write!(
            err,
            "{before}{done} of {total} mutants, {unnoticed} unnoticed{after}"
        );
    }
}
