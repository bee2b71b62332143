//! Bounds on what one file may make the parser do. Sizes in bytes are the caller's to bound.

/// Nesting of arrays and objects. The deepest honest file needs 6 levels plus what `custom`
/// brings; 64 is what common JSON parsers allow at least, and keeps the stack small.
pub const MAX_DEPTH: usize = 64;

/// Entries in `signatures`. The largest public ceremonies have about a dozen signers; each entry
/// can cost one signature check.
pub const MAX_SIGNATURES: usize = 256;

/// Key ids that one role may list; each can cost one public-key decoding.
pub const MAX_ROLE_KEYIDS: usize = 256;

/// Characters in a key id. Ours have 64 (SHA-256 in hex); ids are opaque (TAP 12).
pub const MAX_KEYID_LEN: usize = 512;

/// Bytes in a target path; the usual PATH_MAX less room for a hash prefix and a base directory.
pub const MAX_TARGET_PATH: usize = 2048;

/// RSA modulus sizes in bits, both inclusive (TUF 4.2 asks for at least 2048; larger than 4096
/// costs every device without adding security in practice).
pub const RSA_BITS: core::ops::RangeInclusive<usize> = 2048..=4096;
