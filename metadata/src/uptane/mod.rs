//! What Uptane 2.1.0 adds to TUF's role files: who is addressed (vehicles, ECUs, hardware),
//! what the two repositories say of an image, and what vehicles report.
//!
//! All of it is data. Whether a Director's order may be followed is decided by
//! `countersign-verifier`; keys are wrapped and images encrypted by `countersign-encryption`.

mod attestation;
mod director_custom;
mod encrypted;
mod encryption_key;
mod ids;
mod image_custom;
mod manifest;
mod mapping;
mod offline;
mod report;
mod root_custom;
pub(crate) mod vehicle;

pub use attestation::{Nonce, TimeAttestation};
pub use director_custom::DirectorCustom;
pub use encrypted::{EncryptedTarget, WrappedKey};
pub use encryption_key::{EncryptionAlgorithm, EncryptionKey};
pub use ids::{EcuSerial, HardwareId, Vin};
pub(crate) use image_custom::take_hardware_ids;
pub use image_custom::{Confidentiality, ConstrainedImage, Constraint, ImageCustom};
pub use manifest::VehicleVersionManifest;
pub use mapping::{MapEntry, Mapping};
pub use offline::{OfflineCustom, OfflineName};
pub use report::{DetectedAttack, EcuVersionReport, InstalledImage, Outcome};
pub use root_custom::{OfflineUpdates, offline_authority, offline_updates, set_offline_updates};
pub use root_custom::{
    TimeServer, folded_time_server, set_time_server, set_time_server_keys, time_server,
    time_server_keys,
};
pub use vehicle::{custom_with_vin, vin_of};
