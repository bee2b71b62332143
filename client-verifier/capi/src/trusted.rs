//! What a refresh ends with.

use std::sync::Mutex;

use countersign_metadata::Role;
use countersign_verifier::Trusted;

use crate::boundary::{look, release};
use crate::context::unix;
use crate::handles::{get, handles};
use crate::session::Lent;

/// The current state of a repository: all top-level roles verified, fresh and linked at one time.
/// Searches and downloads borrow it, one at a time. Any number of threads may read it.
pub struct countersign_trusted {
    _opaque: u8,
}

handles! {
    countersign_trusted = TrustedObject, "a trusted state";
}

/// Versions of the top-level roles.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct countersign_versions {
    /// Root.
    pub root: u64,
    /// Timestamp; 0 out of an offline bundle, which has none.
    pub timestamp: u64,
    /// Snapshot.
    pub snapshot: u64,
    /// Top-level Targets.
    pub targets: u64,
}

/// The state, and what of it never changes.
pub(crate) struct TrustedObject {
    pub(crate) state: Lent,
    versions: countersign_versions,
    now: i64,
}

impl TrustedObject {
    pub(crate) fn of(trusted: Trusted) -> Self {
        let timestamp = trusted.timestamp().map(|file| file.content().version());
        Self {
            versions: countersign_versions {
                root: trusted.root().content().version(),
                timestamp: timestamp.unwrap_or_default(),
                snapshot: trusted.snapshot().content().version(),
                targets: trusted.targets().version(),
            },
            now: unix(trusted.now()),
            state: Mutex::new(Some(trusted)),
        }
    }
}

/// The versions that are trusted. All are 0 for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_trusted_versions(
    trusted: *const countersign_trusted,
) -> countersign_versions {
    look(countersign_versions::default(), || {
        Ok(get(trusted)?.versions)
    })
}

/// The time at which all of it was current, in seconds since 1970-01-01T00:00:00Z. INT64_MIN for
/// what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_trusted_now(trusted: *const countersign_trusted) -> i64 {
    look(i64::MIN, || Ok(get(trusted)?.now))
}

/// Gives a state up. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_trusted_free(trusted: *mut countersign_trusted) {
    release(trusted);
}
