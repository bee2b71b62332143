//! The keys that get certificates.

use countersign_metadata::PublicKey;
use rcgen::PublicKeyData as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::record::KeyHash;
use super::{weak_points, x509};

/// The public key of a device: ECDSA P-256 or Ed25519, decoded and written anew.
#[derive(Debug, Clone)]
pub(crate) struct DeviceKey {
    spki: rcgen::SubjectPublicKeyInfo,
    hash: KeyHash,
}

impl DeviceKey {
    /// # Errors
    /// What is wrong with the key, in words that follow "the key".
    pub(crate) fn new(spki: &SubjectPublicKeyInfo<'_>) -> Result<Self, String> {
        match x509::public_key(spki) {
            Some(PublicKey::EcdsaP256(point)) => {
                // ring verifies uncompressed points only, as do most TLS stacks (RFC 5480 2.2
                // demands no more).
                if point[..] != spki.subject_public_key.data[..] {
                    return Err("is a compressed point, which many TLS stacks cannot read".into());
                }
            }
            Some(PublicKey::Ed25519(key)) if weak_points::is_weak(&key) => {
                return Err("is a point of small order, under which anybody can sign".into());
            }
            Some(PublicKey::Ed25519(_)) => {}
            Some(PublicKey::EcdsaP384(_)) => return Err("is ECDSA P-384".into()),
            Some(PublicKey::Rsa { .. }) => return Err("is RSA".into()),
            None => return Err("is of another kind, or damaged".into()),
        }
        let spki = rcgen::SubjectPublicKeyInfo::from_der(spki.raw)
            .map_err(|error| format!("cannot be read ({error})"))?;
        let hash = x509::key_hash(&spki.subject_public_key_info());
        Ok(Self { spki, hash })
    }

    pub(crate) fn spki(&self) -> &rcgen::SubjectPublicKeyInfo {
        &self.spki
    }

    pub(crate) fn hash(&self) -> KeyHash {
        self.hash
    }
}
