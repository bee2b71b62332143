//! Commands that ask a Director's admin API, from anywhere.

mod api;
mod images;
mod orders;
mod shown;
mod status;
mod tokens;
mod vehicles;

pub(super) use api::Remote;
pub(super) use images::Images;
pub(super) use orders::{Assign, Cancel};
pub(super) use status::{Log, Status};
pub(super) use tokens::Tokens;
pub(super) use vehicles::Vehicles;
