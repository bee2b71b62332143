//! Fetching bytes from a server that may be hostile, without blocking a task.
//!
//! A [`Fetcher`] does one GET per call and never retries by itself; [`fetch_bytes`] and
//! [`download`](crate::download::download) retry, under the rules of [`Effort`]. Those of HTTP are in
//! [`countersign_client::fetch`], for this crate's `HttpFetcher` and any other.

mod file;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod url;

pub use file::FileFetcher;
#[cfg(feature = "http")]
pub use http::HttpFetcher;
#[cfg(feature = "http")]
pub use url::UrlFetcher;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use countersign_client::fetch::{Effort, FetchError, WholeFile};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// One GET at a time, streamed.
///
/// Write the method as `async fn`. That the trait asks for `impl Future + Send`, and not for a boxed
/// future, costs no allocation and lets a client's futures be spawned; the price is that there is no
/// `dyn Fetcher`.
///
/// Implementations: `HttpFetcher` and `UrlFetcher` (feature `http`), [`FileFetcher`], and any the
/// embedder brings.
pub trait Fetcher: Send {
    /// Starts one GET of `url`, asking for the bytes from `range_from` on (0 asks for all).
    ///
    /// The URL is sent byte for byte: percent-encoding is the caller's. A server may ignore the
    /// range, so the caller must look at [`Body::starts_at`].
    ///
    /// # Errors
    /// [`FetchError::NotFound`] only if the server said that there is no such file. Everything
    /// else means that it is not known whether there is one.
    fn open(
        &mut self,
        url: &str,
        range_from: u64,
    ) -> impl Future<Output = Result<Body, FetchError>> + Send;
}

/// The body of one response, read as it arrives.
pub struct Body {
    url: String,
    reader: Pin<Box<dyn AsyncRead + Send>>,
    content_length: Option<u64>,
    starts_at: u64,
}

impl Body {
    /// A body for `url`.
    ///
    /// `content_length` is the number of bytes the server announced for this response.
    /// `starts_at` is the offset in the file of its first byte: the requested one, or 0. An
    /// [`std::io::Error`] that wraps a [`FetchError`] comes out of [`Body::read`] as that error.
    pub fn new(
        url: impl Into<String>,
        reader: impl AsyncRead + Send + 'static,
        content_length: Option<u64>,
        starts_at: u64,
    ) -> Self {
        Self {
            url: url.into(),
            reader: Box::pin(reader),
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

    /// Reads the next bytes into `buf` and returns their number; 0 is the end of the body. If this
    /// future is dropped, nothing was read.
    ///
    /// # Errors
    /// [`FetchError::Slow`] if the server stalls, [`FetchError::Disconnected`] if the body broke
    /// off, or what the fetcher's reader reports.
    pub async fn read(&mut self, buf: &mut [u8]) -> Result<usize, FetchError> {
        let read = self.reader.read(buf).await;
        read.map_err(|error| FetchError::from_io(&self.url, error))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("url", &self.url)
            .field("content_length", &self.content_length)
            .field("starts_at", &self.starts_at)
            .finish_non_exhaustive()
    }
}

/// Fetches a whole file of at most `max_len` bytes, with retries, as
/// [`countersign_client::fetch::fetch_bytes`] does.
///
/// # Errors
/// [`FetchError::TooLarge`] above `max_len` (endless data); otherwise the last try's error.
pub async fn fetch_bytes(
    fetcher: &mut impl Fetcher,
    url: &str,
    max_len: u64,
) -> Result<Vec<u8>, FetchError> {
    let mut effort = Effort::start();
    loop {
        let error = match fetch_once(fetcher, url, max_len, &mut effort).await {
            Ok(bytes) => return Ok(bytes),
            Err(error) => error,
        };
        tokio::time::sleep(effort.pause_after(error)?).await;
    }
}

async fn fetch_once(
    fetcher: &mut impl Fetcher,
    url: &str,
    max_len: u64,
    effort: &mut Effort,
) -> Result<Vec<u8>, FetchError> {
    let mut body = fetcher.open(url, 0).await?;
    let mut file = WholeFile::begin(url, max_len, body.content_length())?;
    loop {
        let n = body.read(file.room()).await?;
        if n == 0 {
            return Ok(file.into_bytes());
        }
        effort.received(n as u64);
        file.filled(n)?;
    }
}
