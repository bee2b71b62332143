//! Whether to believe TUF metadata, without doing any I/O.
//!
//! A session is two calls. [`Session::next`] says what it needs: a file from the local store, a
//! file from the repository, something made durable, or that it is done. [`Session::supply`]
//! answers. Network, disk and clock belong to whoever drives it; `countersign-client` does so
//! over HTTP and a directory, and [`drive`] with any closure.
//!
//! What a session concludes is carried by types: [`Verified`] (a threshold signed it) becomes
//! [`Current`] (fresh, and linked to its parents), a current Targets file names a
//! [`ListedTarget`], and bytes that match it in full become a [`VerifiedImage`]. None of them can
//! be made in another way, so an installer that asks for a `VerifiedImage` cannot be handed
//! anything less.
//!
//! Follow one update: `session.rs` (the two calls), `refresh/root.rs`, `refresh/timestamp.rs`,
//! `refresh/snapshot.rs` (which ends with Targets), `search.rs` (delegations), `image.rs`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod chain;
mod context;
mod current;
mod fed;
mod hasher;
mod image;
mod limits;
mod link;
mod listing;
mod measure;
mod names;
mod refresh;
mod reject;
mod search;
mod session;
mod trusted;
pub mod uptane;

/// Compiles and runs the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use context::{Context, Profile};
pub use countersign_metadata::Verified;
pub use current::Current;
pub use fed::Fed;
pub use image::{ImageStream, ListedTarget, VerifiedImage};
pub use limits::Limits;
pub use listing::Listing;
pub use names::{RemoteName, StoreName};
pub use refresh::{FollowRoot, Followed, Session};
pub use reject::{Attack, Code, Reject};
pub use search::Search;
pub use session::{Protocol, Reply, Step, Stored, drive};
pub use trusted::Trusted;

/// Accepts the first Root, which came here out of band, on the word of whoever brought it
/// (TUF 5.2). What a store must hold before the first session, as [`StoreName::Root`] and, like
/// every later Root, as [`StoreName::RootHistory`]: without it, versions that were trusted under
/// this Root stop being rollback floors once it is replaced.
///
/// # Errors
/// [`Reject`] when it is malformed or not signed by its own threshold.
pub fn provision_root(
    bytes: alloc::vec::Vec<u8>,
) -> Result<Verified<countersign_metadata::Root>, Reject> {
    let name = countersign_metadata::RoleType::Root.name();
    link::parse(bytes, name)?
        .verify_by_itself()
        .map_err(|error| Reject::metadata(name, error))
}
