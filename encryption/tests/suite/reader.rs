//! Reading anywhere.

use std::io::{Cursor, ErrorKind, Read, Seek, SeekFrom};

use countersign_encryption::{EncryptionError, SEGMENT_LEN, SegmentReader};
use proptest::prelude::*;

use crate::common::{HEADER, SEALED, encrypted, image};

fn reader(size: usize) -> (Vec<u8>, SegmentReader<Cursor<Vec<u8>>>) {
    let image = image(size);
    let (made, bytes) = encrypted(&image);
    let length = bytes.len() as u64;
    let reader = SegmentReader::new(&made.key, Cursor::new(bytes), length).unwrap();
    (image, reader)
}

#[test]
fn the_whole_image_from_start_to_end() {
    for size in [0, 1, SEGMENT_LEN, SEGMENT_LEN + 1, 2 * SEGMENT_LEN] {
        let (image, mut reader) = reader(size);
        assert_eq!(reader.plain_len(), size as u64);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert!(read == image, "{size}");
    }
}

#[test]
fn places_are_those_of_the_plaintext() {
    let (image, mut reader) = reader(100_000);
    let mut byte = [0];
    assert_eq!(reader.seek(SeekFrom::End(-1)).unwrap(), 99_999);
    reader.read_exact(&mut byte).unwrap();
    assert_eq!(byte[0], image[99_999]);
    assert_eq!(reader.read(&mut byte).unwrap(), 0);
    assert_eq!(reader.seek(SeekFrom::Current(-50_000)).unwrap(), 50_000);
    reader.read_exact(&mut byte).unwrap();
    assert_eq!(byte[0], image[50_000]);
    assert_eq!(reader.seek(SeekFrom::Start(u64::MAX)).unwrap(), u64::MAX);
    assert_eq!(reader.read(&mut byte).unwrap(), 0);
    let before = reader.seek(SeekFrom::End(-100_001)).unwrap_err();
    assert_eq!(before.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_damaged_segment_is_refused_and_the_others_are_not() {
    let image = image(3 * SEGMENT_LEN);
    let (made, mut bytes) = encrypted(&image);
    bytes[HEADER + SEALED + 77] ^= 1;
    let length = bytes.len() as u64;
    let mut reader = SegmentReader::new(&made.key, Cursor::new(bytes), length).unwrap();
    let mut segment = vec![0; SEGMENT_LEN];
    for (number, good) in [(0, true), (1, false), (2, true), (1, false)] {
        reader
            .seek(SeekFrom::Start((number * SEGMENT_LEN) as u64))
            .unwrap();
        match reader.read_exact(&mut segment) {
            Ok(()) => assert!(good && segment == image[number * SEGMENT_LEN..][..SEGMENT_LEN]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidData);
                let inner = error.into_inner().unwrap().downcast::<EncryptionError>();
                assert!(matches!(
                    *inner.unwrap(),
                    EncryptionError::Decrypt { segment: 1 }
                ));
                assert!(!good);
            }
        }
    }
}

#[test]
fn a_file_of_another_length_is_refused_at_once() {
    let (made, bytes) = encrypted(&image(2 * SEGMENT_LEN));
    let open = |bytes: &[u8], length: usize| {
        SegmentReader::new(&made.key, Cursor::new(bytes.to_vec()), length as u64).err()
    };
    let cut = &bytes[..HEADER + SEALED];
    assert!(matches!(
        open(cut, bytes.len()),
        Some(EncryptionError::Truncated { .. })
    ));
    assert!(matches!(
        open(&bytes, cut.len()),
        Some(EncryptionError::TooLong { .. })
    ));
    assert!(matches!(
        open(&bytes, 47),
        Some(EncryptionError::Length { length: 47 })
    ));
    // A file that was cut, and metadata that agrees: the segment was not the last one.
    let mut agreed = SegmentReader::new(&made.key, Cursor::new(cut), cut.len() as u64).unwrap();
    assert!(agreed.read(&mut [0]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_range_is_that_of_the_image(
        size in 1..200_000_usize,
        ranges in prop::collection::vec((any::<u32>(), 0..100_000_usize), 1..8),
    ) {
        let (image, mut reader) = reader(size);
        for (from, length) in ranges {
            let from = from as usize % size;
            let length = length.min(size - from);
            let mut read = vec![0; length];
            reader.seek(SeekFrom::Start(from as u64)).unwrap();
            reader.read_exact(&mut read).unwrap();
            prop_assert!(read == image[from..from + length]);
        }
    }
}
