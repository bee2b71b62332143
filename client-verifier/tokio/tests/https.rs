//! The HTTP fetcher over TLS. The cases are those of the blocking one.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "../../driver/tests/cases/https.rs"]
mod cases;
mod subject;
#[path = "../../driver/tests/support/mod.rs"]
mod support;
