//! The signatures that may count, checked over a payload that passes.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ed25519_dalek::StreamVerifier;
#[cfg(feature = "p384")]
use sha2::Sha384;
use sha2::{Digest, Sha256};

use crate::authority::Authority;
use crate::crypto;
#[cfg(any(feature = "p256", feature = "p384"))]
use crate::curve;
use crate::ed25519;
use crate::entries::{self, RawEntry};
use crate::error::MetadataError;
use crate::key::{KeyId, PublicKey};
use crate::limits::MAX_SIGNATURES;

/// What became of `signatures`, and the hashes of as much of the payload as has passed.
pub(super) struct Candidates {
    authority: Arc<Authority>,
    /// The start of SHA-256 of each key id. Who finds two ids that start alike makes a file
    /// that is refused.
    seen: Vec<[u8; 8]>,
    signatures: Vec<(KeyId, Check)>,
    sha256: Sha256,
    #[cfg(feature = "p384")]
    sha384: Option<Sha384>,
}

/// A signature by a key that the role lists.
enum Check {
    Ed25519(Box<StreamVerifier>),
    #[cfg(feature = "p256")]
    P256(curve::p256::Signature),
    #[cfg(feature = "p384")]
    P384(Box<curve::p384::Signature>),
}

impl core::fmt::Debug for Candidates {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let ids = self.signatures.iter().map(|(id, _)| id);
        f.debug_list().entries(ids).finish()
    }
}

impl Candidates {
    pub(super) fn new(authority: Arc<Authority>) -> Self {
        Self {
            authority,
            seen: Vec::new(),
            signatures: Vec::new(),
            sha256: Sha256::new(),
            #[cfg(feature = "p384")]
            sha384: None,
        }
    }

    /// Takes an entry of `signatures`. One by a key that is not the role's counts nothing, and so does
    /// one that is no signature; neither is an error.
    #[inline(never)]
    pub(super) fn add(&mut self, entry: RawEntry) -> Result<(), MetadataError> {
        if self.seen.len() == MAX_SIGNATURES {
            return Err(entries::too_many());
        }
        let digest = crypto::sha256(entry.keyid.as_str().as_bytes());
        let start = digest.first_chunk().copied().unwrap_or_default();
        if self.seen.contains(&start) {
            return Err(entries::stands_twice(&entry.keyid));
        }
        self.seen.push(start);
        let key = self.authority.key(&entry.keyid);
        if let Some((key, signature)) = key.zip(entry.signature)
            && let Some(check) = Check::new(key, &signature)
        {
            #[cfg(feature = "p384")]
            if matches!(check, Check::P384(_)) {
                self.sha384.get_or_insert_with(Sha384::new);
            }
            // They are few, and large.
            self.signatures.reserve_exact(1);
            self.signatures.push((entry.keyid, check));
        }
        Ok(())
    }

    /// Takes the next bytes of the payload.
    pub(super) fn update(&mut self, payload: &[u8]) {
        self.sha256.update(payload);
        #[cfg(feature = "p384")]
        if let Some(sha384) = &mut self.sha384 {
            sha384.update(payload);
        }
        for (_, check) in &mut self.signatures {
            match check {
                Check::Ed25519(verifier) => verifier.update(payload),
                #[cfg(any(feature = "p256", feature = "p384"))]
                _ => {}
            }
        }
    }

    /// The payload has ended: whether the threshold is met, by the one rule; its SHA-256.
    #[inline(never)]
    pub(super) fn finish(self) -> Result<[u8; 32], MetadataError> {
        let sha256: [u8; 32] = self.sha256.finalize().into();
        #[cfg(feature = "p384")]
        let sha384 = self.sha384.map(Sha384::finalize).unwrap_or_default();
        let mut ids = Vec::with_capacity(self.signatures.len());
        let mut checks = Vec::with_capacity(self.signatures.len());
        for (id, check) in self.signatures {
            ids.push(id);
            checks.push(check);
        }
        let signatures = ids.iter().zip(checks).map(|(id, check)| {
            let is_valid = |key: &PublicKey| match (check, key) {
                (Check::Ed25519(verifier), _) => ed25519::finish(verifier),
                #[cfg(feature = "p256")]
                (Check::P256(signature), PublicKey::EcdsaP256(point)) => {
                    curve::p256::verify(point, &sha256, &signature)
                }
                #[cfg(feature = "p384")]
                (Check::P384(signature), PublicKey::EcdsaP384(point)) => {
                    curve::p384::verify(point, &sha384, &signature)
                }
                #[cfg(any(feature = "p256", feature = "p384"))]
                _ => false,
            };
            (id, is_valid)
        });
        self.authority.check_all(signatures)?;
        Ok(sha256)
    }
}

impl Check {
    fn new(key: &PublicKey, signature: &[u8]) -> Option<Self> {
        match key {
            PublicKey::Ed25519(point) => ed25519::start(point, signature).map(Self::Ed25519),
            #[cfg(feature = "p256")]
            PublicKey::EcdsaP256(_) => curve::p256::signature(signature).map(Self::P256),
            #[cfg(feature = "p384")]
            PublicKey::EcdsaP384(_) => {
                curve::p384::signature(signature).map(|signature| Self::P384(Box::new(signature)))
            }
            _ => None,
        }
    }
}
