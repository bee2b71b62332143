#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod ceremony;
mod clock;
pub mod conduct;
mod crash;
pub mod drill;
mod error;
pub mod event;
pub mod exchange;
mod files;
pub mod folder;
pub mod holder;
mod next_root;
mod page;
pub mod pki;
pub mod policy;
mod portable;
pub mod profile;
pub mod provision;
mod report;
pub mod review;
mod root_role;
pub mod rotate;
pub mod sealing;
pub mod statement;
mod verify;
mod words;

pub use ceremony::{Ceremony, Phase};
pub use error::CeremonyError;
pub use folder::Folder;
pub use root_role::RootRole;
pub use verify::{Extent, Verification, verify};
pub use words::{fingerprint, key_fingerprint};
