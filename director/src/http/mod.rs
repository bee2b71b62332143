//! The Director over HTTP: one route table for devices and one for people.

pub mod admin;
pub mod device;

mod answer;
mod count;
mod limits;
mod listener;
mod rate;

pub use limits::Limits;
pub use listener::listen;
