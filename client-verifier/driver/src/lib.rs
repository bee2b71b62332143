//! How to fetch and keep what the verifier believes.
//!
//! The verifier decides and does no I/O; this crate does the I/O and decides nothing. In the order
//! in which data flows:
//!
//! - [`fetch`]: one GET at a time over HTTP(S) or `file:`, with a bound on everything a server can
//!   stretch: time, size, headers, redirects, retries.
//! - [`store`]: the trusted metadata of one client in one directory, durable at every step.
//! - [`files`]: target files, streamed to disk while they are checked, visible only when proven.
//! - [`install`]: verified images, switched to such that a power cut leaves the old or the new one.
//! - [`client`]: the blocking client that joins these to a verifier session.

pub mod client;
pub mod clock;
pub mod fetch;
pub mod files;
pub mod install;
pub mod store;
pub mod uptane;

mod crash;
mod durable;

/// Compiles and runs the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
