//! Images, and decrypting them in one go.

use std::io::Write as _;

use countersign_encryption::{
    ContentKey, Decryptor, Encrypted, EncryptionError, SEGMENT_LEN, encrypt,
};

/// A whole segment with its tag.
pub(crate) const SEALED: usize = SEGMENT_LEN + 16;
pub(crate) const HEADER: usize = 32;

/// Bytes that differ from segment to segment.
pub(crate) fn image(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at % 251 + at / SEGMENT_LEN) as u8)
        .collect()
}

pub(crate) fn encrypted(image: &[u8]) -> (Encrypted, Vec<u8>) {
    let mut out = Vec::new();
    let encrypted = encrypt(&mut &image[..], &mut out).unwrap();
    (encrypted, out)
}

/// Decrypts as a device does that was told `length` by metadata.
pub(crate) fn decrypted(
    key: &ContentKey,
    length: usize,
    bytes: &[u8],
) -> Result<Vec<u8>, EncryptionError> {
    in_parts(key, length, bytes, 4096).0
}

/// The same in parts of `part` bytes, and what had come out when it was refused.
pub(crate) fn in_parts(
    key: &ContentKey,
    length: usize,
    bytes: &[u8],
    part: usize,
) -> (Result<Vec<u8>, EncryptionError>, Vec<u8>) {
    let mut plain = Vec::new();
    let mut run = || {
        let mut decryptor = Decryptor::new(key, length as u64)?;
        for part in bytes.chunks(part) {
            decryptor.update::<EncryptionError>(part, &mut |bytes| Ok(plain.write_all(bytes)?))?;
        }
        decryptor.finish()
    };
    let outcome = run();
    (outcome.map(|()| plain.clone()), plain)
}
