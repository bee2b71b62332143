//! Why an ECU's record could not be used.

use std::path::PathBuf;

use crate::store::StoreError;

/// Why an ECU's record could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// There is no record. It is never made up: the floors in it are what stops a rollback.
    #[error(
        "{}: this ECU has no record; provision it, or bring the record back from a backup",
        .path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// There is a record that cannot be read. It is never replaced by an empty one.
    #[error(
        "{}: the record of this ECU is damaged: {detail}; bring it back from a backup, or have \
         the ECU provisioned again",
        .path.display()
    )]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The record would be larger than can be read back.
    #[error("{}: the record would have {length} bytes; nothing was changed", .path.display())]
    TooLarge {
        /// Where it is.
        path: PathBuf,
        /// In bytes.
        length: usize,
    },
    /// The ECU is provisioned already.
    #[error("{}: this ECU has a record already; move it away to provision it again", .path.display())]
    AlreadyThere {
        /// Where it is.
        path: PathBuf,
    },
    /// A step that does not follow from the record.
    #[error("{what}; this is a defect of the caller")]
    OutOfOrder {
        /// What was tried.
        what: &'static str,
    },
    /// There is no higher report counter.
    #[error("the report counter is used up; have the ECU replaced")]
    CountersUsedUp,
    /// The file could not be read, written or locked.
    #[error(transparent)]
    Store(#[from] StoreError),
}
