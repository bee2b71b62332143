#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod carrier;
pub mod catalogue;
pub mod consequences;
pub mod desk;
mod error;
pub mod keys;
pub mod manifest;
pub mod orders;
pub mod plan;
mod record;
pub mod registration;
pub mod vault;

pub use error::DirectorError;
pub use record::{EcuRecord, MAX_ECUS, RecordError, VehicleRecord};
