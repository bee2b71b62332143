//! The textual form of a public key (RFC 7468): base64 between two lines that say what it is.
//!
//! As strict as the crate `pem-rfc7468`, which tests compare it with, in less code: lines of 64 characters, one
//! text for one content, no headers. Public keys are no secret, so nothing here has to take the same
//! time for all of them.

use alloc::string::String;
use alloc::vec::Vec;

const BEGIN: &[u8] = b"-----BEGIN PUBLIC KEY-----";
const END: &[u8] = b"-----END PUBLIC KEY-----";
const ANY_BEGIN: &[u8] = b"-----BEGIN ";

/// Characters in a line, and bytes that these stand for.
const LINE: usize = 64;
const LINE_BYTES: usize = 48;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What a text holds that is one public key.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut rest = body(text.as_bytes())?;
    let mut decoded = Vec::with_capacity(rest.len() / 4 * 3);
    while !rest.is_empty() {
        let line;
        (line, rest) = next_line(rest)?;
        let (groups, []) = line.as_chunks::<4>() else {
            return None;
        };
        for (at, group) in groups.iter().enumerate() {
            let (bytes, length) = decode_group(*group)?;
            let is_last = rest.is_empty() && at + 1 == groups.len();
            if length < 3 && !is_last {
                return None;
            }
            decoded.extend(bytes.iter().take(length));
        }
    }
    Some(decoded)
}

/// A public key as a text.
pub(crate) fn encode(key: &[u8]) -> String {
    let mut text = String::from("-----BEGIN PUBLIC KEY-----\n");
    for line in key.chunks(LINE_BYTES) {
        for bytes in line.chunks(3) {
            encode_group(&mut text, bytes);
        }
        text.push('\n');
    }
    text.push_str("-----END PUBLIC KEY-----\n");
    text
}

/// What stands between the two lines. Before the first one there may be any text.
fn body(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    let mut starts_line = true;
    while !(starts_line && rest.starts_with(ANY_BEGIN)) {
        let (byte, others) = rest.split_first()?;
        if *byte == 0 {
            return None;
        }
        starts_line = *byte == b'\n';
        rest = others;
    }
    let rest = after_line_end(rest.strip_prefix(BEGIN)?)?;
    before_line_end(rest.strip_suffix(END)?)
}

/// The next line, and what follows its end. The last line need not have an end.
fn next_line(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    match rest.split_at_checked(LINE) {
        Some((line, others)) if !others.is_empty() => Some((line, after_line_end(others)?)),
        _ => Some((before_line_end(rest).unwrap_or(rest), &[])),
    }
}

fn after_line_end(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'\r', b'\n', rest @ ..] | [b'\r' | b'\n', rest @ ..] => Some(rest),
        _ => None,
    }
}

fn before_line_end(text: &[u8]) -> Option<&[u8]> {
    match text {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\r' | b'\n'] => Some(rest),
        _ => None,
    }
}

/// The bytes that four characters stand for, and how many of them count.
fn decode_group(group: [u8; 4]) -> Option<([u8; 3], usize)> {
    let length = match group {
        [_, _, b'=', b'='] => 1,
        [_, _, _, b'='] => 2,
        _ => 3,
    };
    let mut bits = 0;
    for (at, character) in group.into_iter().enumerate() {
        let value = match at <= length {
            true => ALPHABET.iter().position(|known| *known == character)?,
            false => 0,
        };
        bits = bits << 6 | value as u32;
    }
    let [_, bytes @ ..] = bits.to_be_bytes();
    // Bits that stand for nothing are 0.
    let is_canonical = bytes.iter().skip(length).all(|byte| *byte == 0);
    is_canonical.then_some((bytes, length))
}

fn encode_group(text: &mut String, bytes: &[u8]) {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
    let bits = u32::from_be_bytes([0, byte(0), byte(1), byte(2)]);
    for at in 0..4 {
        let value = (bits >> (18 - 6 * at)) as usize % 64;
        let known = ALPHABET.get(value).copied().unwrap_or_default();
        text.push(match at <= bytes.len() {
            true => char::from(known),
            false => '=',
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use der::pem::{self, LineEnding};
    use proptest::prelude::*;

    /// What the library says of the same text.
    fn by_library(text: &str) -> Option<Vec<u8>> {
        let (label, bytes) = pem::decode_vec(text.as_bytes()).ok()?;
        (label == "PUBLIC KEY").then_some(bytes)
    }

    fn agree(text: &str) -> Result<(), TestCaseError> {
        // The library knows no empty key; whoever reads the key does not, either.
        let ours = decode(text).filter(|key| !key.is_empty());
        prop_assert_eq!(ours, by_library(text), "{:?}", text);
        Ok(())
    }

    #[test]
    fn texts_that_are_almost_keys() {
        let line = "A".repeat(64);
        let bodies = [
            "",
            "\n",
            "AAAA",
            "AAAA\n",
            "AAAA\n\n",
            "AAAA\r\n",
            "AAAA\r\n\n",
            "AAAA\n\r\n",
            "AA\nAA",
            "AAA",
            "AAAAA",
            "AA==",
            "AB==",
            "AAA=",
            "AAB=",
            "AAE=",
            "A===",
            "====",
            "AA==AAAA",
            "AA=A",
            "=AAA",
            "AAAA ",
            " AAAA",
            "AAAA\tAAAA",
            "-AAA",
            "AA_A",
            "AAéA",
        ];
        for body in bodies {
            for body in [
                body.to_string(),
                format!("{line}\n{body}"),
                format!("{line}\r{line}\r\n{body}"),
            ] {
                for label in ["PUBLIC KEY", "PUBLIC  KEY", "RSA PUBLIC KEY", "PUBLIC KEY "] {
                    for before in [
                        "",
                        "text\n",
                        "\0\n",
                        "text",
                        "\n",
                        "-----BEGIN X-----\n",
                        "\r",
                    ] {
                        for end in ["\n", "\r\n", "\r", ""] {
                            let text = format!(
                                "{before}-----BEGIN {label}-----{end}{body}{end}-----END {label}-----"
                            );
                            agree(&text).unwrap();
                        }
                    }
                }
            }
        }
        let mismatched = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----";
        assert_eq!((decode(mismatched), by_library(mismatched)), (None, None));
    }

    proptest! {
        #[test]
        fn a_key_is_written_and_read_as_the_library_does(
            key in proptest::collection::vec(any::<u8>(), 1..300),
            at in any::<prop::sample::Index>(),
            byte in prop::sample::select(b"\r\n \0=A/-_".to_vec()),
            insert in any::<bool>(),
        ) {
            let text = encode(&key);
            prop_assert_eq!(&text, &pem::encode_string("PUBLIC KEY", LineEnding::LF, &key).unwrap());
            prop_assert_eq!(decode(text.trim()), Some(key));
            agree(text.trim())?;
            agree(&text.trim().replace('\n', "\r\n"))?;
            let mut changed = text.trim().as_bytes().to_vec();
            let at = at.index(changed.len());
            match insert {
                true => changed.insert(at, byte),
                false => changed[at] = byte,
            }
            agree(&String::from_utf8(changed).unwrap())?;
        }

        #[test]
        fn lines_of_any_form_are_judged_as_the_library_judges_them(body in "([AQz/]{4}){0,16}(\r\n|\n|\r)?([AQz/]{4}){0,17}={0,2}(\r|\n|\r\n){0,2}") {
            agree(&format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----"))?;
        }
    }
}
