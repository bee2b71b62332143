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
//! - `uptane` (feature `uptane`): the vehicle's side of Uptane.
//!
//! ```
//! use std::time::Duration;
//!
//! use countersign_client::client::Client;
//! use countersign_client::fetch::FileFetcher;
//! use countersign_client::store::DirStore;
//! use countersign_verifier::{Code, Context};
//!
//! let device = tempfile::tempdir()?;
//! let store = DirStore::open(&device.path().join("metadata"), Duration::ZERO)?;
//! let mut client = Client::new(FileFetcher::new(), store, "file:///media/stick/metadata");
//! // Without the Root of `client::initialise` nothing is even asked for.
//! let refused = client.refresh(Context::new("2026-01-01T00:00:00Z".parse()?)).unwrap_err();
//! assert_eq!(refused.to_reject("").code, Code::NoTrustedRoot);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! - `http` (default): [`fetch`]'s `HttpFetcher` and `UrlFetcher`, over ureq and rustls.
//! - `tls`: certificates and keys for TLS, for fetchers over another HTTP library. Part of `http`.
//! - `uptane` (default): [Uptane](https://uptane.org), encrypted images and offline bundles.
//!
//! Without them there is a client for any fetcher and store of your own; `countersign-tokio` has an
//! asynchronous one.

pub mod client;
pub mod clock;
pub mod fetch;
pub mod files;
pub mod install;
pub mod store;
#[cfg(feature = "uptane")]
pub mod uptane;

mod crash;
mod durable;
mod pieces;

/// Compiles and runs the README's example.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../README.md")]
struct Readme;
