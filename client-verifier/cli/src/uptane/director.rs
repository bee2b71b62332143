//! The Director's service as files: what is sent to it is left in the state directory, and what it
//! attests comes as a file.

use std::fs;
use std::path::PathBuf;

use countersign_client::fetch::FetchError;
use countersign_client::uptane::link::{Answer, LinkError, Request, SecondaryLink, Source};
use countersign_client::uptane::primary::DirectorLink;
use countersign_metadata::uptane::Nonce;

/// Where its files are.
pub(super) struct FileDirector {
    pub(super) manifest: PathBuf,
    pub(super) attestation: Option<Vec<u8>>,
}

impl DirectorLink for FileDirector {
    fn put_manifest(&mut self, manifest: &[u8]) -> Result<(), FetchError> {
        fs::write(&self.manifest, manifest).map_err(|error| FetchError::Disconnected {
            url: self.manifest.display().to_string(),
            detail: error.to_string(),
        })?;
        // Whoever takes it from there has not got it yet: nothing is acknowledged.
        Err(FetchError::Disconnected {
            url: self.manifest.display().to_string(),
            detail: "left for somebody to send".into(),
        })
    }

    fn attest(&mut self, _: &[Nonce]) -> Result<Option<Vec<u8>>, FetchError> {
        Ok(self.attestation.clone())
    }
}

/// An ECU that this command cannot reach.
pub(super) struct Absent;

impl SecondaryLink for Absent {
    fn call(&mut self, _: Request, _: &mut dyn Source) -> Result<Answer, LinkError> {
        Err(LinkError::Io(std::io::ErrorKind::NotConnected.into()))
    }
}
