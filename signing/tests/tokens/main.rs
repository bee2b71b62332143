//! Keys in real tokens (SoftHSM, a TPM in software, opencryptoki): made, used, listed, lost and
//! refused.

#![allow(clippy::unwrap_used)]

mod decryption;
mod harness;
mod keys;
mod list;
mod login;
mod loss;
mod opencryptoki;
mod per_signature;
mod refusals;
mod tpm;
