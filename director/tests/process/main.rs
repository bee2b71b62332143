//! The real director: processes that serve over mutual TLS, are killed, and come back.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod drill;
mod fleet;
mod pki;
mod race;
mod site;
