//! The TUF client for tokio.
//!
//! The verifier decides and does no I/O, and the rules of fetching and keeping are those of
//! [`countersign_client`], so this crate holds no rule of its own: it waits without blocking. In the
//! order in which data flows:
//!
//! - [`fetch`]: one GET at a time, with the bounds of the blocking fetcher.
//! - [`store`]: the trusted metadata; [`store::Blocking`] keeps it in a blocking store such as
//!   [`countersign_client::store::DirStore`], on tokio's threads for blocking work.
//! - [`session`]: any session of the verifier, those of Uptane included, over these two.
//! - [`download`](mod@download): a target file, streamed to disk while it is checked.
//! - [`client`]: the client that joins these.
//!
//! ```
//! use std::time::Duration;
//!
//! use countersign_tokio::client::Client;
//! use countersign_tokio::fetch::FileFetcher;
//! use countersign_tokio::store::Blocking;
//! use countersign_verifier::{Code, Context};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let device = tempfile::tempdir()?;
//! let store = Blocking::open(&device.path().join("metadata"), Duration::ZERO).await?;
//! let mut client = Client::new(FileFetcher::new(), store, "file:///media/stick/metadata");
//! // Without the Root of `client::initialise` nothing is even asked for.
//! let now = "2026-01-01T00:00:00Z".parse()?;
//! let refused = client.refresh(Context::new(now)).await.unwrap_err();
//! assert_eq!(refused.to_reject("").code, Code::NoTrustedRoot);
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Dropping a future
//!
//! Any future of this crate may be dropped at any await point, as `tokio::select!` and
//! `tokio::time::timeout` do. What was verified until then is in the store, and the next refresh goes
//! on from it; of an image, what arrived is on the disk, and the next download goes on from there.
//! A write that is under way is carried to its end in the background, and whatever is asked of the
//! same store or file afterwards waits for it.
//!
//! # Where the work is done
//!
//! Files are read, written and hashed on tokio's threads for blocking work. Metadata is verified
//! where the future is polled: some tens of microseconds for a signature, and for large files the
//! parsing. A repository whose Targets has many megabytes belongs on a task of its own, in a runtime
//! with several threads.

pub mod client;
pub mod download;
pub mod fetch;
pub mod session;
pub mod store;

mod blocking;

/// Compiles and runs the README's example.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../README.md")]
struct Readme;
