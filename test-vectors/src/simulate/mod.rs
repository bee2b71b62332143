//! A repository that can publish wrong things on purpose.

mod cipher;
pub mod decryption;
mod document;
mod keys;
pub mod offline;
mod repo;
mod roles;
mod signatures;
mod world;

pub use cipher::{Cipher, METHOD, Wrapping};
pub use document::SimulateError;
pub use keys::{KeyError, TestKey, signing_key_pem};
pub use offline::Offline;
pub use repo::{FAR, Repo, sha256_hex};
pub use roles::{Bins, Delegation, Head, Keys, Listing, Root};
pub use signatures::SignatureCache;
pub use world::{NONCE, VIN, World, sign_report};

/// JSON under construction, right or wrong.
pub type Json = serde_json::Value;
