//! The note beside a file: which Root version it was accepted under.
//!
//! A note is bound to the SHA-256 of the bytes that it speaks of. It is written before the file, with an entry for the
//! new bytes before those that it has, so that after a cut at any point the file that stands there finds its own
//! entry. When there are too many of them, all go but the one of the file.

use std::fmt::Write;

use ring::digest::{SHA256, digest};

/// Each has 64 hexadecimal digits, a space, a 64-bit number and a line feed.
const MAX_ENTRIES: usize = 4;

/// Bytes of a note, with room.
pub(crate) const MAX_NOTE: u64 = 1024;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Note {
    entries: Vec<(String, u64)>,
}

impl Note {
    /// Reads a note. A line that is not an entry says nothing; it can only be damage.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let entries = std::str::from_utf8(bytes)
            .unwrap_or_default()
            .lines()
            .filter_map(|line| {
                let (hash, version) = line.split_once(' ')?;
                let is_hash = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
                Some((hash.to_owned(), version.parse().ok()?)).filter(|_| is_hash)
            })
            .collect();
        Note { entries }
    }

    /// The version noted for `bytes`.
    pub(crate) fn version_for(&self, bytes: &[u8]) -> Option<u64> {
        let hash = sha256_hex(bytes);
        self.entries
            .iter()
            .find(|(h, _)| *h == hash)
            .map(|(_, v)| *v)
    }

    /// Whether it has room for another entry without a look at the file, which may be large.
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < MAX_ENTRIES
    }

    /// What it says of the file that is `bytes`.
    pub(crate) fn of(mut self, bytes: &[u8]) -> Self {
        let hash = sha256_hex(bytes);
        self.entries.retain(|(known, _)| *known == hash);
        self.entries.truncate(1);
        self
    }

    /// The note to write before bytes of this hash replace the file.
    pub(crate) fn before_replacing(mut self, new: String, version: u64) -> Self {
        self.entries.retain(|(known, _)| *known != new);
        self.entries.insert(0, (new, version));
        self
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let lines = self
            .entries
            .iter()
            .map(|(hash, version)| format!("{hash} {version}\n"));
        lines.collect::<String>().into_bytes()
    }
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    to_hex(digest(&SHA256, bytes).as_ref())
}

pub(crate) fn to_hex(digest: &[u8]) -> String {
    let mut out = String::with_capacity(64);
    for byte in digest {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_a_change_both_files_find_their_version() {
        let first = Note::default().before_replacing(sha256_hex(b"old"), 1);
        let both = Note::parse(&first.before_replacing(sha256_hex(b"new"), 2).to_bytes());
        assert_eq!(both.version_for(b"old"), Some(1));
        assert_eq!(both.version_for(b"new"), Some(2));
        assert_eq!(both.version_for(b"other"), None);
    }

    #[test]
    fn what_is_not_of_the_file_goes_when_there_is_no_room() {
        let mut note = Note::default();
        for version in 0..MAX_ENTRIES as u64 {
            assert!(note.has_room());
            note = note.before_replacing(sha256_hex(&version.to_be_bytes()), version);
        }
        assert!(!note.has_room());
        assert!(note.to_bytes().len() as u64 <= MAX_NOTE);
        let file = 1_u64.to_be_bytes();
        let note = note.of(&file).before_replacing(sha256_hex(b"next"), 9);
        assert_eq!(note.version_for(&file), Some(1));
        assert_eq!(note.version_for(b"next"), Some(9));
        assert_eq!(note.entries.len(), 2);
    }

    #[test]
    fn the_same_bytes_accepted_again_take_the_later_version() {
        let note = Note::default().before_replacing(sha256_hex(b"same"), 1);
        let note = note.before_replacing(sha256_hex(b"same"), 5);
        assert_eq!(note.version_for(b"same"), Some(5));
        assert_eq!(note.entries.len(), 1);
    }

    #[test]
    fn damage_is_not_believed() {
        let hash = sha256_hex(b"x");
        for damaged in [
            format!("{hash} "),
            hash.clone(),
            format!("{hash} -1\n"),
            format!("{} 1\n", &hash[1..]),
            format!("\u{0}{hash} 1\n"),
        ] {
            assert_eq!(
                Note::parse(damaged.as_bytes()).version_for(b"x"),
                None,
                "{damaged:?}"
            );
        }
        assert_eq!(Note::parse(&[0xff, 0xfe]), Note::default());
    }
}
