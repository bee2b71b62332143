//! Why a target file could not be had.

use std::io;
use std::path::{Path, PathBuf};

use crate::fetch::FetchError;

/// Why a file could not be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The target's name cannot be a path below the directory.
    #[error("target {name:?} cannot be a local file: {why}")]
    UnsafeName {
        /// The target's name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Something else stands where the file has to go.
    #[error("{}: {why}; move it away", .path.display())]
    Obstructed {
        /// Where.
        path: PathBuf,
        /// What stands there.
        why: &'static str,
    },
    /// The file system failed.
    #[error("{}: cannot {action}: {source}{}", .path.display(), crate::store::advice(.source))]
    Io {
        /// What was to be done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl FilesError {
    pub(crate) fn io<E: Into<io::Error>>(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Self {
        move |source| FilesError::Io {
            action,
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

/// Why a download ended without the file; `R` is the check's refusal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError<R> {
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It could not be kept.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// It was fetched and is not the right file.
    #[error("{0}")]
    Refused(R),
}
