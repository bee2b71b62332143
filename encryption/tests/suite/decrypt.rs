//! What was encrypted is decrypted, in whatever parts it arrives and wherever it is resumed.

use std::io::{self, Read};

use countersign_encryption::{
    ContentKey, Decryptor, EncryptionError, Header, SEGMENT_LEN, encrypt, encrypted_len,
    segment_offset,
};
use countersign_metadata::Hashes;
use proptest::prelude::*;
use zeroize::Zeroizing;

use crate::common::{HEADER, SEALED, decrypted, encrypted, image, in_parts};

const SIZES: [usize; 10] = [
    0,
    1,
    SEGMENT_LEN - 1,
    SEGMENT_LEN,
    SEGMENT_LEN + 1,
    2 * SEGMENT_LEN - 1,
    2 * SEGMENT_LEN,
    2 * SEGMENT_LEN + 1,
    3 * SEGMENT_LEN,
    200_000,
];

#[test]
fn images_of_every_size_come_back() {
    for size in SIZES {
        let image = image(size);
        let (made, bytes) = encrypted(&image);
        assert_eq!(Some(bytes.len() as u64), encrypted_len(size as u64));
        assert_eq!(made.plaintext.length, size as u64);
        assert_eq!(made.plaintext.hashes, Hashes::of(&image));
        assert_eq!(made.ciphertext.length, bytes.len() as u64);
        assert_eq!(made.ciphertext.hashes, Hashes::of(&bytes));
        assert!(
            decrypted(&made.key, bytes.len(), &bytes).unwrap() == image,
            "{size}"
        );
        // The key alone is enough, as a director keeps it.
        let stored = ContentKey::from_bytes(Zeroizing::new(*made.key.expose()));
        assert!(decrypted(&stored, bytes.len(), &bytes).unwrap() == image);
    }
}

#[test]
fn every_encryption_has_a_key_and_a_nonce_prefix_of_its_own() {
    let image = image(100);
    let (first, one) = encrypted(&image);
    let (second, two) = encrypted(&image);
    assert_ne!(first.key.expose(), second.key.expose());
    assert_ne!(one[10..17], two[10..17]);
    assert_ne!(one[HEADER..], two[HEADER..]);
    // Nothing of the image shows.
    assert!(!one.windows(8).any(|window| window == &image[..8]));
}

/// Gives a few bytes at a time, and is interrupted before each.
struct Slow<'a>(&'a [u8], bool);

impl Read for Slow<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let some = out.len().min(7777);
        self.0.read(&mut out[..some])
    }
}

#[test]
fn a_source_that_gives_little_at_a_time_changes_nothing() {
    for size in SIZES {
        let image = image(size);
        let mut bytes = Vec::new();
        let made = encrypt(&mut Slow(&image, false), &mut bytes).unwrap();
        assert!(
            decrypted(&made.key, bytes.len(), &bytes).unwrap() == image,
            "{size}"
        );
    }
}

#[test]
fn plaintext_leaves_with_the_last_byte_of_its_segment() {
    let image = image(2 * SEGMENT_LEN);
    let (made, bytes) = encrypted(&image);
    let early = in_parts(&made.key, bytes.len(), &bytes[..HEADER + SEALED - 1], 999);
    assert!(early.1.is_empty());
    let (outcome, plain) = in_parts(&made.key, bytes.len(), &bytes[..HEADER + SEALED], 999);
    assert!(
        matches!(outcome, Err(EncryptionError::Truncated { found, .. })
        if found == (HEADER + SEALED) as u64)
    );
    assert!(plain == image[..SEGMENT_LEN]);
}

#[test]
fn decryption_resumes_at_any_segment() {
    let image = image(3 * SEGMENT_LEN + 5);
    let (made, bytes) = encrypted(&image);
    let length = bytes.len() as u64;
    let header = Header::parse(bytes.first_chunk().unwrap()).unwrap();
    for segment in 0..4 {
        let from = segment_offset(segment).unwrap() as usize;
        let mut plain = Vec::new();
        let mut decryptor = Decryptor::resume(&made.key, &header, length, segment).unwrap();
        assert_eq!(decryptor.next_segment(), segment);
        for part in bytes[from..].chunks(10_000) {
            let mut sink = |bytes: &[u8]| {
                plain.extend_from_slice(bytes);
                Ok::<(), EncryptionError>(())
            };
            decryptor.update(part, &mut sink).unwrap();
        }
        assert_eq!(decryptor.next_segment(), 4);
        decryptor.finish().unwrap();
        assert!(plain == image[segment as usize * SEGMENT_LEN..]);
        // At another place the same bytes are refused.
        let mut elsewhere =
            Decryptor::resume(&made.key, &header, length, (segment + 1) % 3).unwrap();
        let refused = elsewhere
            .update(&bytes[from..], &mut |_| panic!("plaintext left"))
            .and_then(|()| elsewhere.finish());
        match (segment, refused) {
            (0..3, Err(EncryptionError::Decrypt { .. })) => {}
            // The last segment is shorter than the one that is expected.
            (3, Err(EncryptionError::Truncated { .. })) => {}
            (_, other) => panic!("{segment}: {other:?}"),
        }
    }
    let beyond = Decryptor::resume(&made.key, &header, length, 4)
        .err()
        .unwrap();
    assert!(matches!(
        beyond,
        EncryptionError::NoSegment {
            segment: 4,
            segments: 4
        }
    ));
}

#[test]
fn an_error_of_the_sink_is_handed_back_and_ends_it() {
    let image = image(2 * SEGMENT_LEN);
    let (made, bytes) = encrypted(&image);
    let mut decryptor = Decryptor::new(&made.key, bytes.len() as u64).unwrap();
    let full = |_: &[u8]| Err(io::Error::from(io::ErrorKind::StorageFull));
    let error = decryptor.update(&bytes, &mut { full }).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let mut called = false;
    let again = decryptor.update::<EncryptionError>(&bytes, &mut |_| {
        called = true;
        Ok(())
    });
    assert!(matches!(again, Err(EncryptionError::Stopped)) && !called);
    assert!(matches!(decryptor.finish(), Err(EncryptionError::Stopped)));
}

/// Fails after some bytes.
struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let given = out.len().min(self.0);
        self.0 -= given;
        match given {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            given => Ok(given),
        }
    }
}

#[test]
fn a_source_or_a_disk_that_fails_is_an_error() {
    let broken = encrypt(&mut Broken(100_000), &mut Vec::new());
    assert!(matches!(broken.err(), Some(EncryptionError::Io(error))
        if error.kind() == io::ErrorKind::ConnectionReset));
    let mut full = [0; 1000];
    let disk = encrypt(&mut &image(2000)[..], &mut &mut full[..]);
    assert!(matches!(disk.err(), Some(EncryptionError::Io(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_image_in_any_parts_comes_back(
        size in prop_oneof![0..300_usize, 60_000..140_000_usize],
        part in 1..100_000_usize,
    ) {
        let image = image(size);
        let (made, bytes) = encrypted(&image);
        let (outcome, _) = in_parts(&made.key, bytes.len(), &bytes, part);
        prop_assert!(outcome.unwrap() == image);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), length in 0..200_u64) {
        let key = ContentKey::from_bytes(Zeroizing::new([7; 32]));
        if let Ok(mut decryptor) = Decryptor::new(&key, length) {
            let mut out = 0;
            let refused = decryptor.update::<EncryptionError>(&bytes, &mut |plain| {
                out += plain.len();
                Ok(())
            });
            prop_assert!(out == 0);
            prop_assert!(refused.is_err() || decryptor.finish().is_err());
        }
    }
}
