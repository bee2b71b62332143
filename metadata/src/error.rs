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
    /// A field that is missing, of the wrong kind or outside its range.
    #[error("malformed metadata: {field}: {what}")]
    Field {
        /// Where, as a dotted path from `signed`, `signatures` or `key`.
        field: String,
        /// What is wrong with it.
        what: String,
    },
    /// `_type` names another role than the one that was asked for.
    #[error("wrong role type: expected {expected}, the file says {found:?}")]
    WrongRoleType {
        /// The role that was asked for.
        expected: RoleType,
        /// What `_type` says.
        found: String,
    },
    /// `spec_version` is of a major version other than 1.
    #[error(
        "unsupported specification version {found:?}: this implementation reads major version 1"
    )]
    UnsupportedSpecVersion {
        /// What `spec_version` says.
        found: String,
    },
    /// Fewer unique keys signed than the role's threshold asks for.
    #[error("{role}: {valid} of {threshold} required signatures are valid")]
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
            field: field.into(),
            what: what.into(),
        }
    }
}
