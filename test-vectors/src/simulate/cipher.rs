//! Encrypted images as docs/encrypted-images.md has them, made from fixed keys.

use countersign_encryption::{ContentKey, FileInfo, WrapContext, wrap};
use countersign_metadata::uptane::{EcuSerial, EncryptionKey, Vin};
use countersign_metadata::{Hashes, TargetPath, sha256};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde_json::json;
use zeroize::Zeroizing;

use super::document::SimulateError;
use super::repo::sha256_hex;
use super::{Json, SignatureCache};

/// Bytes of a piece of plaintext.
const PIECE: usize = 65_536;

/// The one method there is.
pub const METHOD: &str = "aes-256-gcm-64k";

/// A content key by name, and what it encrypts.
#[derive(Debug, Clone)]
pub struct Cipher {
    key: [u8; 32],
    prefix: [u8; 7],
}

/// To whom, and for what, a content key is wrapped.
#[derive(Debug, Clone)]
pub struct Wrapping {
    /// The vehicle.
    pub vin: String,
    /// The ECU.
    pub serial: String,
    /// The target path of the plaintext.
    pub path: String,
    /// Its release counter.
    pub release_counter: u64,
    /// The image.
    pub plaintext: Vec<u8>,
    /// The image as it travels.
    pub ciphertext: Vec<u8>,
}

impl Cipher {
    /// Key and nonce prefix come from the name.
    pub fn named(name: &str) -> Self {
        let key = sha256(format!("countersign test vector content key {name}").as_bytes());
        let nonce = sha256(format!("countersign test vector nonce {name}").as_bytes());
        let mut prefix = [0; 7];
        prefix.copy_from_slice(&nonce[..7]);
        Self { key, prefix }
    }

    /// The 32 bytes at the beginning.
    pub fn header(&self) -> [u8; 32] {
        let mut header = [0; 32];
        header[..8].copy_from_slice(b"CSENC\0\0\x01");
        header[8..10].copy_from_slice(&1_u16.to_be_bytes());
        header[10..17].copy_from_slice(&self.prefix);
        header
    }

    /// The image as it travels.
    pub fn encrypt(&self, image: &[u8]) -> Vec<u8> {
        let mut out = self.header().to_vec();
        let pieces: Vec<&[u8]> = match image {
            [] => vec![&[]],
            image => image.chunks(PIECE).collect(),
        };
        for (number, piece) in (0..).zip(&pieces) {
            let is_last = number as usize + 1 == pieces.len();
            out.extend(self.segment(number, is_last, piece));
        }
        out
    }

    /// One segment.
    pub fn segment(&self, number: u32, is_last: bool, piece: &[u8]) -> Vec<u8> {
        let mut nonce = [0; 12];
        nonce[..7].copy_from_slice(&self.prefix);
        nonce[7..11].copy_from_slice(&number.to_be_bytes());
        nonce[11] = u8::from(is_last);
        let mut bytes = piece.to_vec();
        let sealed = UnboundKey::new(&AES_256_GCM, &self.key).and_then(|key| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            let header = Aad::from(sha256(&self.header()));
            LessSafeKey::new(key).seal_in_place_append_tag(nonce, header, &mut bytes)
        });
        // A key of 32 bytes and a piece of 64 KiB are what it takes.
        debug_assert!(sealed.is_ok());
        bytes
    }

    /// The content key, wrapped to the ECU's public key, as `wrappedKeys` has it. The wrapping is random:
    /// it is kept in `cache`.
    ///
    /// # Errors
    /// [`SimulateError`]
    pub fn wrap(
        &self,
        recipient: &EncryptionKey,
        to: &Wrapping,
        cache: &SignatureCache,
    ) -> Result<Json, SimulateError> {
        let context = WrapContext {
            vin: Vin::new(&to.vin)?,
            serial: EcuSerial::new(&to.serial)?,
            filename: TargetPath::new(&to.path)?,
            release_counter: to.release_counter,
            method: METHOD.into(),
            plaintext: described(&to.plaintext),
            ciphertext: described(&to.ciphertext),
        };
        let id = recipient.id().to_string();
        let name = sha256_hex(&[b"wrap", id.as_bytes(), &context.info(), &self.key].concat());
        let kept = cache.remember(&name, || {
            let key = ContentKey::from_bytes(Zeroizing::new(self.key));
            let wrapped = wrap(&key, recipient, &context).map_err(SimulateError::Wrap)?;
            let text = [hex::encode(&wrapped.enc), hex::encode(&wrapped.ct)];
            Ok::<_, SimulateError>(text.join("."))
        })?;
        let (enc, ct) = kept.split_once('.').unwrap_or_default();
        Ok(json!({"keyid": id, "enc": enc, "ct": ct}))
    }
}

/// As the simulator's repositories list files: by SHA-256 alone.
fn described(bytes: &[u8]) -> FileInfo {
    let hashes = Hashes {
        sha256: Some(sha256(bytes)),
        ..Hashes::default()
    };
    FileInfo {
        length: bytes.len() as u64,
        hashes,
    }
}
