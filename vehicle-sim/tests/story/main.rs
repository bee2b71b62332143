//! Whole vehicles: what they install, what they refuse, and how they go on afterwards.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod attacks;
mod carried;
mod command;
mod honest;
mod manifest;
mod online;
mod primary;
mod world;
