//! The fetcher by the scheme of the URL.

use super::{
    Body, FetchError, Fetcher, FileFetcher, HttpFetcher, check_repository_url, is_file_url,
};

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

    /// Whether files can be asked for below `url`: see [`check_repository_url`].
    ///
    /// # Errors
    /// As there.
    pub fn check_base_url(url: &str) -> Result<(), FetchError> {
        check_repository_url(url)
    }
}

impl Fetcher for UrlFetcher {
    fn open(&mut self, url: &str, range_from: u64) -> Result<Body<'_>, FetchError> {
        match is_file_url(url) {
            true => self.file.open(url, range_from),
            false => self.http.open(url, range_from),
        }
    }
}
