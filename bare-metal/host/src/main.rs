//! `bare-metal`: puts the firmware through the vectors in QEMU, looks for panics in it, and measures it.

mod board;
mod client;
mod elf;
mod measure;
mod panics;
mod scenario;
mod sizes;
mod vectors;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Puts bare-metal firmware through the vectors in QEMU, looks for panics in it, and measures it.
#[derive(Debug, Parser)]
#[command(
    name = "bare-metal",
    version,
    after_help = "Exit codes: 0 all is well, 1 something is not, 2 usage or input error."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every case of the firmware's scope.
    Vectors(vectors::Options),
    /// Fail if a panic of our crates can be reached.
    Panics(panics::Options),
    /// Show what the code of a firmware consists of.
    Sizes(sizes::Options),
    /// Run one update and show how much memory it took.
    Measure(measure::Options),
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failure(String);

impl From<countersign_vectors::suite::SuiteError> for Failure {
    fn from(error: countersign_vectors::suite::SuiteError) -> Self {
        Self(error.to_string())
    }
}

fn main() -> ExitCode {
    let result = match &Cli::parse().command {
        Command::Vectors(options) => vectors::run(options),
        Command::Panics(options) => panics::run(options),
        Command::Sizes(options) => sizes::run(options),
        Command::Measure(options) => measure::run(options),
    };
    match result {
        Ok((text, good)) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::from(u8::from(!good))
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bare-metal: {error}");
            ExitCode::from(2)
        }
    }
}
