//! Provisioning: what a device has to be given at manufacture (Uptane 5.4.1; TUF 5.2), as one
//! folder that somebody has reviewed, or as a C header for devices without a file system.
//!
//! The modules follow the data: [`Profile`] is what all devices of a model have in common and
//! [`Row`] what is one device's own; `anchor`, `newest`, `keys` and `time` read what they name and
//! put it before the real verifier; [`Bundle`] is the outcome, with every byte that will be written
//! and the [`Review`] of it. `folder` writes and checks it, and `c_header` says it in C.
//!
//! No private key passes through here: devices name theirs by URI.

mod anchor;
mod bundle;
mod c_header;
mod device;
mod devices;
mod folder;
mod gather;
mod judge;
mod keys;
mod layout;
mod limits;
mod newest;
mod profile;
mod rebuild;
mod review;
mod source;
mod time;

pub use bundle::Bundle;
pub use device::{Identity, Possession};
pub use devices::{Row, read_rows};
pub use folder::{Written, check};
pub use gather::{Order, gather};
pub use profile::{EcuModel, InstalledModel, Profile, Source, Verification};
pub use review::{DeviceShown, KeyShown, Review, RoleShown, RootShown};
pub use time::TimeGiven;
