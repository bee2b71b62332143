//! The public keys of a device, which the Director's inventory will have.

use std::path::Path;

use countersign_metadata::uptane::EncryptionKey;
use countersign_metadata::{PublicKey, json};
use countersign_repo::keys::read_public;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::device::{Identity, Possession};
use super::limits;
use crate::error::CeremonyError;
use crate::files;
use crate::pki::{Request, Subject, weak_points, x509};

/// X25519 (RFC 8410 3).
const X25519: &str = "1.3.101.110";

/// Reads a signing key: a certificate request, which proves possession, or a public key. A request
/// that asks for other names than this device's is refused, as the device PKI does.
pub(crate) fn signing(
    path: &Path,
    identity: &Identity,
) -> Result<(PublicKey, Possession), CeremonyError> {
    let bytes = files::read(path, limits::SMALL)?;
    if !is_request(&bytes) {
        let key = read_public(path)?;
        return match &key {
            PublicKey::Ed25519(point) if weak_points::is_weak(point) => {
                Err(CeremonyError::Exchange {
                    path: path.into(),
                    why: "the key is a point of small order, under which anybody can sign".into(),
                })
            }
            _ => Ok((key, Possession::NotShown)),
        };
    }
    let request = Request::read(path)?;
    request.check_names(&Subject::Device(identity.id().clone()))?;
    Ok((request.public_key().clone(), Possession::Request))
}

/// Reads an encryption key: JSON as in docs/schemas/encryption-key.json, or PEM.
pub(crate) fn encryption(path: &Path) -> Result<EncryptionKey, CeremonyError> {
    let bytes = files::read(path, limits::SMALL)?;
    let unusable = |why: String| CeremonyError::Exchange {
        path: path.into(),
        why,
    };
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        let value = json::parse(&bytes).map_err(|error| unusable(error.to_string()))?;
        return EncryptionKey::of(&value).map_err(|error| unusable(error.to_string()));
    }
    if let Some(key) = x25519(&bytes) {
        return Ok(EncryptionKey::x25519(key));
    }
    match read_public(path)? {
        PublicKey::EcdsaP256(point) => {
            EncryptionKey::p256(&point).map_err(|error| unusable(error.to_string()))
        }
        _ => Err(unusable(
            "images are encrypted for P-256 and X25519 keys; this is another kind".into(),
        )),
    }
}

/// Whether both are one key pair. Keys of other kinds have different forms.
pub(crate) fn is_same(signing: &PublicKey, encryption: &EncryptionKey) -> bool {
    matches!(signing, PublicKey::EcdsaP256(point) if point[..] == *encryption.public_bytes())
}

fn is_request(bytes: &[u8]) -> bool {
    const LABEL: &[u8] = b"CERTIFICATE REQUEST-----";
    bytes.first() == Some(&0x30) || bytes.windows(LABEL.len()).any(|part| part == LABEL)
}

fn x25519(bytes: &[u8]) -> Option<[u8; 32]> {
    let der = x509::der(bytes, &["PUBLIC KEY"]).ok()?;
    let (rest, info) = SubjectPublicKeyInfo::from_der(&der).ok()?;
    let whole = rest.is_empty()
        && info.algorithm.algorithm.to_id_string() == X25519
        && info.algorithm.parameters.is_none()
        && info.subject_public_key.unused_bits == 0;
    let key: &[u8] = &info.subject_public_key.data;
    key.try_into().ok().filter(|_| whole)
}
