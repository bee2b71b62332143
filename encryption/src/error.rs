//! What can go wrong, as facts.

use std::io;

/// What a token or another home of a key says when it fails.
pub type DeviceError = Box<dyn std::error::Error + Send + Sync>;

/// Why an image cannot be encrypted or decrypted, or a content key not be wrapped or unwrapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptionError {
    /// The first bytes are not those of an encrypted image.
    #[error(
        "this is not an encrypted image: it does not start with a header of the format \
         {}; fetch it again, and check what was published under its name",
        crate::METHOD
    )]
    Header,
    /// Encrypted in a way that this version does not know.
    #[error(
        "the encryption method {found:?} is not known here, only {:?}; update the device's \
         software first, or encrypt the image again",
        crate::METHOD
    )]
    UnknownMethod {
        /// The name in metadata, or the number in the header.
        found: String,
    },
    /// No encrypted image has this length.
    #[error("no encrypted image has {length} bytes; the metadata or the file is damaged")]
    Length {
        /// In bytes.
        length: u64,
    },
    /// More than 2^32 segments.
    #[error(
        "the image is longer than {} bytes, the most that one content key encrypts",
        crate::MAX_PLAIN_LEN
    )]
    ImageTooLong,
    /// A segment that is not what was encrypted at this place with this key.
    #[error(
        "segment {segment} was not encrypted with this key at this place: the image was changed, \
         cut or mixed up, or the key belongs to another one; fetch it again"
    )]
    Decrypt {
        /// Counted from 0; a segment has 64 KiB.
        segment: u64,
    },
    /// The bytes ended early.
    #[error("the encrypted image ended after {found} of {expected} bytes; fetch it again")]
    Truncated {
        /// The whole length in bytes.
        expected: u64,
        /// How many there were.
        found: u64,
    },
    /// There are more bytes than the metadata says.
    #[error("the encrypted image goes on after its {expected} bytes; fetch it again")]
    TooLong {
        /// The whole length in bytes.
        expected: u64,
    },
    /// The image has no such segment.
    #[error("the image has {segments} segments, there is no segment {segment}")]
    NoSegment {
        /// What was asked for, counted from 0.
        segment: u64,
        /// How many there are.
        segments: u64,
    },
    /// More data after an error. Nothing of it is decrypted.
    #[error("decryption stopped at an earlier error; start again")]
    Stopped,

    /// The wrapped key is not for this ECU, this image or this vehicle, or it was changed.
    #[error("the content key cannot be unwrapped: {why}; the director has to wrap it for this ECU")]
    KeyUnwrap {
        /// What does not fit.
        why: &'static str,
    },
    /// An ECU's public key that nothing can be encrypted to.
    #[error("the encryption key {keyid} of the ECU cannot be used: {why}; register another one")]
    UnusableKey {
        /// Its id.
        keyid: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The home of the ECU's private key failed. This says nothing about the wrapped key.
    #[error("the ECU's decryption key did not answer: {0}")]
    Device(#[source] DeviceError),
    /// No random numbers.
    #[error("the system has no random numbers; nothing was encrypted")]
    Random,
    /// Reading or writing failed.
    #[error("cannot read or write the image: {0}")]
    Io(#[from] io::Error),
}

impl From<EncryptionError> for io::Error {
    fn from(error: EncryptionError) -> Self {
        match error {
            EncryptionError::Io(error) => error,
            other => Self::new(io::ErrorKind::InvalidData, other),
        }
    }
}
