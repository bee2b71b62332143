//! Percent-encoding (RFC 3986 2.1), strict, and `name=value` lists.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::UriError;

/// Everything but RFC 3986 unreserved characters.
pub(super) const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// As [`VALUE`], with the characters that make paths readable.
pub(super) const PATH: &AsciiSet = &VALUE
    .remove(b'/')
    .remove(b':')
    .remove(b'@')
    .remove(b'+')
    .remove(b',');

/// The encoded form of `bytes`.
pub(super) fn encode(bytes: &[u8], set: &'static AsciiSet) -> String {
    percent_encode(bytes, set).to_string()
}

/// The bytes that `text` stands for. `%` must be followed by two hexadecimal digits.
pub(super) fn decode(what: &str, text: &str) -> Result<Vec<u8>, UriError> {
    let broken = |tail: &str| {
        let digits = tail.as_bytes().get(..2);
        !digits.is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit))
    };
    if text.split('%').skip(1).any(broken) {
        return Err(UriError::new(format!(
            "{what} has a % without two hexadecimal digits; a percent sign is written %25"
        )));
    }
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(UriError::new(format!("{what} has a control character")));
    }
    Ok(percent_decode_str(text).collect())
}

/// As [`decode`], for text.
pub(super) fn decode_text(what: &str, text: &str) -> Result<String, UriError> {
    let decoded = String::from_utf8(decode(what, text)?)
        .map_err(|_| UriError::new(format!("{what} is not UTF-8")))?;
    match decoded.is_empty() {
        true => Err(UriError::new(format!("{what} is empty"))),
        false => Ok(decoded),
    }
}

/// As [`decode`], for paths.
pub(super) fn decode_path(what: &str, text: &str) -> Result<PathBuf, UriError> {
    path(what, decode(what, text)?)
}

pub(super) fn path(what: &str, bytes: Vec<u8>) -> Result<PathBuf, UriError> {
    if bytes.is_empty() {
        return Err(UriError::new(format!("{what} is empty")));
    }
    if bytes.contains(&0) {
        return Err(UriError::new(format!("{what} has a zero byte")));
    }
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

/// The pairs of `name=value` items between `separator`s. A name that comes twice is refused.
pub(super) fn pairs(text: &str, separator: char) -> Result<Vec<(&str, &str)>, UriError> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for item in text.split(separator).filter(|_| !text.is_empty()) {
        let Some((name, value)) = item.split_once('=') else {
            return Err(UriError::new(format!(
                "attributes are NAME=VALUE, separated by {separator:?}"
            )));
        };
        if pairs.iter().any(|(seen, _)| *seen == name) {
            return Err(UriError::new(format!("{name:?} stands there twice")));
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}
