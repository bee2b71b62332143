//! Why a blob could not be kept or found.

use std::ops::Range;
use std::path::PathBuf;

use super::BlobName;

/// Why a blob could not be kept or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// A name that is none.
    #[error("a blob's name is its SHA-256 in 64 lower-case hexadecimal digits")]
    Name,
    /// Settings that cannot be.
    #[error("the settings of the image store are wrong: {0}")]
    Settings(String),
    /// A directory that is not there. It is not made: a disk that is not mounted is no empty store.
    #[error("the image directory {path} cannot be used: {source}; make it, or mount what it is on")]
    Directory {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A variable that has to be set is not.
    #[error("set {0} in the environment: the S3 credentials of the image store are nowhere else")]
    Credentials(&'static str),
    /// There is no such blob.
    #[error("there is no blob {0}")]
    Missing(BlobName),
    /// It ends before that.
    #[error("bytes {} to {} are asked of a blob of {length}", asked.start, asked.end)]
    Range {
        /// What was asked for.
        asked: Range<u64>,
        /// How many bytes there are.
        length: u64,
    },
    /// Other bytes than the name says.
    #[error("the bytes that came for {name} are {found}; send the image that was meant, all of it")]
    OtherContent {
        /// What was expected.
        name: BlobName,
        /// What came.
        found: BlobName,
    },
    /// The bytes did not come to their end.
    #[error("the bytes did not come to their end: {0}")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store fails, or cannot be reached.
    #[error("the image store fails: {0}")]
    Store(#[from] object_store::Error),
}

impl BlobError {
    /// What a store says of a blob.
    pub(super) fn of(name: &BlobName, error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Missing(name.clone()),
            error => Self::Store(error),
        }
    }
}
