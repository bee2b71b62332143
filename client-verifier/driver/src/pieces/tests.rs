use std::fs;
use std::io::Read as _;

use proptest::prelude::*;

use super::*;

fn writer(directory: &std::path::Path, content: &[u8]) -> PieceWriter {
    let path = directory.join("file");
    fs::write(&path, content).unwrap();
    let file = File::options().read(true).write(true).open(path).unwrap();
    PieceWriter::new(file, content.len() as u64)
}

/// Puts `bytes` in, as many at a time as `step` says.
fn put(writer: &mut PieceWriter, mut bytes: &[u8], step: usize) {
    while !bytes.is_empty() {
        let room = writer.room();
        let n = room.len().min(step).min(bytes.len());
        room[..n].copy_from_slice(&bytes[..n]);
        writer.filled(n).unwrap();
        bytes = &bytes[n..];
    }
}

fn noise(length: usize, seed: u8) -> Vec<u8> {
    let mut state = u32::from(seed) + 1;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_file_is_what_was_put_in(
        before in prop_oneof![Just(0), 0_usize..5000, PIECE - 2..PIECE + 3],
        length in prop_oneof![0_usize..5000, PIECE - 2..PIECE + 3, 4 * PIECE..6 * PIECE],
        step in prop_oneof![Just(ROOM), 1000_usize..ROOM],
        seed in any::<u8>(),
        flush in any::<bool>(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (noise(before, seed), noise(length, !seed));
        let mut writer = writer(directory.path(), &old);
        put(&mut writer, &new, step);
        prop_assert_eq!(writer.length(), (before + length) as u64);
        if flush {
            writer.sync().unwrap();
        }
        drop(writer);
        let found = fs::read(directory.path().join("file")).unwrap();
        prop_assert!(found == [old, new].concat());
    }
}

#[test]
fn a_file_that_is_all_there_is_written_as_it_is() {
    for length in [0, 1, PIECE, 3 * PIECE, 3 * PIECE + 17] {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes = noise(length, 5);
        write_all(file.reopen().unwrap(), &bytes).unwrap();
        assert!(fs::read(file.path()).unwrap() == bytes);
    }
}

#[test]
fn a_file_that_was_cleared_holds_nothing_of_before() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = writer(directory.path(), b"of an earlier run");
    put(&mut writer, &noise(3 * PIECE + 17, 1), ROOM);
    writer.clear().unwrap();
    assert_eq!(writer.length(), 0);
    let new = noise(2 * PIECE + 5, 2);
    put(&mut writer, &new, ROOM);
    writer.sync().unwrap();
    assert!(fs::read(directory.path().join("file")).unwrap() == new);
}

#[test]
fn what_comes_slowly_is_written_soon() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = writer(directory.path(), b"");
    put(&mut writer, b"first", 5);
    assert_eq!(fs::read(directory.path().join("file")).unwrap(), b"");
    writer.since = Instant::now().checked_sub(2 * LINGER).unwrap();
    put(&mut writer, b", second", 8);
    assert_eq!(
        fs::read(directory.path().join("file")).unwrap(),
        b"first, second"
    );
    let rest = noise(2 * PIECE, 3);
    put(&mut writer, &rest, ROOM);
    writer.flush().unwrap();
    let found = fs::read(directory.path().join("file")).unwrap();
    assert!(found == [b"first, second", &rest[..]].concat());
}

#[test]
fn a_write_that_fails_is_told_and_nothing_is_written_behind_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, b"").unwrap();
    // Every write fails.
    let mut writer = PieceWriter::new(File::open(&path).unwrap(), 0);
    let mut failed = false;
    for _ in 0..5 {
        for _ in 0..PIECE / ROOM {
            let n = writer.room().len();
            failed |= writer.filled(n).is_err();
        }
    }
    assert!(failed || writer.flush().is_err());
    assert!(writer.flush().is_err());
    drop(writer);
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
}

#[test]
fn where_the_page_cache_cannot_be_passed_it_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let file = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let mut disk = Disk::new(Arc::new(file));
    // Memory that begins anywhere: what a file system with larger blocks says no to.
    let bytes = noise(PIECE + 1, 4);
    disk.write(0, &bytes[1..]).unwrap();
    disk.write(PIECE as u64, b"the end").unwrap();
    let mut found = Vec::new();
    File::open(&path).unwrap().read_to_end(&mut found).unwrap();
    assert!(found == [&bytes[1..], b"the end"].concat());
}
