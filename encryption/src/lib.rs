#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod decrypt;
mod encrypt;
mod error;
mod format;
mod key;
mod reader;
mod schedule;
mod wrap;

pub use decrypt::Decryptor;
pub use encrypt::{Encrypted, FileInfo, encrypt};
pub use error::{DeviceError, EncryptionError};
pub use format::{
    HEADER_LEN, Header, MAX_PLAIN_LEN, METHOD, SEGMENT_LEN, encrypted_len, plain_len,
    segment_offset,
};
pub use key::{ContentKey, KEY_LEN};
pub use reader::SegmentReader;
pub use wrap::{Decapsulate, WrapContext, unwrap, wrap};
