//! The Director over HTTP: one route table for devices and one for people.

#![allow(dead_code, reason = "TEMP")]
pub mod admin;

mod answer;
mod count;
mod limits;
mod rate;

pub use limits::Limits;
