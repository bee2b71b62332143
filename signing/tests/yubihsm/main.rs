//! Keys in a YubiHSM 2, played by the mock of the `yubihsm` crate: in process, and behind a
//! connector over HTTP. The mock knows Ed25519 and P-256, and nobody's capabilities are checked.

#![allow(clippy::unwrap_used)]

mod connector;
mod harness;
mod keys;
mod login;
mod loss;
mod refusals;
