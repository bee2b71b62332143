//! One GET over HTTP, without the network: what is asked for, what an answer means, and which
//! redirects are followed. For any HTTP library.

use std::time::Duration;

use super::location::HttpUrl;
use super::{FetchError, MAX_REDIRECTS};

/// A GET under way. Ask for [`Get::url`] with the range of [`Get::range`], tell [`Get::answered`]
/// what came, and do so again until it says that the body follows.
#[derive(Debug, Clone)]
pub struct Get {
    asked: String,
    url: String,
    range_from: u64,
    redirects: u32,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// The body that follows is the file.
    Body {
        /// The offset in the file of the first byte: the one asked for, or 0.
        starts_at: u64,
        /// The bytes that the server announces: a claim, never a fact.
        content_length: Option<u64>,
    },
    /// Ask again: the URL or the range has changed.
    Again,
}

impl Get {
    /// A GET of `url`, from the byte `range_from` on.
    ///
    /// # Errors
    /// [`FetchError::BadUrl`] or [`FetchError::UnsupportedScheme`] if it cannot be sent byte for
    /// byte, or holds a password.
    pub fn new(url: &str, range_from: u64) -> Result<Self, FetchError> {
        HttpUrl::parse(url)?;
        Ok(Self {
            asked: url.to_owned(),
            url: url.to_owned(),
            range_from,
            redirects: 0,
        })
    }

    /// What to ask for now.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The value of the `Range` header; `None` if all of the file is wanted.
    pub fn range(&self) -> Option<String> {
        (self.range_from > 0).then(|| format!("bytes={}-", self.range_from))
    }

    /// Takes the head of an answer; `header` looks a header up by its lower-case name.
    ///
    /// # Errors
    /// [`FetchError::NotFound`] only if the server says that there is no such file; otherwise what
    /// the answer is in place of the file.
    pub fn answered<'h>(
        &mut self,
        status: u16,
        header: impl Fn(&'static str) -> Option<&'h str>,
    ) -> Result<Answered, FetchError> {
        let content_length = number(header("content-length"));
        let body = |starts_at| Answered::Body {
            starts_at,
            content_length,
        };
        match status {
            200 => Ok(body(0)),
            206 => {
                self.check_range(header("content-range"))?;
                Ok(body(self.range_from))
            }
            // What we hold is longer than the file: ask for all of it.
            416 if self.range_from > 0 => {
                self.range_from = 0;
                Ok(Answered::Again)
            }
            301 | 302 | 303 | 307 | 308 => {
                self.redirect(header("location"))?;
                Ok(Answered::Again)
            }
            403 | 404 | 410 => Err(FetchError::NotFound {
                url: self.url.clone(),
                status: Some(status),
            }),
            408 | 425 | 429 | 500..=599 => Err(FetchError::Unavailable {
                url: self.url.clone(),
                status,
                retry_after: number(header("retry-after")).map(Duration::from_secs),
            }),
            status => Err(FetchError::Status {
                url: self.url.clone(),
                status,
            }),
        }
    }

    /// Goes where the redirect leads, if it is one that we follow.
    fn redirect(&mut self, location: Option<&str>) -> Result<(), FetchError> {
        let refuse = |to: &str, why| FetchError::Redirect {
            url: self.url.clone(),
            to: to.to_owned(),
            why,
        };
        let from = HttpUrl::parse(&self.url)?;
        let location = location
            .filter(|to| !to.is_empty())
            .ok_or_else(|| refuse("", "it has no usable Location header"))?;
        let to = from.join(location);
        match HttpUrl::parse(&to) {
            Ok(parsed) if from.https && !parsed.https => {
                return Err(refuse(&to, "from https only https is followed"));
            }
            Ok(_) => {}
            Err(FetchError::UnsupportedScheme { .. }) => {
                return Err(refuse(&to, "only http and https are followed"));
            }
            Err(_) => return Err(refuse(&to, "it is not a usable URL")),
        }
        self.redirects += 1;
        if self.redirects > MAX_REDIRECTS {
            return Err(FetchError::TooManyRedirects {
                url: self.asked.clone(),
                limit: MAX_REDIRECTS,
            });
        }
        self.url = to;
        Ok(())
    }

    /// Whether a 206 holds the bytes that were asked for (RFC 9110 14.4).
    fn check_range(&self, content_range: Option<&str>) -> Result<(), FetchError> {
        let starts_at = content_range
            .and_then(|v| v.strip_prefix("bytes "))
            .and_then(|v| v.split('-').next())
            .and_then(|v| v.trim().parse::<u64>().ok());
        // 206 without having asked would be a part taken for the whole.
        if self.range_from > 0 && starts_at == Some(self.range_from) {
            return Ok(());
        }
        Err(FetchError::Protocol {
            url: self.url.clone(),
            detail: format!(
                "206 with Content-Range {content_range:?} for a request from byte {}",
                self.range_from
            ),
        })
    }
}

/// A header that is a number.
pub(super) fn number(text: Option<&str>) -> Option<u64> {
    text?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(
        get: &mut Get,
        status: u16,
        headers: &[(&str, &'static str)],
    ) -> Result<Answered, FetchError> {
        get.answered(status, |name| {
            let found = headers.iter().find(|(header, _)| *header == name);
            found.map(|(_, value)| *value)
        })
    }

    #[test]
    fn from_https_no_redirect_leads_out_of_it() {
        let mut get = Get::new("https://h/a/b", 0).unwrap();
        let inside = answer(&mut get, 302, &[("location", "../c")]).unwrap();
        assert_eq!((inside, get.url()), (Answered::Again, "https://h/c"));
        for to in ["http://h/c", "file:///c", "http://", ""] {
            let headers = [("location", to)];
            let refused = answer(&mut get.clone(), 307, &headers);
            assert!(matches!(refused, Err(FetchError::Redirect { .. })), "{to}");
        }
    }

    #[test]
    fn redirects_end() {
        let mut get = Get::new("http://h/0", 0).unwrap();
        for _ in 0..MAX_REDIRECTS {
            answer(&mut get, 301, &[("location", "/1")]).unwrap();
        }
        match answer(&mut get, 301, &[("location", "/1")]) {
            Err(FetchError::TooManyRedirects { url, .. }) => assert_eq!(url, "http://h/0"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_part_is_a_part_of_what_was_asked_for() {
        let mut get = Get::new("http://h/", 5).unwrap();
        assert_eq!(get.range().as_deref(), Some("bytes=5-"));
        let part = answer(&mut get, 206, &[("content-range", "bytes 5-8/9")]).unwrap();
        assert!(matches!(part, Answered::Body { starts_at: 5, .. }));
        for range in ["bytes 4-8/9", "bytes */9", "items 5-8/9"] {
            let refused = answer(&mut get, 206, &[("content-range", range)]);
            assert!(
                matches!(refused, Err(FetchError::Protocol { .. })),
                "{range}"
            );
        }
        // The file is shorter than what is there: all of it, and only once.
        assert_eq!(answer(&mut get, 416, &[]).unwrap(), Answered::Again);
        assert_eq!(get.range(), None);
        assert!(answer(&mut get, 416, &[]).is_err());
    }
}
