//! The key of a CA, as the certificate library wants it.

use std::sync::Mutex;

use countersign_metadata::PublicKey;
use countersign_signing::{KeyUri, Secrets, SignError, Signer, open};
use rcgen::{
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PublicKeyData,
    SignatureAlgorithm, SigningKey,
};

use crate::CeremonyError;

use super::error::PkiError;

/// Signs certificates with a key that stays in its token.
#[derive(Debug)]
pub(crate) struct CaKey {
    signer: Box<dyn Signer>,
    public: Vec<u8>,
    algorithm: &'static SignatureAlgorithm,
    /// What the token said; the library's own error has no room for it.
    failure: Mutex<Option<SignError>>,
}

impl CaKey {
    /// Opens a key of a kind that can sign certificates. TUF's RSA keys sign RSASSA-PSS, which
    /// rcgen cannot state in a certificate.
    pub(crate) fn open(uri: &str, secrets: &Secrets) -> Result<Self, CeremonyError> {
        let parsed: KeyUri = uri.parse().map_err(SignError::Uri)?;
        let signer = open(&parsed, secrets)?;
        let (public, algorithm) = match signer.public_key() {
            PublicKey::Ed25519(key) => (key.to_vec(), &PKCS_ED25519),
            PublicKey::EcdsaP256(point) => (point.to_vec(), &PKCS_ECDSA_P256_SHA256),
            PublicKey::EcdsaP384(point) => (point.to_vec(), &PKCS_ECDSA_P384_SHA384),
            other => {
                let kind = other.scheme().name().to_owned();
                return Err(PkiError::CaKeyKind(kind).into());
            }
        };
        Ok(Self {
            signer,
            public,
            algorithm,
            failure: Mutex::new(None),
        })
    }

    pub(crate) fn signer(&self) -> &dyn Signer {
        &*self.signer
    }

    /// Runs what signs with this key; a failure of the token comes out as such.
    pub(crate) fn run<T>(
        &self,
        sign: impl FnOnce(&Self) -> Result<T, rcgen::Error>,
    ) -> Result<T, CeremonyError> {
        sign(self).map_err(|error| {
            let failure = self.failure.lock().ok().and_then(|mut slot| slot.take());
            match failure {
                Some(failure) => failure.into(),
                None => encode(&error).into(),
            }
        })
    }
}

pub(crate) fn encode(error: &rcgen::Error) -> PkiError {
    PkiError::Encode(error.to_string())
}

impl PublicKeyData for CaKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl SigningKey for CaKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signer.sign(message).map_err(|error| {
            if let Ok(mut slot) = self.failure.lock() {
                *slot = Some(error);
            }
            rcgen::Error::RemoteKeyError
        })
    }
}
