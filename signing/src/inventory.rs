//! What is in the tokens that this machine can reach: the list behind `key-ceremony signers`.

use std::path::PathBuf;

use countersign_metadata::PublicKey;

use crate::custody::{Custody, Home};
use crate::error::SignError;
use crate::pkcs11;
use crate::secrets::Secrets;
use crate::uri::YubiHsmUri;
use crate::yubihsm;

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A PKCS#11 library; `None` is the one that `COUNTERSIGN_PKCS11_MODULE` names.
    Pkcs11 {
        /// The library.
        module: Option<PathBuf>,
        /// Only this slot: the way to tokens whose library cannot list its slots.
        slot: Option<u64>,
    },
    /// A YubiHSM 2 connector. The key id in the URI is not looked at.
    YubiHsm(YubiHsmUri),
}

/// Whether to log in for the list. Private keys are invisible otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogIn {
    /// Public objects only; no PIN is asked for or sent.
    No,
    /// With the PIN found as for signing.
    Yes,
}

/// A device or token and the keys in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What it is.
    pub home: Home,
    /// CK_TOKEN_INFO.manufacturerID, or the YubiHSM's maker and firmware.
    pub manufacturer: String,
    /// The slot of a PKCS#11 token.
    pub slot: Option<u64>,
    /// Whether private keys could be looked at.
    pub logged_in: bool,
    /// What kept the list from being whole, and what to do about it.
    pub problem: Option<String>,
    /// The keys, in the order of their labels and ids.
    pub keys: Vec<ListedKey>,
}

/// A signing key in a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// CKA_LABEL, or the YubiHSM object's label.
    pub label: String,
    /// CKA_ID, or the YubiHSM object's id as two bytes.
    pub id: Vec<u8>,
    /// The algorithm in words, `Ed25519`, `ECDSA P-256`, `RSA 3072`, or what the device calls it.
    pub kind: String,
    /// The public half, if the device shows it.
    pub public: Option<PublicKey>,
    /// What keeps the private half in; `None` if only the public half is visible.
    pub custody: Option<Custody>,
    /// The key URI to paste into a profile or a command line, without a PIN source.
    pub uri: String,
    /// Why it cannot sign metadata, if so.
    pub unusable: Option<String>,
}

/// Lists tokens and keys. A token that fails is listed with its problem rather than hiding the
/// others.
///
/// # Errors
/// [`SignError`] when the library or connector itself cannot be used.
pub fn inventory(
    source: &Source,
    log_in: LogIn,
    secrets: &Secrets,
) -> Result<Vec<Listing>, SignError> {
    match source {
        Source::Pkcs11 { module, slot } => {
            pkcs11::inventory(module.as_deref(), *slot, log_in, secrets)
        }
        Source::YubiHsm(uri) => yubihsm::inventory(uri, log_in, secrets),
    }
}
