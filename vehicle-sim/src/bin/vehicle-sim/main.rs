//! `vehicle-sim`: vehicles with real keys and files, and a director for them.

mod args;
mod commands;
mod online;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    let format = arguments.format;
    output::show(format, commands::run(arguments))
}
