//! Content keys, and sealing and opening single segments with them.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::error::EncryptionError;
use crate::format::{Header, PREFIX_LEN, Place};

/// Length of a content key in bytes.
pub const KEY_LEN: usize = 32;

/// The key of one encrypted image. Wiped when dropped; not shown in any way.
///
/// It is made by [`encrypt`](crate::encrypt) and never encrypts a second time: nothing in this
/// crate encrypts with a key that it is given.
#[derive(Clone)]
pub struct ContentKey(Zeroizing<[u8; KEY_LEN]>);

impl ContentKey {
    pub(crate) fn random() -> Result<Self, EncryptionError> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        random(&mut *key)?;
        Ok(Self(key))
    }

    /// A key out of a director's protected store, to wrap it for another ECU or to decrypt.
    pub fn from_bytes(key: Zeroizing<[u8; KEY_LEN]>) -> Self {
        Self(key)
    }

    /// The key itself, for a director's protected store. Whoever sees it can read the image.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

/// Seals or opens the segments of the image with this header.
pub(crate) struct Cipher {
    key: LessSafeKey,
}

impl Cipher {
    pub(crate) fn new(key: &ContentKey) -> Result<Self, EncryptionError> {
        let key = UnboundKey::new(&AES_256_GCM, key.expose());
        // Only a key of another length fails.
        let key = key.map_err(|_| EncryptionError::KeyUnwrap {
            why: "it has not 32 bytes",
        })?;
        Ok(Self {
            key: LessSafeKey::new(key),
        })
    }

    /// Encrypts `segment` in place and appends its tag.
    pub(crate) fn seal(
        &self,
        header: &Header,
        (number, place): (u32, Place),
        segment: &mut Vec<u8>,
    ) -> Result<(), EncryptionError> {
        let nonce = Nonce::assume_unique_for_key(header.nonce(number, place));
        let aad = Aad::from(header.digest());
        self.key
            .seal_in_place_append_tag(nonce, aad, segment)
            .map_err(|_| EncryptionError::ImageTooLong)
    }

    /// Decrypts `segment` in place. Its bytes are worthless after an error.
    pub(crate) fn open<'a>(
        &self,
        header: &Header,
        (number, place): (u32, Place),
        segment: &'a mut [u8],
    ) -> Result<&'a [u8], EncryptionError> {
        let nonce = Nonce::assume_unique_for_key(header.nonce(number, place));
        let aad = Aad::from(header.digest());
        match self.key.open_in_place(nonce, aad, segment) {
            Ok(plain) => Ok(plain),
            Err(_) => Err(EncryptionError::Decrypt {
                segment: number.into(),
            }),
        }
    }
}

pub(crate) fn random_prefix() -> Result<[u8; PREFIX_LEN], EncryptionError> {
    let mut prefix = [0; PREFIX_LEN];
    random(&mut prefix)?;
    Ok(prefix)
}

fn random(bytes: &mut [u8]) -> Result<(), EncryptionError> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| EncryptionError::Random)
}
