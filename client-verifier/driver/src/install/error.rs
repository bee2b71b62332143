//! Why an image could not be installed.

use std::io;
use std::path::{Path, PathBuf};

use countersign_verifier::{Code, Reject};

use crate::store::StoreError;

/// Why an image could not be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The bytes are not the image, or the metadata that names it has expired.
    #[error(transparent)]
    Refused(#[from] Reject),
    /// The bytes could not be read from where they come from.
    #[error("the image could not be read to its end: {0}")]
    Source(#[source] io::Error),
    /// What was to be activated is not what is staged.
    #[error("{what} is not staged here; stage it, or check it again after a restart")]
    NotStaged {
        /// The image.
        what: String,
    },
    /// The last image is still on trial, and the one before it is still needed.
    #[error("the active image is on trial; confirm it or roll it back first")]
    OnTrial,
    /// There is no trial to end.
    #[error("no image is on trial")]
    NotOnTrial,
    /// The image does not fit.
    #[error("{}: {needed} bytes are needed and {free} are free; make room", .path.display())]
    NoSpace {
        /// Where.
        path: PathBuf,
        /// The image's length in bytes.
        needed: u64,
        /// What is free, in bytes, counting what the image would replace.
        free: u64,
    },
    /// Something is not as this installer leaves it.
    #[error("{}: {why}; provision the slots again", .path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// Another process uses the slots, or they cannot be locked.
    #[error(transparent)]
    Lock(#[from] StoreError),
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

impl InstallError {
    /// The error as a refusal with a stable code, for reports.
    pub fn to_reject(&self) -> Reject {
        let code = match self {
            Self::Refused(reject) => return reject.clone(),
            Self::Source(_) => Code::FetchFailed,
            Self::OnTrial | Self::NoSpace { .. } => Code::PreconditionFailed,
            _ => Code::InstallFailed,
        };
        Reject::new(code, "", self.to_string())
    }

    pub(super) fn io<E: Into<io::Error>>(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source: source.into(),
        }
    }
}
