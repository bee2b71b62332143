//! What bounds the work that input can cause.

/// The most devices in one bundle. A factory line makes thousands a day; each has a few KiB here.
pub(crate) const DEVICES: usize = 10_000;

/// The largest list of devices, in bytes: [`DEVICES`] rows of the longest line fit.
pub(crate) const LIST: u64 = 40 << 20;

/// The longest line of a list, in bytes: a vehicle of some fifty other ECUs.
pub(crate) const LINE: usize = 4 << 10;

/// The largest mapping, key file, attestation or other small file, in bytes, as `client-verifier`
/// has it for files from its command line.
pub(crate) const SMALL: u64 = 1 << 20;

/// The most Root versions between the one that is vouched for and the newest (TUF 5.3.3).
pub(crate) const ROOTS: u32 = 1 << 10;

/// The most names in a folder with a repository's metadata.
pub(crate) const ENTRIES: usize = 1_000_000;

/// The largest image that is measured, in bytes: 64 GiB.
pub(crate) const IMAGE: u64 = 64 << 30;

/// The largest file that a check of a bundle reads, in bytes: an Image repository's Targets.
pub(crate) const FILE: u64 = 512 << 20;

/// A Root that ends within this many seconds is worth a warning: 90 days. Devices wait that long
/// between the line and their first day.
pub(crate) const SOON: i64 = 90 * 86_400;

/// A time that lies further back than this many seconds is worth a warning: 31 days.
pub(crate) const LONG_AGO: i64 = 31 * 86_400;
