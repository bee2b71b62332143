//! What can be wrong with a metadata file, as facts.

use alloc::string::String;

use crate::header::RoleType;

/// Why a file is not what it should be. The verifier maps each to a stable refusal code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// Not JSON as this crate reads it.
    #[error("malformed metadata: {what} (byte {at})")]
    Malformed {
        /// What was expected or is not allowed.
        what: String,
        /// Offset in bytes.
        at: usize,
    },
    /// JSON, but not in the one form in which it can be read as it passes (see `stream`).
    #[error("metadata not in canonical form: {what} (byte {at})")]
    NotCanonical {
        /// What stands there in another form.
        what: &'static str,
        /// Offset in bytes.
        at: usize,
    },
    /// A part of a file that is read as it passes is longer than the device holds at a time.
    #[error("a part of the metadata has more than {bound} bytes, which are all that is held of it")]
    TooLarge {
        /// The most that one part may have, in bytes.
        bound: usize,
    },
    /// A field that is missing, of the wrong kind or outside its range.
    #[error("malformed metadata: {field}: {what}")]
    Field {
        /// Where, as a dotted path from `signed`, `signatures` or `key`.
        field: String,
        /// What is wrong with it.
        what: String,
    },
    /// `_type` names another role than the one that was asked for.
    #[error("wrong role type: expected {expected}, the file says \"{}\"", shown(.found))]
    WrongRoleType {
        /// The role that was asked for.
        expected: RoleType,
        /// What `_type` says.
        found: String,
    },
    /// `spec_version` is of a major version other than 1.
    #[error(
        "unsupported specification version \"{}\": this implementation reads major version 1", shown(.found)
    )]
    UnsupportedSpecVersion {
        /// What `spec_version` says.
        found: String,
    },
    /// Fewer unique keys signed than the role's threshold asks for.
    #[error("{}: {valid} of {threshold} required signatures are valid", shown(.role))]
    SignatureThreshold {
        /// The role whose keys were asked for.
        role: String,
        /// Unique public keys with a valid signature.
        valid: usize,
        /// Unique public keys required.
        threshold: u32,
    },
    /// A Root that does not carry the version right after the trusted one (TUF 5.3.5).
    #[error("root version {found} cannot follow version {trusted}: it must be the next one")]
    RootVersion {
        /// Version of the Root trusted so far.
        trusted: u64,
        /// Version that the new Root states.
        found: u64,
    },
}

impl MetadataError {
    pub(crate) fn malformed(at: usize, what: impl Into<String>) -> Self {
        Self::Malformed {
            what: what.into(),
            at,
        }
    }

    pub(crate) fn field(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Field {
            field: shown(&field.into()),
            what: what.into(),
        }
    }
}

/// More of a text out of a file than this, nobody reads.
const LONGEST: usize = 120;

/// The start of a text out of a file, as a fact.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// A text out of a file, fit for a terminal and a log line: no control or invisible characters.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for character in cut(text).chars() {
        match character {
            '"' | '\'' | '\\' => out.push(character),
            _ => out.extend(character.escape_debug()),
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_message_cannot_carry_terminal_commands_or_a_whole_file() {
        let name = "a\u{1b}[2J\u{202e}\nforged line ".repeat(1000);
        let errors = [
            MetadataError::field(name.as_str(), "is missing"),
            MetadataError::SignatureThreshold {
                role: name.clone(),
                valid: 0,
                threshold: 1,
            },
            MetadataError::WrongRoleType {
                expected: RoleType::Root,
                found: cut(&name),
            },
        ];
        for error in errors {
            let text = error.to_string();
            assert!(text.len() < 1500, "{text}");
            assert!(!text.contains(['\u{1b}', '\n', '\u{202e}']), "{text}");
        }
    }
}
