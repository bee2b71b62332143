//! What can go wrong in a ceremony, with the facts and what to do about it.

use std::io;
use std::path::PathBuf;

use countersign_repo::RepoError;
use countersign_signing::SignError;

use crate::drill::DrillError;
use crate::pki::PkiError;

/// Why a command was refused or failed. Each text says what happened and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CeremonyError {
    /// The command line or a setting makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// "read", "write"
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A key failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The repository refused.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The device PKI.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A drill.
    #[error(transparent)]
    Drill(#[from] DrillError),
}

impl CeremonyError {
    /// A stable name for scripts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Io { .. } => "io",
            Self::Sign(_) => "key",
            Self::Repo(error) => error.name(),
            Self::Pki(error) => error.name(),
            Self::Drill(error) => error.name(),
        }
    }

    /// 2 for wrong usage, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        Self::Io {
            doing,
            path,
            source,
        }
    }
}
