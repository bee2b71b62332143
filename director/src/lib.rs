#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod blobs;
pub mod storage;
pub mod tls;
