//! How long a server may take.

use std::time::Duration;

/// How long a server may take for one GET.
///
/// With the defaults a server that stalls or drips is given up within 55 s, however it divides its
/// slowness between connecting, answering and sending, retries included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For looking up the name, and again for connecting. Default 10 s.
    pub connect: Duration,
    /// From the start of the request to the last byte of the headers, connecting, TLS handshake
    /// and redirects included. Default 20 s.
    pub response: Duration,
    /// The window over which the rate of a body is measured. It slides, and only time spent
    /// waiting for the server counts. Default 20 s.
    pub window: Duration,
    /// Bytes that have to arrive in every full window. Default 20 KiB, so 1 KiB/s. A TLS record
    /// has 16 KiB and is delivered as a whole, so over https less than that makes every window
    /// without a finished record look like a stall.
    pub min_bytes_per_window: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            connect: Duration::from_secs(10),
            response: Duration::from_secs(20),
            window: Duration::from_secs(20),
            min_bytes_per_window: 20 * 1024,
        }
    }
}
