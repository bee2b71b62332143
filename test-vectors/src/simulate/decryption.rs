//! The keys that ECUs of the vectors decrypt images with. Everybody has them.

use std::os::unix::fs::PermissionsExt as _;

use countersign_ecu_keys::ImageKey;
use countersign_encryption::Decapsulate as _;
use countersign_metadata::uptane::EncryptionKey;
use countersign_signing::{DecryptionKey, KeyUri, Secrets};

use super::document::SimulateError;

/// PKCS#8 files by name.
const FILES: &[(&str, &str)] = &[
    ("ecu-x25519-1", include_str!("../../keys/ecu-x25519-1.pem")),
    ("ecu-x25519-2", include_str!("../../keys/ecu-x25519-2.pem")),
    ("ecu-p256-1", include_str!("../../keys/ecu-p256-1.pem")),
];

/// The file of a key.
///
/// # Errors
/// If there is none of this name.
pub fn pem(name: &str) -> Result<&'static str, SimulateError> {
    let file = FILES.iter().find(|(known, _)| *known == name);
    file.map(|(_, pem)| *pem)
        .ok_or_else(|| SimulateError::Decryption(format!("there is no key {name}")))
}

/// The private key.
///
/// # Errors
/// [`SimulateError::Decryption`]
pub fn open(name: &str) -> Result<ImageKey, SimulateError> {
    let failed =
        |error: &dyn std::fmt::Display| SimulateError::Decryption(format!("{name}: {error}"));
    // Keys are opened where they are kept: in files.
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    let file = folder.path().join("key.pem");
    std::fs::write(&file, pem(name)?).map_err(|error| failed(&error))?;
    // Everybody has these keys; that a file of them is private is what its reader asks for.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| failed(&error))?;
    let uri: Result<KeyUri, _> = "file:key.pem?encryption=none".parse();
    let uri = uri.map_err(|error| failed(&error))?;
    let key = DecryptionKey::open(&uri, &Secrets::unattended(folder.path()));
    Ok(ImageKey(key.map_err(|error| failed(&error))?))
}

/// The public key.
///
/// # Errors
/// [`SimulateError::Decryption`]
pub fn public(name: &str) -> Result<EncryptionKey, SimulateError> {
    Ok(open(name)?.public_key().clone())
}
