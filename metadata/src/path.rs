//! Names that become file names and URLs: target paths and their safe subset.

use alloc::string::String;
use core::borrow::Borrow;
use core::fmt;

use crate::limits::MAX_TARGET_PATH;

/// A target path that is safe to use as a relative path on any system and in any URL.
///
/// Relative, `/` between segments, no empty, `.` or `..` segment, no control character and no
/// backslash, at most [`MAX_TARGET_PATH`] bytes (Uptane 5.2.7; TUF 4.5 TARGETPATH).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetPath(String);

/// Why a target path is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unsafe target path {path:?}: {why}")]
pub struct UnsafePath {
    /// The path as it was given, cut at 200 characters.
    pub path: String,
    /// The rule it breaks.
    pub why: &'static str,
}

impl TargetPath {
    /// Checks `path`.
    ///
    /// # Errors
    /// [`UnsafePath`] names the rule that `path` breaks.
    pub fn new(path: &str) -> Result<Self, UnsafePath> {
        let why = if path.is_empty() {
            "it is empty"
        } else if path.len() > MAX_TARGET_PATH {
            "it is too long"
        } else if path.starts_with('/') {
            "it must be relative"
        } else if path.chars().any(char::is_control) {
            "it has a control character"
        } else if path.contains('\\') {
            "it has a backslash; use / between segments"
        } else if path
            .split('/')
            .any(|segment| matches!(segment, "" | "." | ".."))
        {
            "it has an empty, '.' or '..' segment"
        } else {
            return Ok(Self(path.into()));
        };
        Err(UnsafePath {
            path: path.chars().take(200).collect(),
            why,
        })
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path with `prefix.` before its last segment: where a consistent repository keeps the
    /// file (TUF 6.2.1).
    pub fn with_prefix(&self, prefix: &str) -> String {
        match self.0.rsplit_once('/') {
            Some((directory, name)) => alloc::format!("{directory}/{prefix}.{name}"),
            None => alloc::format!("{prefix}.{}", self.0),
        }
    }
}

impl fmt::Display for TargetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for TargetPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// `text` with every byte outside `A-Z a-z 0-9 - . _ ~` as `%XX`: one URL segment and, with an
/// ending such as `.json`, one file name (RFC 3986 2.3). Without an ending, `.` and `..` stay what
/// they are.
pub fn percent_encode(text: &str) -> String {
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or('0');
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(digit(byte >> 4).to_ascii_uppercase());
            out.push(digit(byte & 15).to_ascii_uppercase());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_paths_are_refused() {
        for path in [
            "",
            "/etc/passwd",
            "../up",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "a\0b",
            "a\nb",
            "..",
            ".",
        ] {
            assert!(TargetPath::new(path).is_err(), "{path:?}");
        }
        for path in [
            "a", "a/b", ".hidden", "..name", "a b", "ü/ß", "a%2Fb", "...", "C:x",
        ] {
            assert!(TargetPath::new(path).is_ok(), "{path:?}");
        }
    }

    #[test]
    fn the_hash_goes_before_the_last_segment() -> Result<(), UnsafePath> {
        assert_eq!(
            TargetPath::new("a/b/c.img")?.with_prefix("ff"),
            "a/b/ff.c.img"
        );
        assert_eq!(TargetPath::new("c.img")?.with_prefix("ff"), "ff.c.img");
        Ok(())
    }

    #[test]
    fn percent_encoding_leaves_only_unreserved() {
        assert_eq!(percent_encode("../ä?#a-B_1.~"), "..%2F%C3%A4%3F%23a-B_1.~");
    }
}
