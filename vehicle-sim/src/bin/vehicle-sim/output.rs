//! The result, for people or for scripts.

use std::io::{self, Write};
use std::process::ExitCode;

use countersign_vehicle_sim::SimError;
use serde_json::{Value, json};

use crate::args::Format;

/// What a command has come to.
#[derive(Debug)]
pub(crate) struct Done {
    /// Whether everything is as it should be.
    pub(crate) ok: bool,
    /// For people.
    pub(crate) lines: Vec<String>,
    /// For scripts.
    pub(crate) details: Value,
}

impl Done {
    pub(crate) fn line(line: String) -> Self {
        Self {
            ok: true,
            lines: vec![line],
            details: json!({}),
        }
    }
}

/// Prints the outcome; the exit status is 0 or 1.
pub(crate) fn show(format: Format, outcome: Result<Done, SimError>) -> ExitCode {
    let (ok, lines, mut details) = match outcome {
        Ok(done) => (done.ok, done.lines, done.details),
        Err(error) => (false, vec![format!("vehicle-sim: {error}")], json!({})),
    };
    let printed = match format {
        Format::Json => {
            details["ok"] = ok.into();
            details["message"] = lines.join("\n").into();
            writeln!(io::stdout(), "{details}")
        }
        Format::Text if ok => lines
            .iter()
            .try_for_each(|line| writeln!(io::stdout(), "{line}")),
        Format::Text => lines
            .iter()
            .try_for_each(|line| writeln!(io::stderr(), "{line}")),
    };
    match printed {
        Ok(()) if ok => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
