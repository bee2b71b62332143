//! Encrypting an image, once, with a key that is made for it.

use std::io::{ErrorKind, Read, Write};

use countersign_metadata::Hashes;
use ring::digest::{Context, SHA256, SHA512};
use zeroize::Zeroizing;

use crate::error::EncryptionError;
use crate::format::{Header, Place, SEALED_LEN, SEGMENT_LEN};
use crate::key::{Cipher, ContentKey, random_prefix};

/// What metadata says about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// In bytes.
    pub length: u64,
    /// As the director's Targets list them.
    pub hashes: Hashes,
}

/// What came out of an encryption.
pub struct Encrypted {
    /// To be wrapped for each ECU that is to have the image.
    pub key: ContentKey,
    /// The image as it was read: `length` and `hashes` of the target.
    pub plaintext: FileInfo,
    /// What was written: `encryptedTarget` in the director's Targets.
    pub ciphertext: FileInfo,
}

/// Encrypts `image` into `out` with a new key. Makes nothing durable; `out` is worthless after an
/// error.
///
/// # Errors
/// [`EncryptionError::Io`], [`EncryptionError::ImageTooLong`] beyond 2^48 bytes,
/// [`EncryptionError::Random`]
pub fn encrypt(image: &mut dyn Read, out: &mut dyn Write) -> Result<Encrypted, EncryptionError> {
    let key = ContentKey::random()?;
    let cipher = Cipher::new(&key)?;
    let header = Header::new(random_prefix()?);
    let (mut plaintext, mut ciphertext) = (Measure::new(), Measure::new());
    let mut write = |bytes: &[u8]| {
        ciphertext.update(bytes);
        out.write_all(bytes)
    };
    write(header.as_bytes())?;
    let mut segment = Zeroizing::new(Vec::with_capacity(SEALED_LEN));
    let mut next = Zeroizing::new(Vec::with_capacity(SEALED_LEN));
    read_segment(image, &mut segment)?;
    for number in 0..=u32::MAX {
        // Only what follows tells whether a segment is the last one.
        read_segment(image, &mut next)?;
        let place = match next.is_empty() {
            true => Place::Last,
            false => Place::Inside,
        };
        plaintext.update(&segment);
        cipher.seal(&header, (number, place), &mut segment)?;
        write(&segment)?;
        if place == Place::Last {
            return Ok(Encrypted {
                key,
                plaintext: plaintext.finish(),
                ciphertext: ciphertext.finish(),
            });
        }
        std::mem::swap(&mut segment, &mut next);
    }
    Err(EncryptionError::ImageTooLong)
}

/// Fills `segment`, if there is that much.
fn read_segment(image: &mut dyn Read, segment: &mut Vec<u8>) -> Result<(), EncryptionError> {
    segment.resize(SEGMENT_LEN, 0);
    let mut filled = 0;
    while filled < SEGMENT_LEN {
        match image.read(&mut segment[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    segment.truncate(filled);
    Ok(())
}

/// Length and hashes of what passes.
struct Measure {
    length: u64,
    sha256: Context,
    sha512: Context,
}

impl Measure {
    fn new() -> Self {
        Self {
            length: 0,
            sha256: Context::new(&SHA256),
            sha512: Context::new(&SHA512),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.sha256.update(bytes);
        self.sha512.update(bytes);
    }

    fn finish(self) -> FileInfo {
        let (mut sha256, mut sha512) = ([0; 32], [0; 64]);
        sha256.copy_from_slice(self.sha256.finish().as_ref());
        sha512.copy_from_slice(self.sha512.finish().as_ref());
        FileInfo {
            length: self.length,
            hashes: Hashes {
                sha256: Some(sha256),
                sha512: Some(sha512),
                ..Hashes::default()
            },
        }
    }
}
