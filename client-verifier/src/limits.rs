//! Budgets: everything an attacker who controls the repository can make a client spend.

use countersign_metadata::limits::MAX_STREAMED_PART;

/// Bounds of one session. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// One Root file. 100 RSA keys of 4,096 bits, all of them signing, need less than half of it.
    pub root_len: u64,
    /// A Timestamp file: one entry and a few signatures.
    pub timestamp_len: u64,
    /// A Snapshot file, also where Timestamp states a larger length. 64 MiB lists 16,384 bins
    /// more than ten times over with both hashes.
    pub snapshot_len: u64,
    /// A Targets file, also where Snapshot states a larger length. 512 MiB lists well over a
    /// million images with both hashes.
    pub targets_len: u64,
    /// Root versions followed in one session (TUF 5.3.3: "may be 2^10"). A longer honest chain
    /// goes on in the next session from where this one saved.
    pub root_versions: u32,
    /// Targets roles visited in the search for one image (TUF 5.6.7.1), the top-level one
    /// included. Deep or wide delegation graphs of real repositories stay well below; each visit
    /// can cost a request.
    pub visited_roles: usize,
    /// All files of delegated roles that one session holds, taken together: what every supplier
    /// of a search can make a client keep in memory. As much as one Targets file may have.
    pub delegated_len: u64,
    /// One part of a Targets file that passes in a stream, as an entry or a name: what a device that
    /// cannot hold the file holds of it at a time, twice over.
    pub part_len: usize,
}

impl Limits {
    /// For a Director's repository, whose files are about one vehicle: 1 MiB of Targets lists
    /// several hundred images with both hashes and a wrapped key for each.
    pub fn director() -> Self {
        Self {
            snapshot_len: 64 << 10,
            targets_len: 1 << 20,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            root_len: 512 << 10,
            timestamp_len: 64 << 10,
            snapshot_len: 64 << 20,
            targets_len: 512 << 20,
            root_versions: 1 << 10,
            visited_roles: 64,
            delegated_len: 512 << 20,
            part_len: MAX_STREAMED_PART,
        }
    }
}
