#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod blobs;
pub mod http;
pub mod keys;
pub mod metrics;
pub mod problem;
pub mod service;
pub mod storage;
pub mod tls;
pub mod tokens;
