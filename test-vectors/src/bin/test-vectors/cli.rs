//! The command line.

use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use clap::{Args, Parser, Subcommand, ValueEnum};
use countersign_vectors::coverage::Coverage;
use countersign_vectors::format::Kind;
use countersign_vectors::generate;
use countersign_vectors::report::{Entry, Outcome};
use countersign_vectors::run::case_list::CaseList;
use countersign_vectors::run::exceptions::{Exceptions, Status};
use countersign_vectors::run::{CaseResult, external, in_process, run_case};
use countersign_vectors::suite::{self, Vector};

/// Conformance vectors for TUF and Uptane clients, and for Uptane's Directors.
#[derive(Debug, Parser)]
#[command(
    name = "test-vectors",
    version,
    after_help = "Examples:
  test-vectors run                                      our verifier, in process
  test-vectors run --client client-verifier             an executable
  test-vectors run --client 'my-client --quiet' --exceptions known.toml --format junit
  test-vectors run --client my-ecu --protocol uptane    an executable that is an ECU
  test-vectors run --director my-adapter                a Director
  test-vectors run --filter delegations/
  test-vectors run --client my-client --cases passing.txt
  test-vectors run --format html > report.html          with what every clause comes to
  test-vectors generate --check                         as CI does

Exit codes: 0 all as expected, 1 some case is not, 2 usage or input error."
)]
pub(crate) struct Cli {
    /// The folder that has `vectors/`.
    #[arg(
        long,
        global = true,
        default_value = "test-vectors",
        value_name = "DIR"
    )]
    home: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make all vectors again from their definitions.
    Generate {
        /// Write nothing; fail if anything differs.
        #[arg(long)]
        check: bool,
    },
    /// Put a client through the vectors.
    Run {
        #[command(flatten)]
        selection: Selection,
        /// The client's command; without it and --director, our verifier in process.
        #[arg(long, value_name = "COMMAND")]
        client: Option<String>,
        /// Which commands the client knows.
        #[arg(
            long,
            value_enum,
            value_delimiter = ',',
            default_value = "tuf",
            requires = "client"
        )]
        protocol: Vec<Protocol>,
        /// The command of a Director's adapter.
        #[arg(long, value_name = "COMMAND")]
        director: Option<String>,
        /// Known deviations: a TOML file of lines "AREA/NAME" = "reason".
        #[arg(long, value_name = "FILE")]
        exceptions: Option<PathBuf>,
        /// Write the names of the cases that passed, for --cases: to say once what a client is expected to
        /// pass, and hear of it when it no longer does. A comment at the top of FILE stays.
        #[arg(long, value_name = "FILE")]
        write_cases: Option<PathBuf>,
        /// How many cases to run at a time; a client's own waiting is most of the time.
        #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
        jobs: u8,
        /// How to report.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// List the cases and what each is about.
    List {
        /// Only cases with this text in their name.
        #[arg(long, default_value = "", value_name = "TEXT")]
        filter: String,
    },
    /// Show how many cases each clause of the specification has.
    Coverage {
        /// Name the cases.
        #[arg(long)]
        names: bool,
    },
}

/// Which cases to run.
#[derive(Debug, Args)]
struct Selection {
    /// Only cases with this text in their name; repeat it for several.
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Only the cases that this file lists, one name on a line.
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
}

impl Selection {
    /// Those of `all`, in their order.
    fn of(&self, mut all: Vec<Vector>) -> Result<Vec<Vector>, Box<dyn Error>> {
        if let Some(file) = &self.cases {
            let list = CaseList::from_text(&read(file)?, &names(&all));
            let list = list.map_err(|what| at(file, what))?;
            all.retain(|vector| list.contains(&vector.case.name));
        }
        all.retain(|vector| {
            let named = |text: &String| vector.case.name.contains(text.as_str());
            self.filter.is_empty() || self.filter.iter().any(named)
        });
        match all.is_empty() {
            true => Err(format!("no case with {:?} in its name is for that", self.filter).into()),
            false => Ok(all),
        }
    }
}

/// What a client's executable can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// init, refresh, download
    Tuf,
    /// uptane-init, uptane-cycle, uptane-install
    Uptane,
}

/// Who is put through the vectors.
struct Tested<'a> {
    client: Option<&'a str>,
    protocol: &'a [Protocol],
    director: Option<&'a str>,
}

impl Tested<'_> {
    fn takes(&self, kind: Kind) -> bool {
        let client = |protocol| self.client.is_some() && self.protocol.contains(&protocol);
        let in_process = self.client.is_none() && self.director.is_none();
        in_process
            || match kind {
                Kind::Tuf => client(Protocol::Tuf),
                Kind::Uptane => client(Protocol::Uptane),
                Kind::Director => self.director.is_some(),
            }
    }

    fn run(&self, vector: &Vector) -> CaseResult {
        let kind = vector.case.kind();
        let command = match kind {
            Kind::Director => self.director,
            Kind::Tuf | Kind::Uptane => self.client,
        };
        let client = match command {
            None => Ok(in_process::client(vector)),
            Some(command) => external::client(command, kind),
        };
        match client {
            Ok(mut client) => run_case(&mut *client, vector),
            Err(error) => CaseResult {
                name: vector.case.name.clone(),
                problems: vec![error.to_string()],
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Junit,
    /// A page with what every clause comes to
    Html,
}

/// What to print, and whether all is well.
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) good: bool,
}

/// Does what the command line says.
pub(crate) fn run(cli: &Cli) -> Result<Report, Box<dyn Error>> {
    let vectors = |filter: &str| suite::load(&cli.home.join("vectors"), filter);
    let good = |text| Report { text, good: true };
    Ok(match &cli.command {
        Command::Generate { check } => generate_all(&cli.home, *check)?,
        Command::Run {
            selection,
            client,
            protocol,
            director,
            exceptions,
            write_cases,
            jobs,
            format,
        } => {
            let tested = Tested {
                client: client.as_deref(),
                protocol,
                director: director.as_deref(),
            };
            let all = vectors("")?;
            let mut vectors = all.clone();
            vectors.retain(|vector| tested.takes(vector.case.kind()));
            let vectors = selection.of(vectors)?;
            let exceptions = match exceptions {
                Some(file) => Exceptions::from_toml(&read(file)?, &names(&all))
                    .map_err(|what| at(file, what))?,
                None => Exceptions::default(),
            };
            let outcome = run_all(&vectors, &tested, &exceptions, *jobs);
            if let Some(file) = write_cases {
                write_passed(file, &outcome)?;
            }
            Report {
                text: match format {
                    Format::Text => outcome.to_text(),
                    Format::Json => outcome.to_json(),
                    Format::Junit => outcome.to_junit(),
                    Format::Html => outcome.to_html(&all),
                },
                good: outcome.is_good(),
            }
        }
        Command::List { filter } => {
            let lines = vectors(filter)?.into_iter();
            good(
                lines
                    .map(|Vector { case, .. }| format!("{}\n    {}\n", case.name, case.note))
                    .collect(),
            )
        }
        Command::Coverage { names } => good(Coverage::of(&vectors("")?).to_text(*names)),
    })
}

fn generate_all(home: &Path, check: bool) -> Result<Report, generate::GenerateError> {
    let generated = match check {
        true => generate::check(home),
        false => generate::write(home),
    };
    match generated {
        Ok(generated) => Ok(Report {
            text: format!(
                "{} cases, {} files, {} changed\n",
                generated.cases,
                generated.files,
                generated.changed.len()
            ),
            good: true,
        }),
        Err(error @ generate::GenerateError::Differs(_)) => Ok(Report {
            text: format!("{error}\n"),
            good: false,
        }),
        Err(error) => Err(error),
    }
}

fn names(vectors: &[Vector]) -> Vec<&str> {
    let names = vectors.iter().map(|vector| vector.case.name.as_str());
    names.collect()
}

fn write_passed(file: &Path, outcome: &Outcome) -> Result<(), String> {
    let passed = outcome
        .0
        .iter()
        .filter(|entry| entry.status == Status::Passed);
    let list: CaseList = passed.map(|entry| entry.name.clone()).collect();
    let former = match file.exists() {
        true => read(file)?,
        false => String::new(),
    };
    fs::write(file, list.to_text(&former)).map_err(|error| at(file, error))
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| at(file, error))
}

fn at(file: &Path, what: impl Display) -> String {
    format!("{}: {what}", file.display())
}

fn run_all(vectors: &[Vector], tested: &Tested<'_>, exceptions: &Exceptions, jobs: u8) -> Outcome {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut entries = Vec::new();
        while let Some(vector) = vectors.get(next.fetch_add(1, Ordering::Relaxed)) {
            let start = Instant::now();
            let result = tested.run(vector);
            entries.push(Entry {
                status: exceptions.judge(&result),
                name: result.name,
                time: start.elapsed(),
            });
        }
        entries
    };
    let mut entries: Vec<Entry> = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined
            .flat_map(|entries| entries.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Outcome(entries)
}
