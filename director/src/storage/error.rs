//! Why something could not be stored or found.

use countersign_director_domain::RecordError;
use countersign_metadata::uptane::{EcuSerial, Vin};
use countersign_metadata::{MetadataError, TargetPath};

/// Why something could not be stored or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// An address that is none.
    #[error("the database URL has to begin with sqlite: or postgres:")]
    Url,
    /// A vehicle that cannot be like that.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// It is there already.
    #[error("vehicle {0} is registered already; what is known of it is not changed this way")]
    KnownVehicle(Vin),
    /// One of its ECUs is there already.
    #[error("ECU {0} is registered already, in this vehicle or another one")]
    KnownEcu(EcuSerial),
    /// A key that another ECU has.
    #[error("the signing key of ECU {0} is another ECU's too; every ECU needs its own")]
    SharedKey(EcuSerial),
    /// A row that cannot be read back.
    #[error("the database is damaged: {0}; put a backup in its place")]
    Damaged(#[from] MetadataError),
    /// The same of its own notes.
    #[error("the database is damaged: {0}; put a backup in its place")]
    Unreadable(String),
    /// The engine fails, or cannot be reached.
    #[error("the database fails: {0}")]
    Engine(#[from] sqlx::Error),
    /// Its tables cannot be brought up to date.
    #[error("the tables of the database cannot be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// An image without the hash that this service names images by.
    #[error("the Image repository lists no SHA-256 for {0}; add it there")]
    NoSha256(TargetPath),
    /// A backup of a database that has means of its own.
    #[error(
        "a PostgreSQL database is backed up by pg_dump or by its own archive; see docs/operator.md"
    )]
    BackupByPostgres,
    /// This process is shutting down.
    #[error("the director is shutting down")]
    Closing,
}
