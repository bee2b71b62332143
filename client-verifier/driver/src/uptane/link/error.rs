//! Why a call failed.

use std::io;
use std::time::Duration;

use countersign_verifier::{Code, Reject};

use crate::store::StoreError;

/// Why a call between a Primary and a Secondary failed. Nothing is lost by it: the next cycle
/// calls again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No connection, or it broke off.
    #[error("the connection failed: {0}; check that the other ECU is powered and connected")]
    Io(#[source] io::Error),
    /// The other side stalled, or was slower than the agreed minimum (slow retrieval attack).
    #[error("given up as too slow after {} s", .waited.as_secs())]
    Slow {
        /// How long it was waited for.
        waited: Duration,
    },
    /// A message is longer than it may be (endless data attack).
    #[error("the {what} of a message is longer than {limit} bytes")]
    TooLong {
        /// Which part.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The other side does not keep to the protocol.
    #[error("the other ECU broke the protocol: {detail}")]
    Protocol {
        /// How.
        detail: String,
    },
    /// The other side has not got the image.
    #[error("the image is not there")]
    NoImage,
    /// The other side goes on beyond the image (endless data attack).
    #[error("an image of {found} bytes, and {signed} are signed")]
    ImageTooLong {
        /// How long it is said to be, in bytes.
        found: u64,
        /// How long it has to be.
        signed: u64,
    },
    /// What the Primary serves could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Of an error that wraps one of these, that one.
impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(error) => Self::Io(error),
        }
    }
}

impl LinkError {
    pub(crate) fn protocol(detail: impl ToString) -> Self {
        Self::Protocol {
            detail: detail.to_string(),
        }
    }

    /// The error as a refusal with a stable code, for the reports of the side that fetched.
    pub fn to_reject(&self) -> Reject {
        let code = match self {
            Self::Slow { .. } => Code::SlowRetrieval,
            Self::TooLong { .. } => Code::TooLarge,
            Self::NoImage => Code::ImageMissing,
            Self::ImageTooLong { .. } => Code::ImageTooLong,
            Self::Store(_) => Code::StoreFailed,
            Self::Io(_) | Self::Protocol { .. } => Code::FetchFailed,
        };
        Reject::new(code, "", self.to_string())
    }
}
