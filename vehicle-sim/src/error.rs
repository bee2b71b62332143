//! Why a simulated vehicle cannot be made or run.

use std::io;
use std::path::{Path, PathBuf};

use countersign_client::client::ClientError;
use countersign_client::fetch::FetchError;
use countersign_client::install::InstallError;
use countersign_client::store::StoreError;
use countersign_client::uptane::bundle::BundleError;
use countersign_client::uptane::primary::{PrimaryError, RecordError};
use countersign_client::uptane::state::StateError;
use countersign_director_domain::registration::BodyError;
use countersign_encryption::EncryptionError;
use countersign_metadata::uptane::Vin;
use countersign_metadata::{MetadataError, UnsafePath};
use countersign_signing::SignError;
use countersign_verifier::Reject;

use crate::director::{DirectorError, ManifestRefusal, RegisterError};

/// Why a simulated vehicle cannot be made or run. What it refuses is no error but what it is for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// There is no vehicle.
    #[error("{}: there is no vehicle; make one with provision", .folder.display())]
    NoVehicle {
        /// Where one was looked for.
        folder: PathBuf,
    },
    /// There is a vehicle already.
    #[error("{}: there is a vehicle already; take an empty folder", .folder.display())]
    AlreadyThere {
        /// Where.
        folder: PathBuf,
    },
    /// A vehicle cannot be like that.
    #[error("no vehicle can be like that: {detail}")]
    Plan {
        /// What is wrong.
        detail: String,
    },
    /// A file cannot be read or written.
    #[error("{}: cannot {action}: {source}", .path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A key cannot be made or used.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The first metadata cannot be used or stored.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An ECU's record failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// Slots failed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The Primary's record failed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file that was carried to a vehicle is no offline bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A Primary cannot work.
    #[error(transparent)]
    Primary(#[from] PrimaryError),
    /// An ECU cannot start.
    #[error(transparent)]
    Ecu(#[from] Reject),
    /// The mapping file or an image's name cannot be used.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// A vehicle cannot be registered.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// A manifest that was accepted before is not accepted again.
    #[error("the last manifest of {vin} cannot be read back: {refusal}")]
    Manifest {
        /// The vehicle.
        vin: Vin,
        /// Why not.
        refusal: ManifestRefusal,
    },
    /// A server cannot be reached, refuses, or a file for TLS cannot be used.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The Director answers with a status that means nothing here.
    #[error("{url}: the Director answered {status}, which is none of its answers; is it one?")]
    Unexpected {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The Director's challenge cannot be read.
    #[error("the Director's challenge cannot be read: {0}")]
    Registration(#[from] BodyError),
    /// An ECU cannot unwrap what was wrapped to it.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// The Primary's TLS key cannot be made, read or used.
    #[error("{}: {detail}; move it away to have another one made", .path.display())]
    TlsKey {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The director does not do it.
    #[error(transparent)]
    Director(#[from] DirectorError),
}

impl From<UnsafePath> for SimError {
    fn from(error: UnsafePath) -> Self {
        Self::Director(error.into())
    }
}

impl SimError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.into(),
            source,
        }
    }
}
