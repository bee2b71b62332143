//! What the comparison with other implementations is made of: repositories of any size, what a command costs, and
//! the limits that no implementation can beat. `benches/peers/run.py` puts them together.

#![forbid(unsafe_code)]

mod corpus;
mod cost;
mod first_request;
mod limits;
mod signatures;

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
    /// Prints how many seconds a command takes from its start to its first request, and ends it
    FirstRequest {
        /// The command; `@URL@` in it is where it asks
        #[arg(required = true, last = true)]
        command: Vec<String>,
    },
    /// Prints what checking signatures takes besides the checks, as JSON
    Signatures,
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
        /// The image that is really there, instead of a small one
        #[arg(long)]
        image: Option<PathBuf>,
        #[command(subcommand)]
        layout: Layout,
    },
}

#[derive(Subcommand)]
enum Limit {
    /// SHA-256 of signed files, and one check of the signature of each
    Metadata {
        /// Files of metadata
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// SHA-256 and SHA-512 of images, and signatures
    Publish {
        /// The images
        files: Vec<PathBuf>,
        /// How often something is signed
        #[arg(long)]
        signatures: u32,
    },
    /// Taking a file from a web server's socket, its SHA-256, and writing it
    Download {
        /// The server, such as 127.0.0.1:80
        address: String,
        /// The path of the file there
        path: String,
        /// The file to write
        to: PathBuf,
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
        Command::FirstRequest { command } => return first_request::measure(&command),
        Command::Signatures => signatures::measure()?,
        Command::Limit(Limit::Metadata { files }) => limits::metadata(&files)?,
        Command::Limit(Limit::Publish { files, signatures }) => {
            limits::publish(&files, signatures)?;
        }
        Command::Limit(Limit::Download { address, path, to }) => {
            limits::download(&address, &path, &to)?;
        }
        Command::Corpus {
            folder,
            targets,
            rotations,
            image,
            layout,
        } => corpus::make(&folder, targets, rotations, image.as_deref(), &layout)?,
    }
    Ok(ExitCode::SUCCESS)
}
