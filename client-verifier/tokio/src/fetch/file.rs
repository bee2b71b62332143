//! `file:` URLs: repositories on a mounted medium.

use std::io;

use countersign_client::fetch::{self, FetchError};

use super::{Body, Fetcher};
use crate::blocking::blocking;

/// Reads `file:` URLs, and nothing but regular files, on tokio's threads for blocking work.
#[derive(Debug, Default, Clone)]
pub struct FileFetcher(());

impl FileFetcher {
    /// A fetcher of local files.
    pub fn new() -> Self {
        Self(())
    }
}

impl Fetcher for FileFetcher {
    async fn open(&mut self, url: &str, range_from: u64) -> Result<Body, FetchError> {
        let owned = url.to_owned();
        let opened = blocking(move || fetch::FileFetcher::open_file(&owned, range_from)).await;
        let failed = |error: io::Error| FetchError::from_io(url, error);
        let (file, starts_at, length) = opened.map_err(failed)??;
        let reader = tokio::fs::File::from_std(file);
        Ok(Body::new(url, reader, Some(length), starts_at))
    }
}
