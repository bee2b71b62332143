//! Why a listener cannot be had, and why a client is refused.

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Why the files of a listener cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file with something else in it than it should have.
    #[error("{path}: {why}")]
    Content {
        /// Which one.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// An authority without a list.
    #[error(
        "every authority of devices needs a revocation list, and there has to be one authority; write \
         lists with 'key-ceremony pki crl'"
    )]
    NoList,
    /// A list that knows less than the one that is there.
    #[error(
        "a revocation list has a lower number than the one that is in force; put the newer one back"
    )]
    OlderList,
    /// The authorities and their lists do not make a verifier.
    #[error("the authorities of devices and their lists cannot be used: {0}")]
    Clients(String),
}

impl TlsError {
    pub(super) fn content(path: &Path, why: impl Display) -> Self {
        Self::Content {
            path: path.into(),
            why: why.to_string(),
        }
    }
}

/// Why a certificate does not say who speaks (docs/device-pki.md, "Who a device is").
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is none.
    #[error("the client has shown no certificate")]
    NoCertificate,
    /// It is not X.509 version 3, or has an extension twice.
    #[error("the client's certificate cannot be read")]
    Unreadable,
    /// A subject would be a second place for who it is.
    #[error("the client's certificate has a subject; it has to be empty")]
    Subject,
    /// Not the two names in their one spelling.
    #[error(
        "the client's certificate has to name exactly urn:countersign:vehicle:VIN and \
         urn:countersign:ecu:SERIAL, in a critical extension, in this order and spelling"
    )]
    Names,
    /// For something else than being a client.
    #[error("the client's certificate is not for clientAuth alone")]
    Usage,
    /// An authority is not a device.
    #[error("the client's certificate is that of an authority")]
    Authority,
}

/// Why a client's request is refused because of its certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It does not say who it is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its authority has revoked it.
    #[error("the client's certificate is revoked")]
    Revoked,
    /// It has ended.
    #[error("the client's certificate has ended")]
    Expired,
    /// Whether it is revoked cannot be said. That is not the client's fault.
    #[error("the revocation list is out of date; load a newer one")]
    ListExpired,
    /// Its authority is one no more, or something else is wrong with it.
    #[error("the client's certificate is not trusted: {0}")]
    Untrusted(String),
}
