//! The RustCrypto back end: Ed25519 and, with the features of these names, P-256 and P-384. Other keys are treated as
//! keys of an unknown type here: they count nothing, so a repository that needs them is refused, never accepted.

#[cfg(feature = "p384")]
use sha2::Sha384;
use sha2::{Digest, Sha256, Sha512};

#[cfg(any(feature = "p256", feature = "p384"))]
use crate::curve;
use crate::ed25519;
use crate::key::PublicKey;

pub(super) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

pub(super) fn sha512(data: &[u8]) -> [u8; 64] {
    Sha512::digest(data).into()
}

pub(super) fn verify(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    match key {
        PublicKey::Ed25519(point) => {
            ed25519::start(point, signature).is_some_and(|mut verifier| {
                verifier.update(message);
                ed25519::finish(verifier)
            })
        }
        #[cfg(feature = "p256")]
        PublicKey::EcdsaP256(point) => curve::p256::signature(signature)
            .is_some_and(|signature| curve::p256::verify(point, &sha256(message), &signature)),
        #[cfg(feature = "p384")]
        PublicKey::EcdsaP384(point) => curve::p384::signature(signature).is_some_and(|signature| {
            curve::p384::verify(point, &Sha384::digest(message), &signature)
        }),
        _ => false,
    }
}
