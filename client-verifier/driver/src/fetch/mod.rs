//! Fetching bytes from a server that may be hostile.
//!
//! A [`Fetcher`] does one GET per call and never retries by itself; [`fetch_bytes`] and
//! [`crate::files::download`] retry, under the rules of [`Effort`]. What comes out is untrusted:
//! only its size and the time it took are bounded here. [`HttpFetcher::exchange`] is for the few
//! requests that carry something to a service.

mod error;
mod exchange;
mod file;
mod http;
mod location;
mod pace;
mod retry;
mod tls;
mod transport;

pub use error::{FetchError, SlowPhase};
pub use exchange::{Answer, Method};
pub use file::FileFetcher;
pub use http::HttpFetcher;
pub use location::check_base_url;
pub use pace::Patience;
pub use retry::Effort;
pub use tls::{TlsIdentity, TlsRoots};

use std::fmt;
use std::io::{self, Read};

/// How many redirects one GET follows. More than a repository behind a CDN needs.
pub const MAX_REDIRECTS: u32 = 5;

/// Bytes read per call while a body is taken in.
const CHUNK: usize = 64 * 1024;

/// One GET at a time, streamed.
///
/// Implementations: [`HttpFetcher`], [`FileFetcher`], [`UrlFetcher`], and any the embedder brings.
pub trait Fetcher {
    /// Starts one GET of `url`, asking for the bytes from `range_from` on (0 asks for all).
    ///
    /// The URL is sent byte for byte: percent-encoding is the caller's. A server may ignore the
    /// range, so the caller must look at [`Body::starts_at`].
    ///
    /// # Errors
    /// [`FetchError::NotFound`] only if the server said that there is no such file. Everything
    /// else means that it is not known whether there is one.
    fn open(&mut self, url: &str, range_from: u64) -> Result<Body<'_>, FetchError>;
}

/// The body of one response, read as it arrives.
pub struct Body<'a> {
    url: String,
    reader: Box<dyn Read + 'a>,
    content_length: Option<u64>,
    starts_at: u64,
}

impl<'a> Body<'a> {
    /// A body for `url`.
    ///
    /// `content_length` is the number of bytes the server announced for this response, in bytes.
    /// `starts_at` is the offset in the file of its first byte: the requested one, or 0.
    /// An [`io::Error`] that wraps a [`FetchError`] comes out of [`Body::read`] as that error.
    pub fn new(
        url: impl Into<String>,
        reader: impl Read + 'a,
        content_length: Option<u64>,
        starts_at: u64,
    ) -> Self {
        Body {
            url: url.into(),
            reader: Box::new(reader),
            content_length,
            starts_at,
        }
    }

    /// The bytes the server announced for this response: a claim, never a fact.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The offset in the file of the first byte: 0 if the server ignored the range.
    pub fn starts_at(&self) -> u64 {
        self.starts_at
    }

    /// Reads the next bytes into `buf` and returns their number; 0 is the end of the body.
    ///
    /// # Errors
    /// [`FetchError::Slow`] if the server stalls, [`FetchError::Disconnected`] if the body broke
    /// off, or what the fetcher's reader reports.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize, FetchError> {
        loop {
            return match self.reader.read(buf) {
                Ok(n) => Ok(n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => Err(FetchError::from_io(&self.url, e)),
            };
        }
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("url", &self.url)
            .field("content_length", &self.content_length)
            .field("starts_at", &self.starts_at)
            .finish_non_exhaustive()
    }
}

/// Fetches a whole file of at most `max_len` bytes, with retries.
///
/// At most `max_len + 1` bytes are read, and memory grows with what arrived, not with what was
/// announced. A body that broke off is fetched again from its start: a metadata file may have been
/// replaced in between, and a mixture of two would look like an attack.
///
/// # Errors
/// [`FetchError::TooLarge`] above `max_len` (endless data); otherwise the last try's error.
pub fn fetch_bytes(
    fetcher: &mut dyn Fetcher,
    url: &str,
    max_len: u64,
) -> Result<Vec<u8>, FetchError> {
    let mut effort = Effort::start();
    loop {
        let error = match fetch_once(fetcher, url, max_len, &mut effort) {
            Ok(bytes) => return Ok(bytes),
            Err(error) => error,
        };
        effort.again_after(error)?;
    }
}

fn fetch_once(
    fetcher: &mut dyn Fetcher,
    url: &str,
    max_len: u64,
    effort: &mut Effort,
) -> Result<Vec<u8>, FetchError> {
    let too_large = || FetchError::TooLarge {
        url: url.to_owned(),
        limit: max_len,
    };
    let mut body = fetcher.open(url, 0)?;
    if body.content_length().is_some_and(|n| n > max_len) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let mut filled = 0;
    loop {
        // The vector doubles with what has arrived, and never grows beyond the limit and a byte.
        let room = (max_len.saturating_add(1)).saturating_sub(filled as u64);
        if filled == bytes.len() {
            let step = (filled.max(4096)).min(usize::try_from(room).unwrap_or(usize::MAX));
            bytes.resize(filled + step.min(16 * CHUNK), 0);
        }
        let n = body.read(&mut bytes[filled..])?;
        if n == 0 {
            bytes.truncate(filled);
            return Ok(bytes);
        }
        filled += n;
        effort.received(n as u64);
        if filled as u64 > max_len {
            return Err(too_large());
        }
    }
}

/// Chooses the fetcher by the scheme of the URL: `http`, `https` or `file`.
///
/// The choice is made on the URL the caller gives; a redirect never changes it.
#[derive(Debug)]
pub struct UrlFetcher {
    http: HttpFetcher,
    file: FileFetcher,
}

impl UrlFetcher {
    /// A fetcher for all three schemes that speaks HTTP through `http`.
    pub fn new(http: HttpFetcher) -> Self {
        UrlFetcher {
            http,
            file: FileFetcher::new(),
        }
    }

    /// Whether files can be asked for below `url`, as far as that shows without a request.
    ///
    /// # Errors
    /// As [`check_base_url`], and for what is no whole `http`, `https` or `file` URL.
    pub fn check_base_url(url: &str) -> Result<(), FetchError> {
        check_base_url(url)?;
        match location::scheme(url)
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            Some("http" | "https") => location::HttpUrl::parse(url).map(|_| ()),
            Some("file") => file::path_of(url).map(|_| ()),
            _ => Err(FetchError::UnsupportedScheme {
                url: location::without_credentials(url),
                supported: "one that begins with https://, http:// or file:///",
            }),
        }
    }
}

impl Fetcher for UrlFetcher {
    fn open(&mut self, url: &str, range_from: u64) -> Result<Body<'_>, FetchError> {
        match location::scheme(url) {
            Some(s) if s.eq_ignore_ascii_case("file") => self.file.open(url, range_from),
            _ => self.http.open(url, range_from),
        }
    }
}
