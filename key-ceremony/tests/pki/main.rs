//! The device PKI through the real command, checked with openssl.

#![allow(clippy::unwrap_used)]

mod attest;
mod batch;
mod hostile;
mod index;
mod issue;
mod kill;
mod revoke;
mod tokens;
mod tool;
