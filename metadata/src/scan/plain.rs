//! The description of a file in its usual form, read in one go.
//!
//! Nearly all of a large Targets or Snapshot file is such descriptions, so how long it takes to read one is how
//! long it takes to read the file. What looks different in any way is left to the lexer.

use super::Scanner;
use crate::limits::MAX_DEPTH;

/// A description that stands there as canonical form writes it, with nothing but known members:
///
/// ```text
/// {"hashes":{"sha256":"…","sha512":"…"},"length":1,"version":1}
/// ```
///
/// Each member may be missing, but there is one at least, and if there are hashes, there is one of them at least.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PlainFile<'a> {
    /// 64 hexadecimal digits.
    pub(crate) sha256: Option<&'a str>,
    /// 128 hexadecimal digits.
    pub(crate) sha512: Option<&'a str>,
    pub(crate) length: Option<u64>,
    pub(crate) version: Option<u64>,
}

impl<'a> Scanner<'a> {
    /// Reads a description in its usual form, if `make` can use it. Otherwise nothing is read.
    pub(crate) fn plain_file<T>(
        &mut self,
        make: impl FnOnce(PlainFile<'a>) -> Option<T>,
    ) -> Option<T> {
        // It opens two levels.
        if self.depth + 2 > MAX_DEPTH {
            return None;
        }
        let rest = self.text.get(self.at..)?;
        let (file, left) = read(rest)?;
        let made = make(file)?;
        self.at += rest.len() - left.len();
        Some(made)
    }
}

/// The description at the start of `text`, and the text after it.
fn read(text: &str) -> Option<(PlainFile<'_>, &str)> {
    let mut file = PlainFile::default();
    let mut left = text.strip_prefix('{')?;
    if let Some(hashes) = left.strip_prefix("\"hashes\":{") {
        left = hashes;
        if let Some(digits) = left.strip_prefix("\"sha256\":\"") {
            (file.sha256, left) = some(hexadecimal(digits, 64)?);
        }
        if let Some(digits) = next(left, file.sha256.is_none(), "\"sha512\":\"") {
            (file.sha512, left) = some(hexadecimal(digits, 128)?);
        }
        left = left.strip_prefix('}')?;
        file.sha256.or(file.sha512)?;
    }
    let mut first = left.len() + 1 == text.len();
    if let Some(digits) = next(left, first, "\"length\":") {
        (file.length, left) = some(number(digits)?);
        first = false;
    }
    if let Some(digits) = next(left, first, "\"version\":") {
        (file.version, left) = some(number(digits)?);
    }
    let any = left.len() + 1 < text.len();
    left.strip_prefix('}')
        .filter(|_| any)
        .map(|left| (file, left))
}

/// What follows the beginning of a member, which has a comma before it unless it is the first.
fn next<'a>(text: &'a str, first: bool, beginning: &str) -> Option<&'a str> {
    match first {
        true => text.strip_prefix(beginning),
        false => text.strip_prefix(',')?.strip_prefix(beginning),
    }
}

fn some<T>((value, left): (T, &str)) -> (Option<T>, &str) {
    (Some(value), left)
}

/// So many hexadecimal digits and the quote after them.
fn hexadecimal(text: &str, length: usize) -> Option<(&str, &str)> {
    let (digits, left) = text.split_at_checked(length)?;
    let left = left.strip_prefix('"')?;
    is_hexadecimal(digits).then_some((digits, left))
}

/// Whether `text` has nothing but hexadecimal digits. Without an early exit, so that the compiler can look at many
/// digits at once.
pub(crate) fn is_hexadecimal(text: &str) -> bool {
    text.bytes()
        .fold(true, |all, byte| all & byte.is_ascii_hexdigit())
}

/// A number of up to 19 digits, which is below 2^64.
fn number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take(20).take_while(u8::is_ascii_digit).count();
    let (number, left) = text.split_at_checked(digits)?;
    let spelled = match number.as_bytes() {
        [] | [b'0', _, ..] => false,
        digits => digits.len() < 20,
    };
    // A fraction or an exponent may follow, which the lexer refuses.
    let value = number.bytes().fold(0, |value: u64, digit| {
        value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))
    });
    spelled.then_some((value, left))
}

#[cfg(test)]
mod tests {
    use std::borrow::ToOwned as _;
    use std::format;
    use std::string::{String, ToString as _};
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::json::{Value, parse_canonical};

    /// Text that is such a description, or nearly.
    fn nearly() -> impl Strategy<Value = String> {
        let digits = |length: usize| {
            let of = |class: &str, length: usize| {
                proptest::string::string_regex(&format!("[{class}]{{{length}}}")).unwrap()
            };
            prop_oneof![
                10 => of("0-9a-fA-F", length),
                1 => of("0-9a-g", length),
                1 => of("0-9a-f", length - 1),
            ]
        };
        let number = || {
            prop_oneof![
                any::<u64>().prop_map(|number| number.to_string()),
                (0_u64..100).prop_map(|number| number.to_string()),
                "[0-9]{0,21}",
                "-?[0-9]{1,2}(\\.0|e1)?",
            ]
        };
        let hashes = (
            proptest::option::of(digits(64)),
            proptest::option::of(digits(128)),
        )
            .prop_map(|(sha256, sha512)| {
                let sha256 = sha256.map(|digits| format!("\"sha256\":\"{digits}\""));
                let sha512 = sha512.map(|digits| format!("\"sha512\":\"{digits}\""));
                let both: Vec<_> = sha256.into_iter().chain(sha512).collect();
                format!("\"hashes\":{{{}}}", both.join(","))
            });
        let members = (
            proptest::option::of(hashes),
            proptest::option::of(number().prop_map(|number| format!("\"length\":{number}"))),
            proptest::option::of(number().prop_map(|number| format!("\"version\":{number}"))),
            proptest::option::weighted(0.1, Just("\"x\":1".to_owned())),
        );
        let text = members.prop_map(|(hashes, length, version, other)| {
            let all: Vec<_> = [hashes, length, version, other]
                .into_iter()
                .flatten()
                .collect();
            format!("{{{}}}", all.join(","))
        });
        // Now and then a byte more or less, or another one.
        let change = proptest::option::of((any::<prop::sample::Index>(), " \\PC?"));
        (text, change).prop_map(|(mut text, change)| {
            if let Some((at, with)) = change {
                let at = at.index(text.len());
                text.replace_range(at..at + 1, with.trim_start());
            }
            text
        })
    }

    /// The same by way of values.
    fn slowly(text: &str) -> Option<PlainFile<'_>> {
        let value = parse_canonical(text).ok()?;
        let Value::Object(members) = &value else {
            return None;
        };
        let number = |name: &str| match members.get(name) {
            Some(Value::Integer(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        let quoted = |name: &str| {
            let (_, rest) = text.split_once(&format!("\"{name}\":\""))?;
            Some(rest.split_once('"')?.0)
        };
        Some(PlainFile {
            sha256: quoted("sha256"),
            sha512: quoted("sha512"),
            length: number("length"),
            version: number("version"),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn what_is_read_in_one_go_is_canonical_and_says_the_same(text in nearly(), tail in "[,}x]{0,2}") {
            let whole = format!("{text}{tail}");
            let mut scanner = Scanner::new(&whole);
            if let Some(file) = scanner.plain_file(Some) {
                let read = scanner.since(0);
                let mut slow = Scanner::new(read);
                prop_assert!(slow.walk_canonical().unwrap());
                prop_assert_eq!(slow.position(), read.len());
                prop_assert_eq!(slowly(read), Some(file));
            }
        }
    }

    #[test]
    fn the_usual_forms_are_read() {
        let sha256 = format!("\"sha256\":\"{}\"", "0a".repeat(32));
        let sha512 = format!("\"sha512\":\"{}\"", "F9".repeat(64));
        for text in [
            format!("{{\"hashes\":{{{sha256}}},\"length\":0}}"),
            format!("{{\"hashes\":{{{sha512}}},\"length\":10}}"),
            format!(
                "{{\"hashes\":{{{sha256},{sha512}}},\"length\":7,\"version\":9999999999999999999}}"
            ),
            "{\"version\":1}".into(),
            "{\"length\":5,\"version\":1}".into(),
        ] {
            let mut scanner = Scanner::new(&text);
            assert_eq!(scanner.plain_file(Some), slowly(&text));
            assert_eq!(scanner.position(), text.len(), "{text}");
        }
        for text in [
            "{}",
            "{\"hashes\":{},\"version\":1}",
            "{\"length\":01}",
            "{\"length\":-1}",
            "{\"length\":10000000000000000000}",
            "{,\"version\":1}",
            "{\"length\":1,}",
            "{\"version\":1,\"length\":1}",
            "{\"hashes\":{,\"sha512\":\"\"}}",
            "{\"version\": 1}",
        ] {
            let mut scanner = Scanner::new(text);
            assert_eq!(scanner.plain_file(Some), None, "{text}");
            assert_eq!(scanner.position(), 0);
        }
    }
}
