//! Target files: streamed to disk while they are checked, visible only when proven.
//!
//! An unfinished download lies in a directory of its own, beside the trusted metadata and not
//! among the targets, so that nothing unproven is ever visible in the targets' directory, even
//! after a power cut. It gets its final name by a rename, after every hash and the length held.
//!
//! [`Transfer`] has the rules, and asks nothing of the network; [`download`] drives one with a
//! blocking fetcher, and `countersign-tokio` with an asynchronous one.

mod download;
mod error;
mod partial;
mod target_dir;
mod transfer;

pub use download::download;
pub use error::{DownloadError, FilesError};
pub use target_dir::TargetDir;
pub use transfer::{Begun, Downloaded, Need, Transfer, Wanted};

/// Decides about the bytes of one target file as they come, in order and from the first.
///
/// The verifier's image check is one; this crate only feeds it.
pub trait ImageCheck {
    /// What stands for the proven file.
    type Proof;
    /// Why the bytes are refused.
    type Refusal;

    /// Takes the next bytes.
    ///
    /// # Errors
    /// If no file that goes on like this can be the right one.
    fn update(&mut self, bytes: &[u8]) -> Result<(), Self::Refusal>;

    /// The file is complete.
    ///
    /// # Errors
    /// If it is not the right one.
    fn finish(self) -> Result<Self::Proof, Self::Refusal>;
}

/// Bytes in memory of any file, whatever its size.
const CHUNK: usize = 64 * 1024;
