//! The director, on every engine there is.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod admin;
mod car;
mod decisions;
mod line;
mod manifests;
mod office;
mod places;
mod registration;
mod storage;
mod world;
