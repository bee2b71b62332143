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

/// Characters in a vehicle identifier. A VIN has 17 (ISO 3779); fleets without VINs use a UUID (36)
/// or a certificate's common name (64, RFC 5280 ub-common-name).
pub const MAX_VIN: usize = 64;

/// Characters in an ECU's serial: what deployed directors store.
pub const MAX_SERIAL: usize = 64;

/// Characters in a hardware identifier: what deployed directors store.
pub const MAX_HARDWARE_ID: usize = 200;

/// ECUs of one vehicle. Premium cars have about 150.
pub const MAX_ECUS: usize = 256;

/// ECUs that one Targets file of a Director, or one Offline Targets file, names in all: those of 16
/// vehicles that have [`MAX_ECUS`], or of hundreds that have a few. A device keeps 8 bytes for each while
/// it looks for one that is named twice.
pub const MAX_NAMED_ECUS: usize = 4096;

/// Bytes of one part of a file that is read as it passes (see `stream`): an entry, a name, a value at
/// the top. An entry for one ECU, encrypted and with both hashes, has less than 2 KiB, or 6 KiB with an
/// encapsulated key of ML-KEM-1024; this leaves room for one that is for a dozen ECUs.
pub const MAX_STREAMED_PART: usize = 16 << 10;

/// Hardware identifiers of one image or delegation. A platform's variants are some dozens.
pub const MAX_HARDWARE_IDS: usize = 1024;

/// Dependencies, and conflicts, of one image: at most some per ECU of a vehicle.
pub const MAX_CONSTRAINTS: usize = 1024;

/// Vehicles that one Offline Targets file can name: a workshop's or a ferry's load.
pub const MAX_VINS: usize = 4096;

/// Characters of the name of an Offline Targets file: a small ECU keeps it as part of a file's name.
pub const MAX_OFFLINE_NAME: usize = 64;

/// Characters in a text for people or a name in `custom` and in reports.
pub const MAX_TEXT: usize = 512;

/// Bytes of an encapsulated or a sealed key. P-256 needs 65 and 48; ML-KEM-1024 would need 1,568.
pub const MAX_WRAPPED_KEY: usize = 2048;

/// Attacks in one report. There are fewer kinds than that; what is met again says nothing new.
pub const MAX_ATTACKS: usize = 32;

/// Nonces in one time attestation: one for each ECU, with room for retries in the same cycle.
pub const MAX_NONCES: usize = 1024;

/// Repositories in a mapping file, and URLs of each. TAP 4's examples have three.
pub const MAX_REPOSITORIES: usize = 64;

/// Entries in a mapping file.
pub const MAX_MAPPINGS: usize = 1024;

/// Roles in one multi-role delegation: as many as a search visits by default (TUF 5.6.7.1).
pub const MAX_AGREEING_ROLES: usize = 64;
