//! Keys in real SoftHSM tokens: made, used, and refused.

#![allow(clippy::unwrap_used)]

mod harness;
mod keys;
mod login;
mod refusals;
