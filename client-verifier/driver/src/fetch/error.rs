//! Why a fetch failed, in facts.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why one GET, or a fetch with retries, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server says that there is no such file: 404, 410, 403 (object stores answer 403 for a
    /// missing object that may not be listed), or no such local file.
    #[error("{url}: there is no such file{}", status_note(.status))]
    NotFound {
        /// What was asked for.
        url: String,
        /// The HTTP status, if there was one.
        status: Option<u16>,
    },
    /// The server is there and cannot answer now: 408, 425, 429 or 5xx.
    #[error("{url}: the server answered {status}; try again later")]
    Unavailable {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// How long the server asked to wait.
        retry_after: Option<Duration>,
    },
    /// No connection, or it broke off.
    #[error("{url}: the connection failed: {detail}")]
    Disconnected {
        /// What was asked for.
        url: String,
        /// What the operating system or the HTTP library saw.
        detail: String,
    },
    /// The server stalled or was slower than the agreed minimum (slow retrieval attack).
    #[error("{url}: given up as too slow {phase} after {} s ({received} bytes received)", .waited.as_secs())]
    Slow {
        /// What was asked for.
        url: String,
        /// What the server was slow at.
        phase: SlowPhase,
        /// Time spent waiting for the server in this phase.
        waited: Duration,
        /// Bytes received on the connection in this phase.
        received: u64,
    },
    /// Any other status than success, redirect, missing and unavailable.
    #[error("{url}: the server answered {status}, which is neither the file nor its absence")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// A service says what is wrong with a request, or why it cannot answer now.
    #[error("{url}: refused with {status} {code}: {message}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The service's own name for the reason: lower-case letters, digits and `-`.
        code: String,
        /// What it says for people, cut, without control characters.
        message: String,
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// A redirect that is not followed.
    #[error("{url}: refused a redirect to {to:?}: {why}")]
    Redirect {
        /// The URL that answered with the redirect.
        url: String,
        /// The refused location, as the server wrote it.
        to: String,
        /// The rule that forbids it.
        why: &'static str,
    },
    /// More redirects than [`super::MAX_REDIRECTS`].
    #[error("{url}: more than {limit} redirects")]
    TooManyRedirects {
        /// What was asked for first.
        url: String,
        /// The limit.
        limit: u32,
    },
    /// The server's certificate or the TLS handshake was refused.
    #[error("{url}: TLS failed: {detail}")]
    Tls {
        /// What was asked for.
        url: String,
        /// What rustls reported.
        detail: String,
    },
    /// The answer is not HTTP as we accept it.
    #[error("{url}: the server broke the HTTP protocol: {detail}")]
    Protocol {
        /// What was asked for.
        url: String,
        /// What was wrong.
        detail: String,
    },
    /// The URL has a scheme this fetcher does not serve.
    #[error("{url:?}: unsupported URL; use {supported}")]
    UnsupportedScheme {
        /// What was asked for.
        url: String,
        /// The schemes that would do.
        supported: &'static str,
    },
    /// The URL cannot be sent as it stands.
    #[error("{url:?}: not a usable URL: {why}")]
    BadUrl {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file is larger than the caller may accept (endless data attack).
    #[error("{url}: larger than the limit of {limit} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A local file could not be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The client certificate or its private key is unusable.
    #[error("{}: {detail}", .path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        detail: String,
    },
    /// The file of root certificates is unusable.
    #[error("{}: {detail}; expected a PEM file of certificates", .path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
}

/// What a server was slow at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowPhase {
    /// Name look-up or connecting.
    Connect,
    /// Answering: TLS handshake, status line and headers, redirects included.
    Response,
    /// Sending the body.
    Body,
}

impl std::fmt::Display for SlowPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SlowPhase::Connect => "to connect",
            SlowPhase::Response => "to answer",
            SlowPhase::Body => "to send the file",
        })
    }
}

impl FetchError {
    /// Whether another try may help. A body that is slower than the minimum is not tried again:
    /// the server is there, and it would only be given the same time once more.
    pub fn is_transient(&self) -> bool {
        match self {
            FetchError::Unavailable { .. } | FetchError::Disconnected { .. } => true,
            FetchError::Slow { phase, .. } => *phase != SlowPhase::Body,
            FetchError::Refused { status, .. } => {
                matches!(status, 408 | 425 | 429 | 500..=599)
            }
            _ => false,
        }
    }

    /// How long the server asked to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            FetchError::Unavailable { retry_after, .. }
            | FetchError::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the server said that the file does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, FetchError::NotFound { .. })
    }

    /// The `FetchError` inside `error`, or a broken connection with what it says.
    pub fn from_io(url: &str, error: io::Error) -> Self {
        match error.downcast::<FetchError>() {
            Ok(inner) => inner,
            Err(error) => FetchError::Disconnected {
                url: url.to_owned(),
                detail: error.to_string(),
            },
        }
    }
}

fn status_note(status: &Option<u16>) -> String {
    status.map_or_else(String::new, |s| format!(" (the server answered {s})"))
}
