//! Decryption keys of ECUs, made where other keys are made. A repository uses none of them; a
//! director wraps content keys to their public halves.

use std::fmt;
use std::str::FromStr;

use countersign_metadata::canonical;
use countersign_metadata::uptane::{EncryptionAlgorithm, EncryptionKey};
use countersign_signing::{Algorithm, DecryptionKey, Secrets, generate_decryption_key};

use crate::error::RepoError;
use crate::keys::{key_error, make_folder, parse_uri};

/// What kind of key to generate, by its purpose. No key serves both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// To sign with.
    Signing(Algorithm),
    /// `p256-decryption`, `x25519-decryption`: an ECU's, to unwrap content keys with.
    Decryption(EncryptionAlgorithm),
}

/// Not one of the names of [`KeyKind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{signing}; for the decryption key of an ECU p256-decryption or x25519-decryption")]
pub struct UnknownKind {
    signing: countersign_signing::UnknownAlgorithm,
}

impl FromStr for KeyKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        match text {
            "p256-decryption" => Ok(Self::Decryption(EncryptionAlgorithm::P256)),
            "x25519-decryption" => Ok(Self::Decryption(EncryptionAlgorithm::X25519)),
            _ => match text.parse() {
                Ok(algorithm) => Ok(Self::Signing(algorithm)),
                Err(signing) => Err(UnknownKind { signing }),
            },
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signing(algorithm) => algorithm.fmt(f),
            Self::Decryption(EncryptionAlgorithm::P256) => f.write_str("p256-decryption"),
            Self::Decryption(EncryptionAlgorithm::X25519) => f.write_str("x25519-decryption"),
        }
    }
}

/// Makes a new decryption key where `uri` says, and the folder of a key file.
///
/// # Errors
/// [`RepoError::Key`]; an existing key is never overwritten.
pub fn generate(
    uri: &str,
    algorithm: EncryptionAlgorithm,
    secrets: &Secrets,
) -> Result<EncryptionKey, RepoError> {
    let parsed = parse_uri(uri)?;
    make_folder(&parsed, secrets)?;
    generate_decryption_key(&parsed, algorithm, secrets).map_err(|source| key_error(uri, source))
}

/// The public half of the decryption key that `uri` names, after a proof that the private half is
/// there.
///
/// # Errors
/// [`RepoError::Key`], also for a key that signs.
pub fn public(uri: &str, secrets: &Secrets) -> Result<EncryptionKey, RepoError> {
    let key = DecryptionKey::open(&parse_uri(uri)?, secrets);
    let key = key.map_err(|source| key_error(uri, source))?;
    Ok(key.public_key().clone())
}

/// The public half as a director takes it in: canonical JSON.
pub fn to_json(key: &EncryptionKey) -> String {
    canonical::to_json(&canonical::encode(&key.to_value()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        let names = Algorithm::ALL.map(|algorithm| algorithm.to_string());
        let decryption = ["p256-decryption".into(), "x25519-decryption".into()];
        for name in names.into_iter().chain(decryption) {
            assert_eq!(
                name.parse::<KeyKind>().map(|kind| kind.to_string()),
                Ok(name)
            );
        }
        let error = "p384-decryption"
            .parse::<KeyKind>()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("ed25519") && error.contains("x25519-decryption"),
            "{error}"
        );
    }
}
