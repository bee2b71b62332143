//! The fetcher by the scheme of the URL.

use countersign_client::fetch::{FetchError, is_file_url};

use super::{Body, Fetcher, FileFetcher, HttpFetcher};

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
        Self {
            http,
            file: FileFetcher::new(),
        }
    }
}

impl Fetcher for UrlFetcher {
    async fn open(&mut self, url: &str, range_from: u64) -> Result<Body, FetchError> {
        match is_file_url(url) {
            true => self.file.open(url, range_from).await,
            false => self.http.open(url, range_from).await,
        }
    }
}
