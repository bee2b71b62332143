//! The entries of a Snapshot that lists many thousand files, read and written without building values of
//! what stands in them. Only what this project and its peers write is read here; everything else, and
//! everything that is wrong, is left to the slow way, which knows how to say so.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::MetaFile;
use crate::canonical;
use crate::error::MetadataError;
use crate::hashes::Hashes;
use crate::json::Object;
use crate::scan::Scanner;

/// Ends the fast way; nobody sees it.
fn unusual() -> MetadataError {
    MetadataError::malformed(0, "not as usual")
}

/// `meta` and the other members of a Snapshot in canonical form; `None` where anything is unusual.
pub(super) fn read_plain(payload: &str) -> Option<(BTreeMap<String, MetaFile>, Object)> {
    let mut meta = None;
    let mut rest = Object::new();
    let mut scanner = Scanner::canonical(payload);
    let read = scanner.object(|scanner, name, _| {
        match &*name {
            "meta" => meta = Some(read_entries(scanner)?),
            _ => drop(rest.insert(name.into_owned(), scanner.canonical_value()?)),
        }
        Ok(())
    });
    read.ok()?;
    Some((meta?, rest))
}

fn read_entries(scanner: &mut Scanner<'_>) -> Result<BTreeMap<String, MetaFile>, MetadataError> {
    let mut entries = Vec::new();
    scanner.object(|scanner, name, _| {
        entries.push((name.into_owned(), read_entry(scanner)?));
        Ok(())
    })?;
    Ok(entries.into_iter().collect())
}

fn read_entry(scanner: &mut Scanner<'_>) -> Result<MetaFile, MetadataError> {
    let mut file = MetaFile::version(0);
    let number = |scanner: &mut Scanner<'_>| {
        let number = scanner.integer()?;
        u64::try_from(number).map_err(|_| unusual())
    };
    scanner.object(|scanner, name, _| {
        match &*name {
            "version" => file.version = number(scanner)?,
            "length" => file.length = Some(number(scanner)?),
            "hashes" => file.hashes = Some(read_hashes(scanner)?),
            _ => return Err(unusual()),
        }
        Ok(())
    })?;
    match file.version {
        0 => Err(unusual()),
        _ => Ok(file),
    }
}

fn read_hashes(scanner: &mut Scanner<'_>) -> Result<Hashes, MetadataError> {
    let mut hashes = Hashes::default();
    scanner.object(|scanner, name, _| {
        let (text, _) = scanner.string()?;
        match &*name {
            "sha256" => hashes.sha256 = Some(read_digest(&text)?),
            "sha512" => hashes.sha512 = Some(read_digest(&text)?),
            _ => return Err(unusual()),
        }
        Ok(())
    })?;
    match hashes.any_known() {
        true => Ok(hashes),
        false => Err(unusual()),
    }
}

fn read_digest<const N: usize>(text: &str) -> Result<[u8; N], MetadataError> {
    let mut digest = [0; N];
    let mut bad = text.len() != 2 * N;
    for (byte, digits) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let &[high, low] = digits else {
            return Err(unusual());
        };
        let (high, low) = (nibble(high), nibble(low));
        bad |= (high | low) > 15;
        *byte = (high << 4) | (low & 15);
    }
    match bad {
        true => Err(unusual()),
        false => Ok(digest),
    }
}

/// The value of a hexadecimal digit; above 15 for everything else.
fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => u8::MAX,
    }
}

impl MetaFile {
    /// Appends the canonical form.
    pub(super) fn write(&self, out: &mut String) {
        let others = |hashes: &Hashes| !hashes.other.is_empty();
        if !self.extra.is_empty() || self.hashes.as_ref().is_some_and(others) {
            return canonical::write(out, &self.to_value());
        }
        out.push('{');
        if let Some(hashes) = &self.hashes {
            let digests = [
                ("sha256", hashes.sha256.as_ref().map(hex::encode)),
                ("sha512", hashes.sha512.as_ref().map(hex::encode)),
            ];
            out.push_str("\"hashes\":");
            let digests = digests.into_iter();
            let known = digests.filter_map(|(name, digest)| Some((name, digest?)));
            canonical::write_members(out, known, |out, (name, digest)| {
                canonical::write_string(out, name);
                out.push(':');
                canonical::write_string(out, &digest);
            });
            out.push(',');
        }
        if let Some(length) = self.length {
            // Writing to a String cannot fail.
            let _ = write!(out, "\"length\":{length},");
        }
        out.push_str("\"version\":");
        out.push_str(&self.version.to_string());
        out.push('}');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::{Value, parse_canonical};

    fn any_file() -> impl Strategy<Value = MetaFile> {
        let hashes = (
            proptest::option::of(any::<[u8; 32]>()),
            proptest::option::of(proptest::array::uniform::<_, 64>(any::<u8>())),
            any::<bool>(),
        )
            .prop_map(|(sha256, sha512, other)| {
                let other = other.then(|| ("blake3".to_string(), Value::from("00")));
                Hashes {
                    sha256,
                    sha512,
                    other: other.into_iter().collect(),
                }
            });
        (
            1..u64::MAX,
            proptest::option::of(any::<u64>()),
            proptest::option::of(hashes),
            proptest::bool::weighted(0.2),
        )
            .prop_map(|(version, length, hashes, extra)| MetaFile {
                version,
                length,
                hashes: hashes.filter(|hashes| hashes.any_known() || !hashes.other.is_empty()),
                extra: extra
                    .then(|| ("x-more".to_string(), Value::from("text")))
                    .into_iter()
                    .collect(),
            })
    }

    proptest! {
        #[test]
        fn the_fast_way_writes_and_reads_what_the_slow_way_does(file in any_file()) {
            let mut text = String::new();
            file.write(&mut text);
            prop_assert_eq!(&text, &canonical::encode(&file.to_value()));
            let slow = MetaFile::decode("meta", parse_canonical(&text).unwrap()).unwrap();
            prop_assert_eq!(&slow, &file);
            let plain = file.extra.is_empty()
                && file.hashes.as_ref().is_none_or(|hashes| hashes.other.is_empty());
            match read_entry(&mut Scanner::canonical(&text)) {
                Ok(fast) => prop_assert_eq!(&fast, &file),
                Err(_) => prop_assert!(!plain),
            }
        }

        #[test]
        fn what_the_fast_way_takes_the_slow_way_takes_too(
            text in "\\{(\"hashes\":\\{\"sha256\":\"[0-9a-fA-Fg]{63,65}\"\\},)?(\"length\":-?[0-9]{1,21},)?\"version\":-?[0-9]{1,21}\\}"
        ) {
            let slow = parse_canonical(&text).and_then(|value| MetaFile::decode("meta", value));
            prop_assert_eq!(read_entry(&mut Scanner::canonical(&text)).ok(), slow.ok());
        }
    }
}
