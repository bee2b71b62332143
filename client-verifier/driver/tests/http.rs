//! The HTTP fetcher against servers of every kind.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "cases/http.rs"]
mod cases;
mod support;

mod subject {
    pub(crate) use countersign_client::fetch::HttpFetcher;
}
