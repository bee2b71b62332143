//! Results as text for people, and as one JSON object for scripts.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// One JSON object on standard output, errors too
    Json,
}

/// What a command that succeeded says.
#[derive(Debug)]
pub(super) struct Done {
    text: String,
    json: Option<Value>,
}

/// Why a command failed.
#[derive(Debug)]
pub(super) struct Failure {
    name: Cow<'static, str>,
    message: String,
    json: Option<Value>,
}

impl Done {
    /// A text, and an object without `ok`.
    pub(super) fn new(text: impl Into<String>, json: Value) -> Self {
        Self {
            text: text.into(),
            json: Some(json),
        }
    }

    /// Everything was said already.
    pub(super) fn silent() -> Self {
        Self {
            text: String::new(),
            json: None,
        }
    }
}

impl Failure {
    /// A failure with its stable name.
    pub(super) fn new(name: impl Into<Cow<'static, str>>, message: impl Display) -> Self {
        Self {
            name: name.into(),
            message: message.to_string(),
            json: None,
        }
    }

    /// With what scripts may want to know of it.
    pub(super) fn with(self, json: Value) -> Self {
        Self {
            json: Some(json),
            ..self
        }
    }
}

/// Prints the outcome; the exit status is 0 or 1.
pub(super) fn show(format: Format, outcome: Result<Done, Failure>) -> ExitCode {
    let printed = match (format, &outcome) {
        (_, Ok(Done { json: None, .. })) => Ok(()),
        (Format::Text, Ok(done)) => writeln!(io::stdout(), "{}", done.text),
        (Format::Text, Err(failure)) => writeln!(io::stderr(), "director: {}", failure.message),
        (Format::Json, Ok(done)) => {
            let object = with(json!({ "ok": true }), done.json.as_ref());
            writeln!(io::stdout(), "{object}")
        }
        (Format::Json, Err(failure)) => {
            let Failure { name, message, .. } = failure;
            let object = json!({ "ok": false, "name": name, "message": message });
            writeln!(io::stdout(), "{}", with(object, failure.json.as_ref()))
        }
    };
    match (printed, outcome) {
        (Ok(()), Ok(_)) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn with(mut object: Value, further: Option<&Value>) -> Value {
    if let (Some(members), Some(Value::Object(further))) = (object.as_object_mut(), further) {
        for (name, value) in further {
            members.entry(name).or_insert_with(|| value.clone());
        }
    }
    object
}
