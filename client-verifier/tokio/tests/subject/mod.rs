//! This crate's fetcher as a blocking one, so that it goes through the same cases.

use std::io::{self, Read};
use std::sync::Arc;

use countersign_client::fetch::{Body, FetchError, Fetcher, Patience, TlsRoots};
use countersign_tokio::fetch::{self, Fetcher as _};
use tokio::runtime::{Builder, Runtime};

pub(crate) struct HttpFetcher {
    runtime: Arc<Runtime>,
    inner: fetch::HttpFetcher,
}

impl HttpFetcher {
    pub(crate) fn new(patience: Patience, roots: TlsRoots) -> Self {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build();
        Self {
            runtime: Arc::new(runtime.unwrap()),
            inner: fetch::HttpFetcher::new(patience, roots),
        }
    }
}

impl Fetcher for HttpFetcher {
    fn open(&mut self, url: &str, range_from: u64) -> Result<Body<'_>, FetchError> {
        let body = self.runtime.block_on(self.inner.open(url, range_from))?;
        let (length, starts_at) = (body.content_length(), body.starts_at());
        let runtime = Arc::clone(&self.runtime);
        Ok(Body::new(url, Reader { runtime, body }, length, starts_at))
    }
}

struct Reader {
    runtime: Arc<Runtime>,
    body: fetch::Body,
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.runtime.block_on(self.body.read(buf));
        read.map_err(io::Error::other)
    }
}
