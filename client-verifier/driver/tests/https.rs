//! The HTTP fetcher over TLS.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "cases/https.rs"]
mod cases;
mod support;

mod subject {
    pub(crate) use countersign_client::fetch::HttpFetcher;
}
