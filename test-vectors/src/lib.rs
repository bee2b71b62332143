//! Conformance vectors for TUF clients: what they are, how they are made, how they are run.
//!
//! In the order of data: [`simulate`] is a repository that can publish wrong things on purpose,
//! [`cases`] says what is published and what must come of it, [`generate`] writes that below
//! `vectors/`, [`suite`] reads it back in the [`format`](mod@format) that outsiders read too,
//! [`run`] puts a client through it, in process or as an executable, and [`report`] and
//! [`coverage`] tell what came of it.

pub mod cases;
pub mod coverage;
pub mod format;
pub mod generate;
pub mod report;
pub mod run;
pub mod simulate;
pub mod suite;
pub mod tree;

/// The README's example compiles.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
