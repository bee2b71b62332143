//! Canonical JSON, the bytes that signatures cover.
//!
//! The OLPC form that TUF refers to: no white space, object keys in code-point order, integers
//! in decimal, strings in raw UTF-8 with only `"` and `\` escaped. Nothing is normalised. Control
//! characters stand raw in it, so canonical bytes are not always JSON: a PEM key has line feeds.
//! [`to_json`] is what gets published then.

use alloc::string::String;
use alloc::vec::Vec;
use core::slice;

use crate::error::MetadataError;
use crate::json::{self, Value, utf8};
use crate::scan::{Scanner, plain_run};

/// The canonical form of `value`.
pub fn encode(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

/// Whether `text` is one JSON value, byte for byte in canonical form.
///
/// # Errors
/// [`MetadataError::Malformed`] where `text` is not JSON at all. Duplicate keys are reported as
/// "not canonical", which they are.
pub fn is_canonical(text: &[u8]) -> Result<bool, MetadataError> {
    let mut scanner = Scanner::new(utf8(text)?);
    let leading = scanner.white_space();
    let canonical = scanner.skip_canonical()?;
    let length = scanner.position();
    scanner.end()?;
    Ok(canonical && !leading && length == text.len())
}

/// Canonical text as JSON: the same bytes, except that raw control characters are escaped.
pub fn to_json(canonical: &str) -> String {
    // Without an early exit, so that the compiler can check many bytes at once.
    let plain = canonical
        .bytes()
        .fold(true, |plain, byte| plain & (byte >= 0x20));
    if plain {
        return canonical.into();
    }
    let mut json = String::with_capacity(canonical.len());
    for run in canonical.split_inclusive(|character| character < ' ') {
        match run.as_bytes().split_last() {
            Some((control, _)) if *control < 0x20 => {
                json.push_str(run.get(..run.len() - 1).unwrap_or_default());
                push_control(&mut json, *control);
            }
            _ => json.push_str(run),
        }
    }
    json
}

/// The members that are left of a container whose beginning is written.
enum Left<'v> {
    Array(slice::Iter<'v, Value>),
    Object(json::Iter<'v>),
}

/// Without recursion: a caller's value may nest as deeply as it likes.
pub(crate) fn write(out: &mut String, value: &Value) {
    let mut open = Vec::new();
    let mut next = Some(value);
    while let Some(value) = next {
        match value {
            Value::Array(items) => {
                out.push('[');
                open.push(Left::Array(items.iter()));
            }
            // Strings compare in UTF-8 byte order, which is code-point order.
            Value::Object(members) => {
                out.push('{');
                open.push(Left::Object(members.iter()));
            }
            scalar => write_scalar(out, scalar),
        }
        next = advance(out, &mut open);
    }
}

/// Ends the containers that have nothing left; the value that is to be written next.
fn advance<'v>(out: &mut String, open: &mut Vec<Left<'v>>) -> Option<&'v Value> {
    loop {
        // No value ends like this: it is the container's first.
        let first = out.ends_with(['[', '{']);
        let (next, end) = match open.last_mut()? {
            Left::Array(items) => (items.next().map(|item| (None, item)), ']'),
            Left::Object(members) => (members.next().map(|(key, value)| (Some(key), value)), '}'),
        };
        let Some((key, value)) = next else {
            out.push(end);
            open.pop();
            continue;
        };
        if !first {
            out.push(',');
        }
        if let Some(key) = key {
            write_string(out, key);
            out.push(':');
        }
        return Some(value);
    }
}

fn write_scalar(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Integer(number) => {
            use core::fmt::Write as _;
            // Writing to a String cannot fail.
            let _ = write!(out, "{number}");
        }
        Value::String(text) => write_string(out, text),
        Value::Array(_) | Value::Object(_) => {}
    }
}

/// `{`, each member as `each` writes it, with commas between, `}`.
pub(crate) fn write_members<T>(
    out: &mut String,
    members: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut String, T),
) {
    out.push('{');
    for (index, member) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(out, member);
    }
    out.push('}');
}

pub(crate) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some((plain, special)) = rest.split_at_checked(plain_run(rest.as_bytes())) {
        out.push_str(plain);
        let mut special = special.chars();
        let Some(character) = special.next() else {
            break;
        };
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
        rest = special.as_str();
    }
    out.push('"');
}

fn push_control(json: &mut String, byte: u8) {
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or('0');
    match byte {
        b'\n' => json.push_str("\\n"),
        b'\r' => json.push_str("\\r"),
        b'\t' => json.push_str("\\t"),
        _ => {
            json.push_str("\\u00");
            json.push(digit(byte >> 4));
            json.push(digit(byte & 15));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;
    use alloc::vec::Vec;

    fn canonical_of(text: &str) -> String {
        encode(&parse(text.as_bytes()).expect(text))
    }

    #[test]
    fn keys_sort_by_code_point_and_without_their_quotes() {
        assert_eq!(
            canonical_of(r#"{"fw 2":1,"fw":2,"\uFFFF":3,"😀":4}"#),
            "{\"fw\":2,\"fw 2\":1,\"\u{FFFF}\":3,\"😀\":4}"
        );
    }

    #[test]
    fn only_quotes_and_backslashes_are_escaped() {
        assert_eq!(
            canonical_of(r#""a\/\u0062\n\t\"\\é""#),
            "\"a/b\n\t\\\"\\\\é\""
        );
    }

    #[test]
    fn published_text_escapes_control_characters_and_nothing_else() {
        assert_eq!(to_json("\"a\nb\u{1f}\u{7f}é\""), "\"a\\nb\\u001f\u{7f}é\"");
    }

    #[test]
    fn the_fast_check_agrees_with_encoding_again() {
        let cases: Vec<(&str, bool)> = Vec::from([
            (r#"{"a":1,"b":[true,null,-7]}"#, true),
            (r#"{"b":1,"a":2}"#, false),
            (r#"{"a":1,"a":2}"#, false),
            (r#"{"a": 1}"#, false),
            (r#"{"a":"\n"}"#, false),
            (r#"{"a":"\u0061"}"#, false),
            (r#"{"a\"":1,"a\\":2}"#, true),
            (r#"{"a\\":1,"a\"":2}"#, false),
            (r#"[{"x":{"z":0,"y":0}}]"#, false),
            (" {}", false),
            ("{}\n", false),
            ("{}", true),
        ]);
        for (text, expected) in cases {
            assert_eq!(
                is_canonical(text.as_bytes()).expect(text),
                expected,
                "{text}"
            );
        }
    }
}
