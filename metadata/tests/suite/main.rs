//! Behaviour of the crate through its public interface.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]
#![allow(unreachable_pub, reason = "the modules of one test binary")]

mod canonical;
mod common;
mod delegations;
mod envelope;
mod examples;
mod generate;
mod generate_uptane;
mod keys;
mod properties;
mod reports;
mod roles;
#[cfg(feature = "rustcrypto")]
mod stream;
mod targets;
mod threshold;
mod uptane_custom;
mod vehicles;
