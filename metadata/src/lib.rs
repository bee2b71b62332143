//! TUF metadata as data: what is signed, by whom, and in which bytes.
//!
//! This crate knows the role files of TUF 1.0.34 (Root, Timestamp, Snapshot, Targets with
//! delegations), the keys and signatures on them, the canonical form that is signed, and the one
//! threshold rule. It does no I/O and reads no clock; whether to *believe* a file now is the
//! verifier's business (`countersign-verifier`).
//!
//! The modules follow the data: [`json`] text becomes a [`canonical`] payload inside a
//! [`Signed`] envelope; an [`Authority`] (threshold of unique keys) turns it into [`Verified`];
//! only then is the payload decoded into a role ([`Root`], [`Timestamp`], [`Snapshot`],
//! [`Targets`]) or another [`Document`]. What Uptane adds is in [`uptane`]. Repository tools make new role files with the roles' `to_payload` and
//! [`TargetsBuilder`], and join signatures to them with [`Unsigned`]. A device that has less memory than
//! its metadata reads it with `stream` (feature `rustcrypto`).
//!
//! ```
//! use countersign_metadata::{Signed, Targets};
//!
//! let file = br#"{"signatures":[],"signed":{"_type":"targets"}}"#.to_vec();
//! let signed = Signed::<Targets>::parse(file)?;
//! assert!(signed.signatures().is_empty());
//! # Ok::<(), countersign_metadata::MetadataError>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod canonical;
mod crypto;
pub mod json;
mod scan;

mod asn1;
mod authority;
mod bins;
#[cfg(any(feature = "p256", feature = "p384"))]
mod curve;
mod delegated_role;
mod delegation;
mod document;
#[cfg(feature = "rustcrypto")]
mod ed25519;
mod entries;
mod envelope;
mod error;
mod field;
mod hashes;
mod header;
mod key;
pub mod limits;
mod outline;
mod path;
mod path_set;
mod pem;
mod places;
mod root;
mod snapshot;
mod spki;
#[cfg(feature = "rustcrypto")]
pub mod stream;
mod targets;
mod targets_builder;
mod time;
mod timestamp;
mod unsigned;
pub mod uptane;

pub use authority::{Authority, RoleKeys, Tally};
pub use bins::SuccinctRoles;
pub use crypto::{sha256, sha512};
pub use delegated_role::{DelegatedRole, Delegation, MultiRole};
pub use delegation::{Delegations, Matching, Roles};
pub use document::{Document, SignatureForm};
pub use envelope::{Folded, Payload, SignatureEntry, Signed, Successor, Verified};
pub use error::MetadataError;
pub use hashes::Hashes;
pub use header::{Header, Role, RoleType};
pub use key::{Key, KeyId, PublicKey, Scheme};
pub use outline::{Damaged, Outline};
pub use path::{TargetPath, UnsafePath, percent_encode};
pub use path_set::PathSet;
pub use root::Root;
pub use snapshot::{MetaFile, MetaFiles, Snapshot};
pub use targets::{TargetFile, Targets};
pub use targets_builder::TargetsBuilder;
pub use time::UtcTime;
pub use timestamp::Timestamp;
pub use unsigned::Unsigned;

/// Compiles and runs the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
