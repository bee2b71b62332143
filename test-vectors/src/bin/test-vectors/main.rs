//! `test-vectors`: makes the vectors, runs them against a client, and tells what they cover.

mod cli;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Cli::parse();
    match cli::run(&arguments) {
        Ok(report) => {
            // A reader that went away, such as `head`, is no reason to complain.
            let _ = std::io::stdout().write_all(report.text.as_bytes());
            ExitCode::from(u8::from(!report.good))
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "test-vectors: {error}");
            ExitCode::from(2)
        }
    }
}
