//! What the comparison with other implementations is made of: repositories of any size, what a command costs, and
//! the limits that no implementation can beat. `benches/peers/run.py` puts them together.

#![forbid(unsafe_code)]

mod corpus;
mod cost;
mod limits;

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::corpus::Layout;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Parser)]
#[command(version, about)]
enum Command {
    /// Runs a command, and appends what it cost as a line of JSON to a file
    Cost {
        /// The file
        #[arg(long)]
        to: PathBuf,
        /// Where the command's output goes
        #[arg(long, default_value = "/dev/null")]
        output: PathBuf,
        /// The command
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
    /// Prints what no client can do without, as JSON
    #[command(subcommand)]
    Limit(Limit),
    /// Makes a signed repository
    Corpus {
        /// The folder, which must not exist
        folder: PathBuf,
        /// Images listed
        #[arg(long, default_value_t = 1000)]
        targets: u64,
        /// Times that Root was renewed
        #[arg(long, default_value_t = 0)]
        rotations: u64,
        #[command(subcommand)]
        layout: Layout,
    },
}

#[derive(Subcommand)]
enum Limit {
    /// SHA-256 of a signed file, and one check of its signature
    Metadata {
        /// A file of metadata
        file: PathBuf,
    },
    /// SHA-256 of a file that is read in pieces
    Image {
        /// Any file
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench-peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Cost {
            to,
            output,
            command,
        } => return cost::measure(&to, &output, &command),
        Command::Limit(Limit::Metadata { file }) => limits::metadata(&file)?,
        Command::Limit(Limit::Image { file }) => limits::image(&file)?,
        Command::Corpus {
            folder,
            targets,
            rotations,
            layout,
        } => corpus::make(&folder, targets, rotations, &layout)?,
    }
    Ok(ExitCode::SUCCESS)
}
