//! Content keys on their way to one ECU: HPKE (RFC 9180) in base mode.

use countersign_metadata::TargetPath;
use countersign_metadata::canonical;
use countersign_metadata::json::{Object, Value};
use countersign_metadata::uptane::{
    EcuSerial, EncryptionAlgorithm, EncryptionKey, Vin, WrappedKey,
};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::{DhP256HkdfSha256, X25519HkdfSha256};
use hpke::{Deserializable as _, Kem, OpModeS, Serializable as _};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::encrypt::FileInfo;
use crate::error::{DeviceError, EncryptionError};
use crate::format::{METHOD, TAG_LEN};
use crate::key::{ContentKey, KEY_LEN};
use crate::schedule;

/// Everything that a wrapped key is bound to. In another vehicle, another ECU, for another image or
/// another release of it, it does not unwrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrapContext {
    /// The vehicle.
    pub vin: Vin,
    /// The ECU.
    pub serial: EcuSerial,
    /// The target's name, as the director's Targets list the plaintext.
    pub filename: TargetPath,
    /// The target's release counter.
    pub release_counter: u64,
    /// `encryptedTarget.method`
    pub method: String,
    /// `length` and `hashes` of the target.
    pub plaintext: FileInfo,
    /// `length` and `hashes` of `encryptedTarget`.
    pub ciphertext: FileInfo,
}

/// The private half of an ECU's encryption key, in memory or in a token.
pub trait Decapsulate {
    /// The public half.
    fn public_key(&self) -> &EncryptionKey;

    /// The raw Diffie-Hellman result of the private key with `peer`, a key of the same algorithm,
    /// in 32 bytes: for P-256 the x-coordinate of the shared point, for X25519 its output, as it
    /// is.
    ///
    /// # Errors
    /// What the key's home says when it cannot be used.
    fn agree(&self, peer: &EncryptionKey) -> Result<Zeroizing<Vec<u8>>, DeviceError>;
}

impl WrapContext {
    /// HPKE's `info`: canonical JSON, so that no two contexts have the same.
    pub fn info(&self) -> Vec<u8> {
        let members = [
            ("format", "countersign-content-key-v1".into()),
            ("vin", self.vin.as_str().into()),
            ("serial", self.serial.as_str().into()),
            ("filename", self.filename.as_str().into()),
            ("releaseCounter", self.release_counter.into()),
            ("method", self.method.as_str().into()),
            ("plaintext", file(&self.plaintext)),
            ("ciphertext", file(&self.ciphertext)),
        ];
        canonical::encode(&object(members)).into_bytes()
    }

    fn check_method(&self) -> Result<(), EncryptionError> {
        match self.method == METHOD {
            true => Ok(()),
            false => Err(EncryptionError::UnknownMethod {
                found: self.method.clone(),
            }),
        }
    }
}

fn file(info: &FileInfo) -> Value {
    object([
        ("length", info.length.into()),
        ("hashes", info.hashes.to_value()),
    ])
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let members = members.map(|(name, value)| (name.to_owned(), value));
    Object::from_iter(members).into()
}

/// Wraps `key` so that only the ECU with the private half of `recipient` can use it, and only in
/// this `context`. Each call gives another result.
///
/// # Errors
/// [`EncryptionError::UnusableKey`] for a recipient's key with which nothing can be agreed,
/// [`EncryptionError::UnknownMethod`]
pub fn wrap(
    key: &ContentKey,
    recipient: &EncryptionKey,
    context: &WrapContext,
) -> Result<WrappedKey, EncryptionError> {
    context.check_method()?;
    let seal = match recipient.algorithm() {
        EncryptionAlgorithm::P256 => seal::<DhP256HkdfSha256>,
        EncryptionAlgorithm::X25519 => seal::<X25519HkdfSha256>,
    };
    let sealed = seal(recipient.public_bytes(), &context.info(), key.expose());
    let (enc, ct) = sealed.map_err(|_| EncryptionError::UnusableKey {
        keyid: recipient.id().to_string(),
        why: "nothing secret can be agreed with it",
    })?;
    Ok(WrappedKey::new(recipient.id(), enc, ct))
}

fn seal<K: Kem>(
    recipient: &[u8],
    info: &[u8],
    message: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), hpke::HpkeError> {
    let recipient = K::PublicKey::from_bytes(recipient)?;
    let mode = OpModeS::<K>::Base;
    let (enc, ct) =
        hpke::single_shot_seal::<AesGcm256, HkdfSha256, K>(&mode, &recipient, info, message, b"")?;
    Ok((enc.to_bytes().to_vec(), ct))
}

/// Unwraps the content key that was wrapped to `key` in `context`, which the ECU builds out of
/// metadata that it has verified and of what it knows about itself.
///
/// # Errors
/// [`EncryptionError::KeyUnwrap`] if the key is not for this ECU and context, or was changed;
/// [`EncryptionError::UnknownMethod`]; [`EncryptionError::Device`] if `key` fails.
pub fn unwrap(
    wrapped: &WrappedKey,
    context: &WrapContext,
    key: &dyn Decapsulate,
) -> Result<ContentKey, EncryptionError> {
    context.check_method()?;
    let refused = |why| Err(EncryptionError::KeyUnwrap { why });
    let own = key.public_key();
    if wrapped.keyid != own.id() {
        return refused("it was wrapped to another encryption key");
    }
    if wrapped.ct.len() != KEY_LEN + TAG_LEN {
        return refused("its ciphertext has not 48 bytes");
    }
    // Tokens may compute with points off the curve, which gives away bits of the private key.
    let Some(peer) = public_key(own.algorithm(), &wrapped.enc) else {
        return refused("its encapsulated key is no public key of the right type");
    };
    let agreed = key.agree(&peer).map_err(EncryptionError::Device)?;
    if agreed.len() != 32 {
        let wrong = "it agreed on a secret that has not 32 bytes";
        return Err(EncryptionError::Device(wrong.into()));
    }
    // X25519 with a point of small order (RFC 9180 7.1.4).
    if agreed.iter().all(|byte| *byte == 0) {
        return refused("its encapsulated key agrees on nothing secret");
    }
    let parties = (wrapped.enc.as_slice(), own.public_bytes());
    let message = schedule::message_key(
        own.algorithm(),
        schedule::AES_256_GCM,
        &agreed,
        parties,
        &context.info(),
    );
    open(&message, &wrapped.ct)
}

/// The public key that `enc` encapsulates, which has one form (RFC 9180 7.1.1).
fn public_key(algorithm: EncryptionAlgorithm, enc: &[u8]) -> Option<EncryptionKey> {
    let key = match algorithm {
        EncryptionAlgorithm::P256 => EncryptionKey::p256(enc).ok()?,
        EncryptionAlgorithm::X25519 => EncryptionKey::x25519(enc.try_into().ok()?),
    };
    Some(key).filter(|key| key.public_bytes() == enc)
}

fn open(message: &schedule::MessageKey, ct: &[u8]) -> Result<ContentKey, EncryptionError> {
    let refused = || EncryptionError::KeyUnwrap {
        why: "it was changed, or wrapped for another vehicle, ECU, image or release",
    };
    let key = UnboundKey::new(&AES_256_GCM, &*message.key).map_err(|_| refused())?;
    let nonce = Nonce::assume_unique_for_key(message.nonce);
    let mut buffer = Zeroizing::new(ct.to_vec());
    let opened = LessSafeKey::new(key)
        .open_in_place(nonce, Aad::empty(), &mut buffer)
        .map_err(|_| refused())?;
    let mut content = Zeroizing::new([0; KEY_LEN]);
    match opened.len() == KEY_LEN {
        true => content.copy_from_slice(opened),
        false => return Err(refused()),
    }
    Ok(ContentKey::from_bytes(content))
}
