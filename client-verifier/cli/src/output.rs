//! The result, for people or for scripts.

use std::io::{self, Write};
use std::process::ExitCode;

use countersign_verifier::Reject;
use serde_json::json;

use crate::args::Format;

/// Prints the outcome; the exit status is 0 or 1.
pub(crate) fn show(format: Format, outcome: &Result<Vec<String>, Reject>) -> ExitCode {
    let printed = match (format, outcome) {
        (Format::Text, Ok(lines)) => lines
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

fn object(outcome: &Result<Vec<String>, Reject>) -> serde_json::Value {
    match outcome {
        Ok(lines) => json!({
            "ok": true, "code": 0, "name": "ok", "attack": "none",
            "role": "", "repository": "", "message": lines.join("\n"),
        }),
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
