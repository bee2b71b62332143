//! The layout of an encrypted image: a header, then segments. `docs/encrypted-images.md` has it in
//! words.

use countersign_metadata::sha256;

use crate::error::EncryptionError;

/// The method's name in metadata (`encryptedTarget.method`).
pub const METHOD: &str = "aes-256-gcm-64k";

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 32;

/// Plaintext bytes of every segment but the last.
pub const SEGMENT_LEN: usize = 65_536;

/// The longest image: 2^32 segments, because a nonce has 32 bits for their number.
pub const MAX_PLAIN_LEN: u64 = (SEGMENT_LEN as u64) << 32;

/// An authentication tag of AES-GCM.
pub(crate) const TAG_LEN: usize = 16;

/// A whole segment, encrypted.
pub(crate) const SEALED_LEN: usize = SEGMENT_LEN + TAG_LEN;

pub(crate) const PREFIX_LEN: usize = 7;

/// "CSENC", two zeros, version 1 of the format.
const MAGIC: [u8; 8] = *b"CSENC\0\0\x01";

/// `aes-256-gcm-64k` in the header.
const METHOD_NUMBER: u16 = 1;

/// The first 32 bytes of an encrypted image. Public; every segment's tag covers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; HEADER_LEN],
    prefix: [u8; PREFIX_LEN],
    /// Additional data of every segment.
    digest: [u8; 32],
}

impl Header {
    pub(crate) fn new(prefix: [u8; PREFIX_LEN]) -> Self {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&METHOD_NUMBER.to_be_bytes());
        bytes[10..10 + PREFIX_LEN].copy_from_slice(&prefix);
        let digest = sha256(&bytes);
        Self {
            bytes,
            prefix,
            digest,
        }
    }

    /// Reads a header. That it is the right one shows with the first segment.
    ///
    /// # Errors
    /// [`EncryptionError::Header`], [`EncryptionError::UnknownMethod`]
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, EncryptionError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(EncryptionError::Header);
        }
        let method = u16::from_be_bytes([bytes[8], bytes[9]]);
        if method != METHOD_NUMBER {
            return Err(EncryptionError::UnknownMethod {
                found: format!("number {method}"),
            });
        }
        let mut prefix = [0; PREFIX_LEN];
        prefix.copy_from_slice(&bytes[10..10 + PREFIX_LEN]);
        let header = Self::new(prefix);
        match header.bytes == *bytes {
            true => Ok(header),
            // Reserved bytes that are not zero.
            false => Err(EncryptionError::Header),
        }
    }

    /// The header as it stands in the file.
    pub fn as_bytes(&self) -> &[u8; HEADER_LEN] {
        &self.bytes
    }

    pub(crate) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The nonce of a segment: no two segments of an image share one, and the last segment has one
    /// that no other segment can have.
    pub(crate) fn nonce(&self, segment: u32, place: Place) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..PREFIX_LEN].copy_from_slice(&self.prefix);
        nonce[PREFIX_LEN..11].copy_from_slice(&segment.to_be_bytes());
        nonce[11] = match place {
            Place::Inside => 0,
            Place::Last => 1,
        };
        nonce
    }
}

/// Where a segment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Inside,
    Last,
}

/// The length of an image of `plain_len` bytes once it is encrypted; `None` beyond
/// [`MAX_PLAIN_LEN`].
pub fn encrypted_len(plain_len: u64) -> Option<u64> {
    if plain_len > MAX_PLAIN_LEN {
        return None;
    }
    // An empty image is one empty segment.
    let segments = plain_len.div_ceil(SEGMENT_LEN as u64).max(1);
    Some(HEADER_LEN as u64 + plain_len + segments * TAG_LEN as u64)
}

/// The length of the image in an encrypted one of `encrypted_len` bytes; `None` if no encrypted
/// image has that length.
pub fn plain_len(encrypted_len: u64) -> Option<u64> {
    Some(Layout::of(encrypted_len).ok()?.plain_len())
}

/// Where segment `segment` starts in an encrypted image, in bytes; `None` for numbers that no
/// segment has.
pub fn segment_offset(segment: u64) -> Option<u64> {
    let segment = u32::try_from(segment).ok()?;
    Some(HEADER_LEN as u64 + u64::from(segment) * SEALED_LEN as u64)
}

/// How an encrypted image of a known length is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) encrypted_len: u64,
    /// 1 to 2^32.
    pub(crate) segments: u64,
    /// Of the last segment, with its tag.
    last_len: usize,
}

impl Layout {
    pub(crate) fn of(encrypted_len: u64) -> Result<Self, EncryptionError> {
        let impossible = EncryptionError::Length {
            length: encrypted_len,
        };
        let Some(body) = encrypted_len.checked_sub(HEADER_LEN as u64) else {
            return Err(impossible);
        };
        let segments = body.div_ceil(SEALED_LEN as u64);
        let last_len = body - segments.saturating_sub(1) * SEALED_LEN as u64;
        // Only an empty image has an empty segment.
        let shortest = TAG_LEN as u64 + u64::from(segments > 1);
        if segments == 0 || segments > 1 << 32 || last_len < shortest {
            return Err(impossible);
        }
        Ok(Self {
            encrypted_len,
            segments,
            last_len: last_len as usize,
        })
    }

    pub(crate) fn plain_len(&self) -> u64 {
        self.encrypted_len - HEADER_LEN as u64 - self.segments * TAG_LEN as u64
    }

    /// The number that goes into the nonce, the place and the encrypted length of a segment.
    pub(crate) fn segment(&self, segment: u64) -> Result<(u32, Place, usize), EncryptionError> {
        let missing = EncryptionError::NoSegment {
            segment,
            segments: self.segments,
        };
        match u32::try_from(segment) {
            Ok(number) if segment + 1 == self.segments => Ok((number, Place::Last, self.last_len)),
            Ok(number) if segment < self.segments => Ok((number, Place::Inside, SEALED_LEN)),
            _ => Err(missing),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEGMENT: u64 = SEGMENT_LEN as u64;

    #[test]
    fn header_and_nonces_are_those_of_the_documentation() {
        let header = Header::new([1, 2, 3, 4, 5, 6, 7]);
        let expected = "4353454e43000001\
                        0001\
                        01020304050607\
                        000000000000000000000000000000";
        assert_eq!(hex::encode(header.as_bytes()), expected);
        let nonce = |segment, place| hex::encode(header.nonce(segment, place));
        assert_eq!(nonce(0, Place::Inside), "010203040506070000000000");
        assert_eq!(nonce(258, Place::Last), "010203040506070000010201");
        assert_eq!(nonce(u32::MAX, Place::Last), "01020304050607ffffffff01");
    }

    #[test]
    fn a_header_has_one_form_for_each_prefix() {
        let good = *Header::new([9; PREFIX_LEN]).as_bytes();
        assert_eq!(Header::parse(&good).unwrap().as_bytes(), &good);
        for at in 0..HEADER_LEN {
            for flip in 1..=u8::MAX {
                let mut bytes = good;
                bytes[at] ^= flip;
                match (at, Header::parse(&bytes)) {
                    (0..8 | 17.., Err(EncryptionError::Header)) => {}
                    (8..10, Err(EncryptionError::UnknownMethod { .. })) => {}
                    (10..17, Ok(header)) => assert_eq!(header.as_bytes(), &bytes),
                    (_, other) => panic!("byte {at}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn lengths_at_the_boundaries() {
        for (plain, segments) in [
            (0, 1),
            (1, 1),
            (SEGMENT - 1, 1),
            (SEGMENT, 1),
            (SEGMENT + 1, 2),
            (2 * SEGMENT, 2),
            (MAX_PLAIN_LEN - 1, 1 << 32),
            (MAX_PLAIN_LEN, 1 << 32),
        ] {
            let encrypted = encrypted_len(plain).unwrap();
            assert_eq!(encrypted, 32 + plain + 16 * segments);
            assert_eq!(plain_len(encrypted), Some(plain));
            assert_eq!(Layout::of(encrypted).unwrap().segments, segments);
        }
        assert_eq!(encrypted_len(MAX_PLAIN_LEN + 1), None);
        let longest = encrypted_len(MAX_PLAIN_LEN).unwrap();
        for impossible in [0, 31, 32, 47, longest + 1, u64::MAX] {
            assert_eq!(plain_len(impossible), None, "{impossible}");
        }
        // A whole segment, and then one that is empty or shorter than its tag.
        let whole = encrypted_len(SEGMENT).unwrap();
        for rest in 1..=16 {
            assert_eq!(plain_len(whole + rest), None, "{rest}");
        }
        assert_eq!(plain_len(whole + 17), Some(SEGMENT + 1));
    }

    #[test]
    fn segments_of_the_longest_image() {
        let layout = Layout::of(encrypted_len(MAX_PLAIN_LEN).unwrap()).unwrap();
        let last = (1 << 32) - 1;
        assert_eq!(
            layout.segment(last).unwrap(),
            (u32::MAX, Place::Last, SEALED_LEN)
        );
        assert_eq!(
            layout.segment(last - 1).unwrap(),
            (u32::MAX - 1, Place::Inside, SEALED_LEN)
        );
        assert!(layout.segment(last + 1).is_err());
        let start = segment_offset(last).unwrap();
        assert_eq!(start + SEALED_LEN as u64, layout.encrypted_len);
        assert_eq!(segment_offset(last + 1), None);
    }

    proptest! {
        #[test]
        fn lengths_go_there_and_back(plain in 0..=MAX_PLAIN_LEN) {
            prop_assert_eq!(encrypted_len(plain).and_then(plain_len), Some(plain));
        }

        #[test]
        fn every_possible_length_comes_from_one_image(length: u64) {
            if let Some(plain) = plain_len(length) {
                prop_assert_eq!(encrypted_len(plain), Some(length));
            }
        }
    }
}
