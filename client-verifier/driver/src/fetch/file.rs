//! `file:` URLs: repositories on a mounted medium.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::{Body, FetchError, Fetcher, location};
use crate::durable;

/// Reads `file:` URLs, and nothing but regular files.
#[derive(Debug, Default, Clone)]
pub struct FileFetcher(());

impl FileFetcher {
    /// A fetcher of local files.
    pub fn new() -> Self {
        FileFetcher(())
    }

    /// The file at `url`, from the byte `range_from` on; from its first one if it is shorter than
    /// that. With it, where in the file that is, and how many bytes follow.
    ///
    /// # Errors
    /// As [`Fetcher::open`].
    pub fn open_file(url: &str, range_from: u64) -> Result<(File, u64, u64), FetchError> {
        let path = path_of(url)?;
        let failed = |source| FetchError::File {
            path: path.clone(),
            source,
        };
        let opened = durable::open_regular(&path).map_err(failed)?;
        let Some((mut file, length)) = opened else {
            return Err(FetchError::NotFound {
                url: url.to_owned(),
                status: None,
            });
        };
        // A partial download longer than the file was of another file: send all of this one.
        let starts_at = if range_from <= length { range_from } else { 0 };
        file.seek(SeekFrom::Start(starts_at)).map_err(failed)?;
        Ok((file, starts_at, length - starts_at))
    }
}

impl Fetcher for FileFetcher {
    fn open(&mut self, url: &str, range_from: u64) -> Result<Body<'_>, FetchError> {
        let (file, starts_at, length) = Self::open_file(url, range_from)?;
        Ok(Body::new(url, file, Some(length), starts_at))
    }
}

/// The path that a `file:` URL names (RFC 8089).
pub(super) fn path_of(url: &str) -> Result<PathBuf, FetchError> {
    let bad = |why| FetchError::BadUrl {
        url: url.to_owned(),
        why,
    };
    let rest = match location::scheme(url) {
        Some(s) if s.eq_ignore_ascii_case("file") => &url[s.len() + 1..],
        _ => {
            return Err(FetchError::UnsupportedScheme {
                url: url.to_owned(),
                supported: "file",
            });
        }
    };
    let path = match rest.strip_prefix("//") {
        Some(after) => after.strip_prefix("localhost").unwrap_or(after),
        None => rest,
    };
    if !path.starts_with('/') {
        return Err(bad("expected file:///absolute/path"));
    }
    if path.contains(['?', '#']) {
        return Err(bad("'?' and '#' must be percent-encoded"));
    }
    let bytes =
        decode(path).ok_or_else(|| bad("'%' must be followed by two hexadecimal digits"))?;
    // %2F would let one name reach into another directory, and no file name holds NUL.
    if bytes.contains(&0)
        || bytes.iter().filter(|b| **b == b'/').count() != path.matches('/').count()
    {
        return Err(bad("an encoded '/' or NUL cannot be part of a file name"));
    }
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let high = char::from(*tail.first()?).to_digit(16)?;
            let low = char::from(*tail.get(1)?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_once() {
        for (url, path) in [
            ("file:///a/b%20c", "/a/b c"),
            ("file:/a", "/a"),
            ("FILE://localhost/a%252Fb", "/a%2Fb"),
        ] {
            assert_eq!(path_of(url).unwrap(), PathBuf::from(path), "{url}");
        }
    }

    #[test]
    fn other_hosts_schemes_and_hidden_separators_are_refused() {
        for url in [
            "file://server/a",
            "file:a",
            "http://h/a",
            "file:///a%2F..%2Fb",
            "file:///a%00",
            "file:///a%zz",
            "file:///a%2",
            "file:///a?b",
        ] {
            assert!(path_of(url).is_err(), "{url}");
        }
    }
}
