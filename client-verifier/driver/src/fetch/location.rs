//! URLs, as far as fetching needs them: checked, and never rewritten.
//!
//! A general URL library normalises, and a name that was signed has to reach the server as it was
//! encoded by the caller.

use super::FetchError;
use super::file::path_of;

/// The scheme of `url`, if it has one.
pub(super) fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let mut bytes = scheme.bytes();
    let valid = bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    valid.then_some(scheme)
}

/// Whether names can be put behind `url`, of whatever scheme: a query or fragment would swallow
/// them.
///
/// # Errors
/// [`FetchError::BadUrl`] if it is empty or has a `?` or `#`.
pub fn check_base_url(url: &str) -> Result<(), FetchError> {
    let why = if url.is_empty() {
        "it is empty"
    } else if url.contains(['?', '#']) {
        "file names are put behind it, so it can have no '?' and no '#'"
    } else {
        return Ok(());
    };
    Err(FetchError::BadUrl {
        url: without_credentials(url),
        why,
    })
}

/// Whether files can be asked for below `url`, as far as that shows without a request.
///
/// # Errors
/// As [`check_base_url`], and for what is no whole `http`, `https` or `file` URL.
pub fn check_repository_url(url: &str) -> Result<(), FetchError> {
    check_base_url(url)?;
    match scheme(url).map(str::to_ascii_lowercase).as_deref() {
        Some("http" | "https") => HttpUrl::parse(url).map(|_| ()),
        Some("file") => path_of(url).map(|_| ()),
        _ => Err(FetchError::UnsupportedScheme {
            url: without_credentials(url),
            supported: "one that begins with https://, http:// or file:///",
        }),
    }
}

/// Whether `url` is one for a [`super::FileFetcher`].
pub fn is_file_url(url: &str) -> bool {
    scheme(url).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file"))
}

/// An `http` or `https` URL, in parts of the text it was given as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HttpUrl<'a> {
    pub(super) https: bool,
    /// `scheme://host:port`.
    origin: &'a str,
    /// The path, without query; empty or starting with `/`.
    path: &'a str,
}

impl<'a> HttpUrl<'a> {
    /// Takes `url` apart if it can be sent byte for byte.
    pub(super) fn parse(url: &'a str) -> Result<Self, FetchError> {
        let bad = |why| FetchError::BadUrl {
            url: without_credentials(url),
            why,
        };
        let https = match scheme(url) {
            Some(s) if s.eq_ignore_ascii_case("http") => false,
            Some(s) if s.eq_ignore_ascii_case("https") => true,
            _ => {
                return Err(FetchError::UnsupportedScheme {
                    url: without_credentials(url),
                    supported: "http or https",
                });
            }
        };
        if !url.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad(
                "spaces, control and non-ASCII characters must be percent-encoded",
            ));
        }
        if url.contains('#') {
            return Err(bad("'#' would be cut off; encode it as %23"));
        }
        let authority_at = url
            .find("://")
            .ok_or_else(|| bad("'//' is missing after the scheme"))?
            + 3;
        let authority_end = url[authority_at..]
            .find(['/', '?'])
            .map_or(url.len(), |i| authority_at + i);
        let authority = &url[authority_at..authority_end];
        if authority.is_empty() || authority.starts_with(':') {
            return Err(bad("the host name is missing"));
        }
        if authority.contains('@') {
            return Err(bad("user names and passwords in URLs are not supported"));
        }
        let rest = &url[authority_end..];
        Ok(HttpUrl {
            https,
            origin: &url[..authority_end],
            path: rest.split('?').next().unwrap_or_default(),
        })
    }

    /// Where a redirect from here to `location` leads (RFC 3986 5.2, RFC 9110 10.2.2).
    ///
    /// The answer still has to be parsed: it may have any scheme.
    pub(super) fn join(&self, location: &str) -> String {
        let location = location.split('#').next().unwrap_or_default();
        if scheme(location).is_some() {
            return location.to_owned();
        }
        if location.starts_with("//") {
            let scheme = if self.https { "https:" } else { "http:" };
            return format!("{scheme}{location}");
        }
        if location.starts_with('/') {
            return format!("{}{location}", self.origin);
        }
        if location.is_empty() || location.starts_with('?') {
            return format!("{}{}{location}", self.origin, self.path);
        }
        let (path, query) = match location.find('?') {
            Some(at) => location.split_at(at),
            None => (location, ""),
        };
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!(
            "{}{}{query}",
            self.origin,
            without_dots(&format!("{folder}/{path}"))
        )
    }
}

/// `path` without `.` and `..` segments (RFC 3986 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

/// `url` with its user name and password left out, for error messages.
pub(super) fn without_credentials(url: &str) -> String {
    let Some(start) = url.find("//").map(|i| i + 2) else {
        return url.to_owned();
    };
    let end = url[start..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |i| start + i);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}***{}", &url[..start], &url[start + at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_the_standard_says() {
        let base = HttpUrl::parse("https://h:8443/a/b/c.json?x=1").unwrap();
        for (location, expected) in [
            ("https://other/x", "https://other/x"),
            ("ftp://other/x", "ftp://other/x"),
            ("//other/x", "https://other/x"),
            ("/x%2Fy?q", "https://h:8443/x%2Fy?q"),
            ("d.json", "https://h:8443/a/b/d.json"),
            ("../d.json?q=../r", "https://h:8443/a/d.json?q=../r"),
            ("../../../../d", "https://h:8443/d"),
            ("./", "https://h:8443/a/b/"),
            ("..", "https://h:8443/a/"),
            ("?y", "https://h:8443/a/b/c.json?y"),
            ("d.json#part", "https://h:8443/a/b/d.json"),
        ] {
            assert_eq!(base.join(location), expected, "{location}");
        }
        assert_eq!(HttpUrl::parse("http://h").unwrap().join("x"), "http://h/x");
    }

    #[test]
    fn what_cannot_be_sent_as_it_stands_is_refused() {
        for url in [
            "http://h/a b",
            "http://h/ä",
            "http://h/a#b",
            "http://h/a\r\nX: y",
            "http:///a",
            "http:a",
            "http://:80/",
        ] {
            assert!(
                matches!(HttpUrl::parse(url), Err(FetchError::BadUrl { .. })),
                "{url}"
            );
        }
        for url in ["file:///a", "ftp://h/", "no scheme", "", "1http://h/"] {
            assert!(
                matches!(
                    HttpUrl::parse(url),
                    Err(FetchError::UnsupportedScheme { .. })
                ),
                "{url}"
            );
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        let error = HttpUrl::parse("https://user:secret@h/a")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("not supported") && !error.contains("secret"),
            "{error}"
        );
        let error = HttpUrl::parse("ftp://user:secret@h/a")
            .unwrap_err()
            .to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
