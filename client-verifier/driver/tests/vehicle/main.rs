//! The ECUs of a vehicle at work, with real keys, stores and slots.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[cfg(feature = "crash-points")]
mod crash;
mod device;
mod primary;
mod secondary;
mod site;
