#![doc = include_str!("../README.md")]

mod algorithm;
mod custody;
mod decryption;
mod error;
mod file;
mod inventory;
mod pkcs11;
mod secrets;
mod soft_key;
mod terminal;
#[cfg(feature = "tough")]
mod tough;
mod uri;
mod yubihsm;

use std::fmt;

use countersign_metadata::{Key, KeyId, PublicKey};

pub use algorithm::{Algorithm, RsaBits, UnknownAlgorithm};
pub use custody::{Custody, Home, Weakness};
pub use decryption::{DecryptionKey, generate_decryption_key};
pub use error::{PinTries, SignError};
pub use inventory::{ListedKey, Listing, LogIn, Source, inventory};
pub use secrets::Secrets;
#[cfg(feature = "tough")]
pub use tough::ToughKey;
pub use uri::{FileUri, KeyUri, Pkcs11Uri, UriError, YubiHsmUri};
#[cfg(feature = "yubihsm-mock")]
#[doc(hidden)]
pub use yubihsm::mock as yubihsm_mock;
pub use yubihsm::{YubiHsmAttestation, YubiHsmError, yubihsm_attestation};

/// Signs with one private key that never leaves its home.
pub trait Signer: Send + Sync + fmt::Debug {
    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// The signature over `message`, in the form that metadata carries (ECDSA in DER), already
    /// verified. Blocks while a device works.
    ///
    /// # Errors
    /// [`SignError::TokenLost`] or [`YubiHsmError::NoAnswer`] when the device went away (open the
    /// key again when it is back), [`SignError::Token`] when it fails otherwise,
    /// [`SignError::BadSignature`] when it signed wrongly, [`SignError::Crypto`] when the key
    /// library fails.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;

    /// Where the private half lives and what keeps it there.
    fn custody(&self) -> Custody;

    /// The public half as metadata lists it.
    fn key(&self) -> Key {
        Key::new(self.public_key())
    }

    /// The id under which metadata lists it (TUF 4.2).
    fn keyid(&self) -> KeyId {
        self.key().id()
    }
}

/// Opens a key for signing: decrypts its file, or logs in to its token.
///
/// A token stays logged in as long as the process lives, so that its PIN is asked for once. A PIN
/// that the token refused is not sent to it again.
///
/// # Errors
/// [`SignError`], with what to do.
pub fn open(uri: &KeyUri, secrets: &Secrets) -> Result<Box<dyn Signer>, SignError> {
    Ok(match uri {
        KeyUri::File(uri) => Box::new(file::open(uri, secrets)?),
        KeyUri::Pkcs11(uri) => Box::new(pkcs11::open(uri, secrets)?),
        KeyUri::YubiHsm(uri) => Box::new(yubihsm::open(uri, secrets)?),
    })
}

/// Makes a new key where `uri` says, encrypted in its file or bound to its token. An existing key
/// is never overwritten, and after an error nothing is left behind.
///
/// # Errors
/// [`SignError`], with what to do. RSA keys are only made in tokens: [`SignError::RsaInFile`].
pub fn generate(
    uri: &KeyUri,
    algorithm: Algorithm,
    secrets: &Secrets,
) -> Result<PublicKey, SignError> {
    match uri {
        KeyUri::File(uri) => file::generate(uri, algorithm, secrets),
        KeyUri::Pkcs11(uri) => pkcs11::generate(uri, algorithm, secrets),
        KeyUri::YubiHsm(uri) => yubihsm::generate(uri, algorithm, secrets),
    }
}

/// The public half of the key that `uri` names, after a proof that the private half is there and
/// belongs to it: what is written into a Root is a key that can sign.
///
/// # Errors
/// As [`open`], and [`SignError::BadSignature`].
pub fn public_key(uri: &KeyUri, secrets: &Secrets) -> Result<PublicKey, SignError> {
    let signer = open(uri, secrets)?;
    prove(&*signer)?;
    Ok(signer.public_key().clone())
}

/// Signs something that can never be mistaken for metadata, which is a JSON object.
fn prove(signer: &dyn Signer) -> Result<(), SignError> {
    signer
        .sign(b"Countersign: proof that this private key is usable")
        .map(drop)
}
