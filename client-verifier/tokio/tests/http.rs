//! The HTTP fetcher against servers of every kind. The cases are those of the blocking one.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "../../driver/tests/cases/http.rs"]
mod cases;
mod subject;
#[path = "../../driver/tests/support/mod.rs"]
mod support;
