#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod director;

mod carry;
mod controls;
mod error;
mod links;
mod office;
mod online;
mod plan;
mod provision;
mod records;
mod service;
mod vehicle;

pub use carry::{ImageRepository, carry};
pub use controls::Controls;
pub use error::SimError;
pub use office::{Office, Settings};
pub use online::{
    Credentials, OnlineVehicle, Registered, TLS_KEY, TlsRequest, director_url, register,
    request_certificate,
};
pub use plan::{BundlePolicy, Connection, EcuPlan, Plan, VEHICLE_FILE};
pub use provision::{Factory, provision};
pub use service::{Clock, Connection as DirectorConnection, Service, Shared};
pub use vehicle::{EcuStatus, Vehicle, open_ecu, status};
