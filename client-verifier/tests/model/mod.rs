//! A repository and its clients in memory, for tests of behaviour over time.

#![allow(dead_code)] // Each test binary uses its own part.

pub(crate) mod client;
pub(crate) mod keys;
pub(crate) mod repository;
