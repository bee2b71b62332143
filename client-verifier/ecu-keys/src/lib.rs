#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use countersign_client::uptane::keys::{EcuSigner, KeyError};
use countersign_encryption::{Decapsulate, DeviceError};
use countersign_metadata::Key;
use countersign_metadata::uptane::EncryptionKey;
use countersign_signing::{DecryptionKey, Signer};
use zeroize::Zeroizing;

/// A key that signs reports and manifests. A Primary uses one for both.
#[derive(Debug, Clone)]
pub struct ReportKey {
    signer: Arc<dyn Signer>,
    key: Key,
}

impl ReportKey {
    /// The key behind `signer`.
    pub fn new(signer: Box<dyn Signer>) -> Self {
        Self {
            key: signer.key(),
            signer: signer.into(),
        }
    }
}

impl EcuSigner for ReportKey {
    fn key(&self) -> &Key {
        &self.key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.signer.sign(message);
        signature.map_err(|error| KeyError(error.to_string()))
    }
}

/// A key that content keys are wrapped to.
pub struct ImageKey(pub DecryptionKey);

impl fmt::Debug for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Decapsulate for ImageKey {
    fn public_key(&self) -> &EncryptionKey {
        self.0.public_key()
    }

    fn agree(&self, peer: &EncryptionKey) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        Ok(self.0.agree(peer)?)
    }
}
