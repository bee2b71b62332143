//! `key-ceremony provision`, on the Roots and metadata of the test vectors.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "../common/mod.rs"]
mod common;

mod c_header;
mod ceremony;
mod check;
mod command;
mod make;
mod refuse;
mod stage;
