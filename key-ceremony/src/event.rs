//! What happens in a ceremony, one line of the transcript each.

use countersign_metadata::{UtcTime, json, sha256};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::policy::Finding;
use crate::profile::{Accepted, is_plain};
use crate::statement::{SignedStatement, canonical_json};

/// One line of a transcript: canonical JSON, bound to the line before it by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Counted from 1.
    pub line: u64,
    /// SHA-256 of the line before, in hexadecimal, without its line feed; zeros in the first.
    pub previous: String,
    /// The clock of the machine that holds the transcript.
    pub time: String,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The ceremony began. The hash of this line is the ceremony's id.
    Planned {
        /// 32 random bytes in hexadecimal: no two ceremonies have one id.
        nonce: String,
        /// The profile's text.
        profile: String,
        /// The Root that is to be followed.
        previous: Option<Attachment>,
        /// What the policy said.
        findings: Vec<Finding>,
        /// What of it was accepted.
        accepted: Vec<Accepted>,
        /// The version of this software.
        software: String,
    },
    /// A holder proved possession of a key.
    Proved {
        /// [`Statement::Possession`](crate::statement::Statement::Possession)
        proof: SignedStatement,
        /// What the policy said.
        findings: Vec<Finding>,
        /// What of it was accepted when the proof was taken in.
        accepted: Vec<Accepted>,
    },
    /// The next Root was drawn up and confirmed.
    Reviewed {
        /// Its canonical payload.
        payload: String,
        /// The payload's fingerprint in words.
        words: String,
        /// What the policy said.
        findings: Vec<Finding>,
        /// What of it was accepted.
        accepted: Vec<Accepted>,
        /// What was typed to confirm it.
        confirmed: String,
    },
    /// A holder signed it.
    Signed {
        /// The key's id.
        keyid: String,
        /// The signature on the payload, in hexadecimal.
        sig: String,
        /// [`Statement::RootSignature`](crate::statement::Statement::RootSignature)
        statement: SignedStatement,
    },
    /// The thresholds were reached and the Root file was written.
    Sealed {
        /// The new Root.
        root: Attachment,
        /// [`Statement::Seal`](crate::statement::Statement::Seal), by participants.
        seals: Vec<SignedStatement>,
    },
}

/// A file beside the transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Its name in the ceremony's folder.
    pub name: String,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
}

impl Attachment {
    /// Names and hashes a file.
    pub fn new(name: impl Into<String>, content: &[u8]) -> Self {
        Self {
            name: name.into(),
            sha256: digest(content),
        }
    }
}

impl Line {
    /// The bytes of the line, without its line feed.
    pub fn to_text(&self) -> String {
        canonical_json(self)
    }

    /// Reads one line; the error says what is wrong with it. Any other spelling of the same
    /// content is refused, so that a changed byte is always found.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        json::parse(text).map_err(|error| error.to_string())?;
        let value: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        check_plain(&value)?;
        let line: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        match line.to_text().as_bytes() == text {
            true => Ok(line),
            false => Err("it is not in canonical form".into()),
        }
    }

    /// Its time.
    pub(crate) fn time(&self) -> Result<UtcTime, String> {
        self.time
            .parse()
            .map_err(|_| format!("{:?} is not a time", self.time))
    }
}

/// Texts that are never shown as they are: whole files, and keys in PEM.
const NOT_SHOWN: [&str; 5] = ["payload", "previous", "profile", "public", "transcript"];

/// Refuses texts that could make a terminal show something else than what is there.
pub(crate) fn check_plain(value: &Value) -> Result<(), String> {
    let fail = || {
        Err(
            "it has control or invisible characters in a text, which could forge what its reader \
             sees"
                .into(),
        )
    };
    match value {
        Value::String(text) if !is_plain(text) => fail(),
        Value::Array(items) => items.iter().try_for_each(check_plain),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| match value {
            _ if !is_plain(name) => fail(),
            Value::String(_) if NOT_SHOWN.contains(&name.as_str()) => Ok(()),
            value => check_plain(value),
        }),
        _ => Ok(()),
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(sha256(bytes))
}
