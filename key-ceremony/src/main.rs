//! `key-ceremony`: ceremonies, drills and the device PKI from the command line.
#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
