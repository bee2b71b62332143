//! A vehicle that talks to a Director's service over the network: with a client certificate for its
//! Primary, once it is registered there.

mod register;
mod request;

use std::path::{Path, PathBuf};

use countersign_client::fetch::{HttpFetcher, Patience, TlsIdentity, TlsRoots, UrlFetcher};
use countersign_client::uptane::primary::HttpDirector;
use countersign_metadata::uptane::Mapping;
use countersign_signing::Secrets;

use crate::error::SimError;
use crate::vehicle::{Vehicle, read_mapping};

pub use register::{Registered, register};
pub use request::{TLS_KEY, TlsRequest, request_certificate};

/// By what a vehicle is known to the Director, and the Director to it. All are PEM files.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The Primary's certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities that may vouch for servers; Mozilla's if none are given.
    pub authorities: Option<PathBuf>,
}

/// A vehicle on the network.
pub type OnlineVehicle = Vehicle<UrlFetcher, HttpDirector>;

impl Credentials {
    /// A connection that shows the certificate.
    ///
    /// # Errors
    /// [`SimError::Fetch`] if a file is missing or cannot be used.
    pub fn connect(&self) -> Result<HttpFetcher, SimError> {
        let identity = TlsIdentity::from_pem_files(&self.certificate, &self.key)?;
        let roots = match &self.authorities {
            Some(path) => TlsRoots::from_pem_file(path)?,
            None => TlsRoots::mozilla(),
        };
        let patience = Patience::default();
        Ok(HttpFetcher::with_identity(patience, roots, identity))
    }
}

impl OnlineVehicle {
    /// Starts the vehicle in `folder`, which talks to the Director's service below `director_url`.
    ///
    /// # Errors
    /// [`SimError`]
    pub fn online(
        folder: &Path,
        credentials: &Credentials,
        director_url: &str,
        secrets: &Secrets,
    ) -> Result<Self, SimError> {
        let director = HttpDirector::new(credentials.connect()?, director_url)?;
        let fetcher = UrlFetcher::new(credentials.connect()?);
        Self::open(folder, fetcher, director, secrets)
    }
}

/// Where a vehicle finds its Director: the first address in its mapping file.
///
/// # Errors
/// [`SimError::Plan`] if there is none; [`SimError::Io`], [`SimError::Metadata`]
pub fn director_url(folder: &Path) -> Result<String, SimError> {
    let mapping = read_mapping(folder)?;
    let first = mapping.urls(Mapping::DIRECTOR).first().cloned();
    first.ok_or_else(|| SimError::Plan {
        detail: "its mapping file has no address of a Director; say where it is".into(),
    })
}
