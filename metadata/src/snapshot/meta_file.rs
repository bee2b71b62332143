//! The entries of a Snapshot that lists many thousand files, written without building values of them.

use alloc::string::{String, ToString};
use core::fmt::Write as _;

use super::MetaFile;
use crate::canonical;
use crate::hashes::Hashes;

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
    use crate::scan::Scanner;

    /// Numbers of more digits are left to the lexer.
    const MAX_PLAIN: u64 = 9_999_999_999_999_999_999;

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
            match Scanner::canonical(&text).plain_file(MetaFile::of_plain) {
                Some(fast) => prop_assert_eq!(&fast, &file),
                None => prop_assert!(!plain || file.version > MAX_PLAIN || file.length > Some(MAX_PLAIN)),
            }
        }

        #[test]
        fn what_the_fast_way_takes_the_slow_way_takes_too(
            text in "\\{(\"hashes\":\\{\"sha256\":\"[0-9a-fA-Fg]{63,65}\"\\},)?(\"length\":-?[0-9]{1,21},)?\"version\":-?[0-9]{1,21}\\}"
        ) {
            if let Some(fast) = Scanner::canonical(&text).plain_file(MetaFile::of_plain) {
                let slow = parse_canonical(&text).and_then(|value| MetaFile::decode("meta", value));
                prop_assert_eq!(slow.ok(), Some(fast));
            }
        }
    }
}
