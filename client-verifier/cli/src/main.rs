//! `client-verifier`: follows a TUF repository and downloads images from it.

mod args;
mod commands;
mod output;
mod progress;
mod uptane;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match args::parse() {
        Ok(arguments) => arguments,
        Err(answer) => return answer,
    };
    let format = arguments.format;
    let outcome = commands::run(arguments);
    output::show(format, &outcome)
}
