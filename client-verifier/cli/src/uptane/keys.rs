//! Keys out of `countersign-signing`, as an ECU wants them.

use countersign_client::uptane::keys::{EcuSigner, KeyError};
use countersign_encryption::{Decapsulate, DeviceError};
use countersign_metadata::Key;
use countersign_metadata::uptane::EncryptionKey;
use countersign_signing::{DecryptionKey, KeyUri, Secrets, Signer};
use countersign_verifier::Reject;
use zeroize::Zeroizing;

use crate::commands::usage;

/// Signs reports.
pub(super) struct ReportKey {
    signer: Box<dyn Signer>,
    key: Key,
}

/// Unwraps content keys.
pub(super) struct ImageKey(DecryptionKey);

impl ReportKey {
    pub(super) fn open(uri: &str, secrets: &Secrets) -> Result<Self, Reject> {
        let signer = countersign_signing::open(&parse(uri)?, secrets)
            .map_err(|error| usage(error.to_string()))?;
        let key = signer.key();
        Ok(Self { signer, key })
    }
}

impl ImageKey {
    pub(super) fn open(uri: &str, secrets: &Secrets) -> Result<Self, Reject> {
        let key = DecryptionKey::open(&parse(uri)?, secrets);
        Ok(Self(key.map_err(|error| usage(error.to_string()))?))
    }
}

fn parse(uri: &str) -> Result<KeyUri, Reject> {
    uri.parse().map_err(|error| usage(format!("{error}")))
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

impl Decapsulate for ImageKey {
    fn public_key(&self) -> &EncryptionKey {
        self.0.public_key()
    }

    fn agree(&self, peer: &EncryptionKey) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        Ok(self.0.agree(peer)?)
    }
}
