//! Fetching bytes from a server that may be hostile.
//!
//! A [`Fetcher`] does one GET per call and never retries by itself; [`fetch_bytes`] and
//! [`crate::files::download`] retry, under the rules of [`Effort`]. What comes out is untrusted:
//! only its size and the time it took are bounded here.
//!
//! With the feature `http` there is `HttpFetcher`, whose `exchange` is for the few requests that carry
//! something to a service. Its rules are here without it, for fetchers over other HTTP libraries:
//! [`Get`] (redirects, ranges, what a status means), [`Patience`] and [`Rate`] (time), [`Effort`]
//! (retries), [`WholeFile`] (size), and with the feature `tls` `client_config`.

mod error;
#[cfg(feature = "http")]
mod exchange;
mod file;
mod get;
#[cfg(feature = "http")]
mod http;
mod location;
#[cfg(feature = "http")]
mod pace;
mod patience;
mod rate;
mod retry;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "http")]
mod transport;
#[cfg(feature = "http")]
mod ureq_tls;
#[cfg(feature = "http")]
mod url;
mod whole;

pub use error::{FetchError, SlowPhase};
#[cfg(feature = "http")]
pub use exchange::{Answer, Method};
pub use file::FileFetcher;
pub use get::{Answered, Get};
#[cfg(feature = "http")]
pub use http::HttpFetcher;
pub use location::{check_base_url, check_repository_url, is_file_url};
pub use patience::Patience;
pub use rate::Rate;
pub use retry::Effort;
#[cfg(feature = "tls")]
pub use tls::{TlsIdentity, TlsRoots, client_config};
#[cfg(feature = "http")]
pub use url::UrlFetcher;
pub use whole::WholeFile;

use std::fmt;
use std::io::{self, Read};

/// How many redirects one GET follows. More than a repository behind a CDN needs.
pub const MAX_REDIRECTS: u32 = 5;

/// Bytes read per call while a body is taken in.
const CHUNK: usize = 64 * 1024;

/// One GET at a time, streamed.
///
/// Implementations: `HttpFetcher` and `UrlFetcher` (feature `http`), [`FileFetcher`], and any the
/// embedder brings: `examples/own_parts.rs` has one. It does not retry, bounds nothing but time, and
/// is never asked for two files at once.
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
    let mut body = fetcher.open(url, 0)?;
    let mut file = WholeFile::begin(url, max_len, body.content_length())?;
    loop {
        let n = body.read(file.room())?;
        if n == 0 {
            return Ok(file.into_bytes());
        }
        effort.received(n as u64);
        file.filled(n)?;
    }
}
