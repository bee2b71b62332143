//! The result, for people or for scripts.

use std::io::{self, Write};
use std::process::ExitCode;

use countersign_verifier::Reject;
use serde_json::json;

use crate::args::Format;

/// What a command that succeeded says.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// For people.
    pub(crate) lines: Vec<String>,
    /// What the Uptane commands found, for scripts.
    pub(crate) details: Option<serde_json::Value>,
}

impl Done {
    pub(crate) fn line(line: String) -> Self {
        Self::from(vec![line])
    }
}

impl From<Vec<String>> for Done {
    fn from(lines: Vec<String>) -> Self {
        Self {
            lines,
            details: None,
        }
    }
}

/// Prints the outcome; the exit status is 0 or 1.
pub(crate) fn show(format: Format, outcome: &Result<Done, Reject>) -> ExitCode {
    let printed = match (format, outcome) {
        (Format::Text, Ok(done)) => done
            .lines
            .iter()
            .try_for_each(|line| writeln!(io::stdout(), "{line}")),
        (Format::Text, Err(reject)) => writeln!(io::stderr(), "client-verifier: refused: {reject}"),
        (Format::Json, outcome) => writeln!(io::stdout(), "{}", object(outcome)),
    };
    match (printed, outcome) {
        (Ok(()), Ok(_)) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn object(outcome: &Result<Done, Reject>) -> serde_json::Value {
    match outcome {
        Ok(done) => {
            let mut object = json!({
                "ok": true, "code": 0, "name": "ok", "attack": "none",
                "role": "", "repository": "", "message": done.lines.join("\n"),
            });
            if let Some(details) = &done.details {
                object["update"] = details.clone();
            }
            object
        }
        Err(reject) => json!({
            "ok": false,
            "code": reject.code.number(),
            "name": reject.code.name(),
            "attack": reject.attack().name(),
            "role": reject.role,
            "repository": reject.repository,
            "message": reject.to_string(),
        }),
    }
}
