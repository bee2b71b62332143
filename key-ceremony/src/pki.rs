//! The device PKI: a CA key in a token, CSRs in, certificates and revocation lists out.

/// Why the device PKI refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {}

impl PkiError {
    /// A stable name for scripts.
    pub fn name(&self) -> &'static str {
        match *self {}
    }
}
