//! Encrypted images and wrapped keys through the public interface.

#![allow(clippy::unwrap_used)]

mod common;
mod decrypt;
mod documented;
mod reader;
mod tamper;
mod wrap;
