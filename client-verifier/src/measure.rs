//! Bytes on their way, measured against the length and the hashes that metadata lists for them.

use alloc::format;
use alloc::string::String;

use countersign_metadata::Hashes;

use crate::hasher::{Sha256, Sha512};

/// A measurement in progress. Once it was refused something it refuses everything.
pub(crate) struct Measure {
    length: u64,
    hashes: Hashes,
    sha256: Option<Sha256>,
    sha512: Option<Sha512>,
    seen: u64,
    /// Bytes were refused: what the caller holds is no longer what was hashed.
    broken: bool,
}

/// Why bytes are not the file.
pub(crate) enum Mismatch {
    /// They go on beyond the length.
    TooLong,
    /// They are too few, or a hash differs: the particulars.
    Other(String),
}

impl Measure {
    /// Starts measuring; `None` when no listed hash function is known.
    pub(crate) fn against(length: u64, hashes: &Hashes) -> Option<Self> {
        hashes.any_known().then(|| Self {
            length,
            hashes: hashes.clone(),
            sha256: hashes.sha256.is_some().then(Sha256::new),
            sha512: hashes.sha512.is_some().then(Sha512::new),
            seen: 0,
            broken: false,
        })
    }

    /// Bytes still to come.
    pub(crate) fn remaining(&self) -> u64 {
        self.length.saturating_sub(self.seen)
    }

    /// Bytes so far.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        self.broken |= bytes.len() as u64 > self.remaining();
        if self.broken {
            return Err(Mismatch::TooLong);
        }
        self.seen += bytes.len() as u64;
        if let Some(hasher) = &mut self.sha256 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.sha512 {
            hasher.update(bytes);
        }
        Ok(())
    }

    /// Ends: the length and every listed hash of a known function have to hold.
    pub(crate) fn finish(self, name: &str) -> Result<(), Mismatch> {
        if self.broken {
            return Err(Mismatch::TooLong);
        }
        if self.seen != self.length {
            let (seen, length) = (self.seen, self.length);
            return Err(Mismatch::Other(format!(
                "{name} has {seen} of {length} bytes"
            )));
        }
        let holds256 = self
            .sha256
            .zip(self.hashes.sha256.as_ref())
            .is_none_or(|(hasher, digest)| hasher.is(digest));
        let holds512 = self
            .sha512
            .zip(self.hashes.sha512.as_ref())
            .is_none_or(|(hasher, digest)| hasher.is(digest));
        match (holds256, holds512) {
            (true, true) => Ok(()),
            (false, _) => Err(Mismatch::Other(format!("the SHA-256 of {name} differs"))),
            (_, false) => Err(Mismatch::Other(format!("the SHA-512 of {name} differs"))),
        }
    }
}
