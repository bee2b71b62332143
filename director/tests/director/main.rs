//! The director, on every engine there is.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod admin;
mod car;
mod certificates;
mod decisions;
mod histories;
mod images;
mod line;
mod manifests;
mod office;
mod places;
mod registration;
mod requests;
mod restore;
mod signing;
mod storage;
mod together;
mod world;
