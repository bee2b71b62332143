//! The RustCrypto back end: Ed25519, P-256 and, with feature `p384`, P-384. RSA keys are treated as keys of an unknown
//! type here: they count nothing, so a repository that needs them is refused, never accepted.

use ed25519_dalek::VerifyingKey;
use p256::ecdsa::signature::Verifier as _;
use sha2::{Digest, Sha256, Sha512};

use crate::key::PublicKey;

pub(super) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

pub(super) fn sha512(data: &[u8]) -> [u8; 64] {
    Sha512::digest(data).into()
}

pub(super) fn verify(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    check(key, message, signature).is_some()
}

fn check(key: &PublicKey, message: &[u8], signature: &[u8]) -> Option<()> {
    match key {
        PublicKey::Ed25519(point) => {
            let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
            VerifyingKey::from_bytes(point)
                .ok()?
                .verify(message, &signature)
                .ok()
        }
        PublicKey::EcdsaP256(point) => {
            let signature = p256::ecdsa::Signature::from_der(signature).ok()?;
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
            key.verify(message, &signature).ok()
        }
        #[cfg(feature = "p384")]
        PublicKey::EcdsaP384(point) => {
            let signature = p384::ecdsa::Signature::from_der(signature).ok()?;
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
            key.verify(message, &signature).ok()
        }
        #[cfg(not(feature = "p384"))]
        PublicKey::EcdsaP384(_) => None,
        PublicKey::Rsa { .. } => None,
    }
}
