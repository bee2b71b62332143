//! What an ECU of a vehicle believes: each test is one sentence about Uptane's verification
//! (5.4.4), by attack and by step. `docs/conformance.md` says which clause each stands for.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "../model/keys.rs"]
mod keys;
mod world;

mod consistency;
mod delegations;
mod freshness;
mod gate;
mod histories;
mod links;
mod offline;
mod partial;
#[cfg(feature = "rustcrypto")]
mod partial_stream;
mod roots;
mod signatures;
mod time;
mod vehicle;
mod votes;
