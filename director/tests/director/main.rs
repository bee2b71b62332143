//! The director, on every engine there is.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod admin;
mod office;
mod places;
mod storage;
