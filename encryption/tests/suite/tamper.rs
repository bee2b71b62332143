//! Every way to change an encrypted image is refused, and no wrong plaintext leaves. What does
//! leave before the refusal is a true beginning of the image.

use countersign_encryption::{ContentKey, EncryptionError, SEGMENT_LEN};
use proptest::prelude::*;
use zeroize::Zeroizing;

use crate::common::{HEADER, SEALED, decrypted, encrypted, image, in_parts};

/// Whole segments of an image, as they are in the file.
fn segment(bytes: &[u8], number: usize) -> &[u8] {
    let start = HEADER + number * SEALED;
    &bytes[start..bytes.len().min(start + SEALED)]
}

/// Told the true length, or that of the changed bytes: the refusals of both.
#[track_caller]
fn refused(key: &ContentKey, image: &[u8], length: usize, changed: &[u8]) -> [EncryptionError; 2] {
    [length, changed.len()].map(|length| {
        let (outcome, left) = in_parts(key, length, changed, 50_000);
        assert!(image.starts_with(&left), "wrong plaintext left");
        outcome.unwrap_err()
    })
}

fn at(segment: u64) -> impl Fn(&EncryptionError) -> bool {
    move |error| matches!(error, EncryptionError::Decrypt { segment: found } if *found == segment)
}

#[test]
fn truncated_at_any_byte() {
    let image = image(200);
    let (made, bytes) = encrypted(&image);
    for end in 0..bytes.len() {
        let [told, cut] = refused(&made.key, &image, bytes.len(), &bytes[..end]);
        assert!(
            matches!(told, EncryptionError::Truncated { found, .. } if found == end as u64),
            "{end}: {told}"
        );
        match cut {
            EncryptionError::Length { .. } if end < HEADER + 16 => {}
            EncryptionError::Decrypt { segment: 0 } if end >= HEADER + 16 => {}
            other => panic!("{end}: {other}"),
        }
    }
}

#[test]
fn truncated_at_the_end_of_a_segment() {
    let image = image(3 * SEGMENT_LEN);
    let (made, bytes) = encrypted(&image);
    for kept in 1..3 {
        let [told, cut] = refused(
            &made.key,
            &image,
            bytes.len(),
            &bytes[..HEADER + kept * SEALED],
        );
        assert!(matches!(told, EncryptionError::Truncated { .. }));
        // It would be the last one now, and was not encrypted as such.
        assert!(at(kept as u64 - 1)(&cut), "{cut}");
    }
}

#[test]
fn extended() {
    for size in [0, 10, SEGMENT_LEN] {
        let image = image(size);
        let (made, bytes) = encrypted(&image);
        for more in [1, 16, 17, SEALED] {
            let longer = [&bytes[..], &vec![0; more]].concat();
            let [told, grown] = refused(&made.key, &image, bytes.len(), &longer);
            assert!(matches!(told, EncryptionError::TooLong { .. }), "{told}");
            assert!(
                matches!(
                    grown,
                    EncryptionError::Decrypt { segment: 0 } | EncryptionError::Length { .. }
                ),
                "{size} {more}: {grown}"
            );
        }
        // By what is a segment of this very image.
        let twice = [&bytes[..], segment(&bytes, 0)].concat();
        let [told, _] = refused(&made.key, &image, bytes.len(), &twice);
        assert!(matches!(told, EncryptionError::TooLong { .. }));
    }
}

#[test]
fn segments_reordered_repeated_dropped() {
    let image = image(4 * SEGMENT_LEN);
    let (made, bytes) = encrypted(&image);
    let built = |order: &[usize]| {
        let header = [&bytes[..HEADER]].into_iter();
        let segments = order.iter().map(|number| segment(&bytes, *number));
        header.chain(segments).collect::<Vec<_>>().concat()
    };
    assert!(built(&[0, 1, 2, 3]) == bytes);
    for (order, first_wrong) in [
        (&[1, 0, 2, 3][..], 0),
        (&[0, 2, 1, 3], 1),
        (&[0, 1, 3, 2], 2),
        (&[3, 1, 2, 0], 0),
        (&[0, 0, 1, 3], 1),
        (&[0, 1, 1, 3], 2),
        (&[0, 1, 2, 2], 3),
    ] {
        for error in refused(&made.key, &image, bytes.len(), &built(order)) {
            assert!(at(first_wrong)(&error), "{order:?}: {error}");
        }
    }
    for (order, first_wrong) in [(&[1, 2, 3][..], 0), (&[0, 2, 3], 1), (&[0, 1, 3], 2)] {
        for error in refused(&made.key, &image, bytes.len(), &built(order)) {
            assert!(at(first_wrong)(&error), "{order:?}: {error}");
        }
    }
    let [told, cut] = refused(&made.key, &image, bytes.len(), &built(&[0, 1, 2]));
    assert!(matches!(told, EncryptionError::Truncated { .. }) && at(2)(&cut));
}

#[test]
fn segments_swapped_between_images() {
    let (mine, theirs) = (image(2 * SEGMENT_LEN), image(2 * SEGMENT_LEN));
    let (made, bytes) = encrypted(&mine);
    let (_, other) = encrypted(&theirs);
    for (first, second, wrong) in [(&other, &bytes, 0), (&bytes, &other, 1)] {
        let mixed = [&bytes[..HEADER], segment(first, 0), segment(second, 1)].concat();
        for error in refused(&made.key, &mine, bytes.len(), &mixed) {
            assert!(at(wrong)(&error), "{error}");
        }
    }
    let foreign_header = [&other[..HEADER], &bytes[HEADER..]].concat();
    for error in refused(&made.key, &mine, bytes.len(), &foreign_header) {
        assert!(at(0)(&error), "{error}");
    }
}

#[test]
fn last_flag_lost() {
    // A whole last segment, with another one behind it: it is not the last one any more.
    let image = image(SEGMENT_LEN);
    let (made, bytes) = encrypted(&image);
    let longer = [&bytes[..], &[0; 17]].concat();
    let error = decrypted(&made.key, longer.len(), &longer).unwrap_err();
    assert!(at(0)(&error), "{error}");
}

#[test]
fn header_changed() {
    let image = image(100);
    let (made, bytes) = encrypted(&image);
    for byte in 0..HEADER {
        let mut changed = bytes.clone();
        changed[byte] ^= 0x40;
        let [error, _] = refused(&made.key, &image, bytes.len(), &changed);
        match (byte, error) {
            (0..8 | 17.., EncryptionError::Header) => {}
            (8..10, EncryptionError::UnknownMethod { .. }) => {}
            (10..17, EncryptionError::Decrypt { segment: 0 }) => {}
            (_, other) => panic!("byte {byte}: {other}"),
        }
    }
}

#[test]
fn unknown_method() {
    let (made, mut bytes) = encrypted(&image(100));
    bytes[9] = 2;
    let error = decrypted(&made.key, bytes.len(), &bytes).unwrap_err();
    assert!(matches!(&error, EncryptionError::UnknownMethod { found } if found == "number 2"));
    assert!(error.to_string().contains("aes-256-gcm-64k"), "{error}");
}

#[test]
fn wrong_key() {
    let image = image(2 * SEGMENT_LEN);
    let (made, bytes) = encrypted(&image);
    let (other, _) = encrypted(&image);
    let mut near = *made.key.expose();
    near[31] ^= 1;
    let near = ContentKey::from_bytes(Zeroizing::new(near));
    for key in [&other.key, &near] {
        for error in refused(key, &[], bytes.len(), &bytes) {
            assert!(at(0)(&error), "{error}");
        }
    }
}

#[test]
fn plaintext_in_place_of_ciphertext() {
    let image = image(1000);
    let (made, _) = encrypted(&image);
    let error = decrypted(&made.key, image.len(), &image).unwrap_err();
    assert!(matches!(error, EncryptionError::Header));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_bit_is_refused(at in 0..1_000_000_usize, bit in 0..8) {
        let image = image(SEGMENT_LEN + 400);
        let (made, mut bytes) = encrypted(&image);
        let at = at % bytes.len();
        bytes[at] ^= 1_u8 << bit;
        refused(&made.key, &image, bytes.len(), &bytes);
    }
}
