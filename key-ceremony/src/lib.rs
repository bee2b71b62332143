#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod drill;
mod error;
pub mod pki;

pub use error::CeremonyError;
