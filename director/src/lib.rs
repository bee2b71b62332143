#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod alarms;
pub mod blobs;
pub mod http;
pub mod keys;
pub mod metrics;
pub mod problem;
pub mod serve;
pub mod service;
pub mod settings;
pub mod storage;
pub mod tls;
pub mod tokens;
