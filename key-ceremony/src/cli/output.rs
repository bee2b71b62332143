//! Results as text for people and as one JSON object for scripts. Whatever is in them, from a
//! stick, a token or a transcript, does not steer the terminal.

use std::io::Write;

use countersign_ceremony::CeremonyError;
use countersign_repo::visible;
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// One JSON object on standard output, errors too
    Json,
}

/// What a command has to say.
#[derive(Debug, Clone)]
pub(super) struct Report {
    text: String,
    json: Option<Value>,
    pub(super) exit_code: u8,
}

impl Report {
    /// A text without a newline at its end, and an object.
    pub(super) fn new(text: impl Into<String>, json: Value) -> Self {
        Self {
            text: text.into(),
            json: Some(json),
            exit_code: 0,
        }
    }

    /// Nothing more than what was printed already.
    pub(super) fn silent() -> Self {
        Self {
            text: String::new(),
            json: None,
            exit_code: 0,
        }
    }

    /// The same, below a further text and with the members of a further object.
    pub(super) fn below(self, text: &str, object: Value) -> Self {
        let mut json = self.json;
        if let (Some(Value::Object(members)), Value::Object(further)) = (&mut json, object) {
            members.extend(further);
        }
        Self {
            text: format!("{text}\n{}", self.text),
            json,
            ..self
        }
    }

    pub(super) fn with_exit_code(self, exit_code: u8) -> Self {
        Self { exit_code, ..self }
    }

    pub(super) fn print(&self, format: Format, quiet: bool) {
        match (format, &self.json) {
            (Format::Json, Some(Value::Object(members))) => {
                let mut members = members.clone();
                members.insert("ok".into(), (self.exit_code == 0).into());
                write_json(&Value::Object(members));
            }
            (Format::Text, _) if !quiet && !self.text.is_empty() => {
                write_stdout(format!("{}\n", visible::text(&self.text)).as_bytes());
            }
            _ => {}
        }
    }
}

pub(super) fn print_error(error: &CeremonyError, format: Format) {
    let object = json!({
        "ok": false,
        "name": error.name(),
        "exit_code": error.exit_code(),
        "message": error.to_string(),
    });
    match format {
        Format::Json => write_json(&object),
        Format::Text => {
            // A closed standard error leaves the exit code to tell.
            let text = visible::text(&error.to_string());
            let _ = writeln!(std::io::stderr(), "key-ceremony: {text}");
        }
    }
}

fn write_json(object: &Value) {
    write_stdout(format!("{}\n", visible::json(object)).as_bytes());
}

/// Writes to standard output. If its reader has gone, as in `key-ceremony ... | head`, there is
/// nobody to tell.
pub(super) fn write_stdout(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

/// `1 file`, `2 files`.
pub(super) fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}
