//! Decryption keys of ECUs: the private halves of what content keys are wrapped to.

use std::fmt;

use countersign_metadata::uptane::{EncryptionAlgorithm, EncryptionKey};
use zeroize::Zeroizing;

use crate::custody::Custody;
use crate::error::SignError;
use crate::file;
use crate::pkcs11;
use crate::secrets::Secrets;
use crate::soft_key::SoftKey;
use crate::uri::KeyUri;

/// A private key that never leaves its home and agrees on secrets with other public keys
/// (Diffie-Hellman). It does not sign: a key that could is refused (Uptane 5.4.1, separate keys
/// for signing and encryption).
pub struct DecryptionKey(Box<dyn Agree>);

/// What the homes of decryption keys do.
pub(crate) trait Agree: Send + Sync {
    fn public_key(&self) -> &EncryptionKey;
    fn custody(&self) -> Custody;
    fn agree(&self, peer: &EncryptionKey) -> Result<Zeroizing<Vec<u8>>, SignError>;
}

impl DecryptionKey {
    /// Opens a key: decrypts its file, or logs in to its token. That the private half is there and
    /// belongs to the public one is proved before it is returned.
    ///
    /// # Errors
    /// [`SignError`], with what to do; a signing key is [`SignError::KeyFile`] or
    /// [`SignError::WrongKey`].
    pub fn open(uri: &KeyUri, secrets: &Secrets) -> Result<Self, SignError> {
        let key = match uri {
            KeyUri::File(uri) => Self(Box::new(file::decryption::FileDecryptionKey::open(
                uri, secrets,
            )?)),
            KeyUri::Pkcs11(uri) => Self(Box::new(pkcs11::decryption::TokenDecryptionKey::open(
                uri, secrets,
            )?)),
            KeyUri::YubiHsm(_) => return Err(SignError::NoDecryption),
        };
        prove(&*key.0)?;
        Ok(key)
    }

    /// The public half.
    pub fn public_key(&self) -> &EncryptionKey {
        self.0.public_key()
    }

    /// The raw result of the agreement with `peer`, 32 bytes: for P-256 the x-coordinate of the
    /// shared point, for X25519 its output, as it is. Blocks while a device works.
    ///
    /// What a peer of small order gives (zeros, X25519 only) is for the caller to refuse.
    ///
    /// # Errors
    /// [`SignError::Crypto`] if `peer` is of another type; [`SignError::TokenLost`] when the token
    /// went away, [`SignError::Token`] when it fails otherwise.
    pub fn agree(&self, peer: &EncryptionKey) -> Result<Zeroizing<Vec<u8>>, SignError> {
        self.0.agree(peer)
    }

    /// Where the private half lives and what keeps it there.
    pub fn custody(&self) -> Custody {
        self.0.custody()
    }
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptionKey")
            .field("public", self.public_key())
            .field("custody", &self.custody())
            .finish_non_exhaustive()
    }
}

/// Makes a new decryption key where `uri` says, encrypted in its file or bound to its token. An
/// existing key is never overwritten, and after an error nothing is left behind.
///
/// # Errors
/// [`SignError`], with what to do. X25519 keys are only made in files, and none in a YubiHSM 2.
pub fn generate_decryption_key(
    uri: &KeyUri,
    algorithm: EncryptionAlgorithm,
    secrets: &Secrets,
) -> Result<EncryptionKey, SignError> {
    match uri {
        KeyUri::File(uri) => file::decryption::generate(uri, algorithm, secrets),
        KeyUri::Pkcs11(uri) => pkcs11::decryption::generate(uri, algorithm, secrets),
        KeyUri::YubiHsm(_) => Err(SignError::NoDecryption),
    }
}

/// Both ways round, with a key that is made for it, the agreement must be the same.
pub(crate) fn prove(key: &dyn Agree) -> Result<(), SignError> {
    let peer = SoftKey::generate(key.public_key().algorithm())?;
    let expected = peer.agree(key.public_key())?;
    match *key.agree(peer.public_key())? == *expected {
        true => Ok(()),
        false => Err(SignError::BadAgreement {
            key: key.custody().home.to_string(),
        }),
    }
}
