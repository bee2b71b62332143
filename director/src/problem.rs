//! Why something was not done, as it is told to whoever asked.

use countersign_director_domain::manifest::ManifestRefusal;
use countersign_director_domain::plan::NoPlan;
use countersign_director_domain::registration::{BodyError, ProofError};
use countersign_director_domain::{DirectorError, RecordError};
use countersign_encryption::EncryptionError;
use countersign_metadata::MetadataError;
use countersign_signing::SignError;

use crate::blobs::BlobError;
use crate::storage::StorageError;

/// Why something was not done. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// Whose fault it is.
    pub kind: Kind,
    /// The stable name of the reason, for scripts.
    pub code: &'static str,
    /// For people: what is wrong and what to do.
    pub message: String,
}

/// Whose fault it is, and whether it helps to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request is wrong, and will be wrong again.
    Wrong,
    /// Whoever asks has to say who it is.
    Unauthenticated,
    /// Whoever asks may not do that.
    Forbidden,
    /// There is no such thing.
    Missing,
    /// It contradicts what is there.
    Conflict,
    /// It is too large.
    TooLarge,
    /// It cannot be done now; ask again later.
    Unavailable,
    /// Something here is broken.
    Internal,
}

impl Problem {
    /// A reason with its stable name.
    pub fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
        }
    }

    /// There is no such thing.
    pub fn missing(what: impl std::fmt::Display) -> Self {
        Self::new(Kind::Missing, "not-found", format!("there is no {what}"))
    }

    /// A request that says something wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Kind::Wrong, "bad-request", message)
    }

    /// Nothing can be signed now.
    pub fn signing(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, "signing-unavailable", message)
    }

    /// Nothing can be done now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, "unavailable", message)
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        let (kind, code) = match &error {
            StorageError::Record(_) => (Kind::Wrong, "bad-request"),
            StorageError::KnownVehicle(_) => (Kind::Conflict, "vehicle-known"),
            StorageError::KnownEcu(_) => (Kind::Conflict, "ecu-known"),
            StorageError::SharedKey(_) => (Kind::Conflict, "key-shared"),
            StorageError::NoSha256(_) => (Kind::Conflict, "no-sha256"),
            StorageError::Engine(_) | StorageError::Closing => (Kind::Unavailable, "unavailable"),
            _ => (Kind::Internal, "internal"),
        };
        // What the engine says is for the log: it may name hosts and users.
        let message = match &error {
            StorageError::Engine(cause) => {
                tracing::error!(error = %cause, "the database fails");
                "the director's database cannot be reached now".into()
            }
            other => other.to_string(),
        };
        Self::new(kind, code, message)
    }
}

impl From<ManifestRefusal> for Problem {
    fn from(refusal: ManifestRefusal) -> Self {
        let kind = match refusal {
            ManifestRefusal::TooLarge(_) => Kind::TooLarge,
            ManifestRefusal::UnknownVehicle(_) => Kind::Missing,
            _ => Kind::Wrong,
        };
        Self::new(kind, refusal.name(), refusal.to_string())
    }
}

impl From<DirectorError> for Problem {
    fn from(error: DirectorError) -> Self {
        let (kind, code) = match &error {
            DirectorError::UnknownVehicle(_) => (Kind::Missing, "vehicle-unknown"),
            DirectorError::UnknownEcu { .. } => (Kind::Missing, "ecu-unknown"),
            DirectorError::UnknownImage(_) => (Kind::Missing, "image-unknown"),
            DirectorError::Hardware { .. } => (Kind::Conflict, "hardware-mismatch"),
            DirectorError::OlderThanInstalled { .. } => (Kind::Conflict, "older-than-installed"),
            DirectorError::NotEncrypted(_) => (Kind::Conflict, "not-encrypted"),
            DirectorError::AlreadyEncrypted(_) => (Kind::Conflict, "already-encrypted"),
            DirectorError::NoEncryptionKey { .. } => (Kind::Conflict, "no-encryption-key"),
            DirectorError::OtherImage(_) => (Kind::Wrong, "other-image"),
            DirectorError::Superseded(_) => (Kind::Conflict, "superseded"),
            DirectorError::Sign(_) | DirectorError::Time => {
                (Kind::Unavailable, "signing-unavailable")
            }
            _ => (Kind::Internal, "internal"),
        };
        Self::new(kind, code, error.to_string())
    }
}

impl From<SignError> for Problem {
    fn from(error: SignError) -> Self {
        tracing::error!(%error, "a key fails");
        Self::signing("a key of the director cannot sign now")
    }
}

impl From<NoPlan> for Problem {
    fn from(error: NoPlan) -> Self {
        Self::new(Kind::Conflict, "no-plan", error.to_string())
    }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<ProofError> for Problem {
    fn from(error: ProofError) -> Self {
        Self::new(Kind::Wrong, "proof-wrong", error.to_string())
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Missing(_) => Self::missing("such image here"),
            error => {
                tracing::error!(%error, "the store of images fails");
                Self::unavailable("the director's store of images cannot be reached now")
            }
        }
    }
}

impl From<MetadataError> for Problem {
    fn from(error: MetadataError) -> Self {
        Self::new(Kind::Internal, "internal", error.to_string())
    }
}

impl From<EncryptionError> for Problem {
    fn from(error: EncryptionError) -> Self {
        tracing::error!(%error, "encryption fails");
        Self::new(Kind::Internal, "internal", "a content key cannot be used")
    }
}
