//! What bounds the work that input can cause, and how far clocks may be apart.

/// The largest CSR, certificate or index line that is read, in bytes. A P-256 request is under
/// 1 KiB; chains of attributes that real tools write stay under 8 KiB.
pub(crate) const FILE: u64 = 64 << 10;

/// The largest manifest, in bytes: half a million rows.
pub(crate) const MANIFEST: u64 = 64 << 20;

/// The longest line of a manifest, in bytes.
pub(crate) const MANIFEST_LINE: usize = 4 << 10;

/// The largest index that is loaded, in bytes: more than a million certificates.
pub(crate) const INDEX: u64 = 4 << 30;

/// The largest revocation list that is read, in bytes: one of all certificates that an index can
/// hold, at under 60 bytes each, in PEM.
pub(crate) const CRL: u64 = 256 << 20;

/// The longest vehicle or ECU identifier, in bytes. A VIN has 17 (ISO 3779); X.520 bounds names at
/// 64 characters.
pub(crate) const IDENTIFIER: usize = 64;

/// The longest name of a CA or organisation, in characters (RFC 5280 A.1, ub-common-name and
/// ub-organization-name).
pub(crate) const NAME: usize = 64;

/// The most names in one server certificate.
pub(crate) const SERVER_NAMES: usize = 100;

/// How far before now a certificate begins, in seconds, so that a device whose clock is slow can
/// use it at once: one hour.
pub(crate) const BACKDATE: i64 = 3_600;

/// How far the clock may be behind the newest entry of the index, in seconds: ten minutes.
pub(crate) const CLOCK_BEHIND: i64 = 600;

/// How many certificates share the two fsyncs that keep them.
pub(crate) const GROUP: usize = 128;
