//! Why the store could not be used.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why the store could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or directory could not be used.
    #[error("{}: cannot {action}: {source}{}", .path.display(), advice(.source))]
    Io {
        /// What was to be done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process uses this store.
    #[error(
        "{}: in use by {}; waited {} s for it to finish",
        .path.display(), holder_text(.holder), .waited.as_secs()
    )]
    Busy {
        /// The directory of the store.
        path: PathBuf,
        /// The process that holds it, as far as it is known.
        holder: Option<u32>,
        /// How long was waited.
        waited: Duration,
    },
    /// The role's name makes a file name that the file system cannot hold.
    #[error("{}: the role name is too long to be kept as a file ({length} bytes, 255 fit)", .path.display())]
    NameTooLong {
        /// The directory of the store.
        path: PathBuf,
        /// The length of the file name, in bytes.
        length: usize,
    },
    /// A store of the embedder's own failed.
    #[error("the store of the trusted metadata failed: {0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// What a store of the embedder's own says.
    pub fn other(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(why.into())
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| StoreError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// What to do about an error of the file system, where that is not in its text.
pub(crate) fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space and run it again, nothing was lost"
        }
        io::ErrorKind::ReadOnlyFilesystem => "; mount it writable or choose another directory",
        io::ErrorKind::PermissionDenied => "; check the owner and mode of this path",
        _ => "",
    }
}

fn holder_text(holder: &Option<u32>) -> String {
    holder.map_or_else(
        || "another process".to_owned(),
        |id| format!("process {id}"),
    )
}
