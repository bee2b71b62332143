//! Points at which tests cut the power.
//!
//! Compiled to nothing except in this crate's own tests and with the feature `crash-points`, so
//! that no shipped binary listens to the environment variable.

/// A point between two effects on the disk. Tests kill the process at the n-th one it reaches.
#[cfg(not(any(test, feature = "crash-points")))]
#[inline(always)]
pub(crate) fn point() {}

/// The variable that holds the number of the point to die at, counted from 1.
#[cfg(any(test, feature = "crash-points"))]
pub(crate) const VARIABLE: &str = "COUNTERSIGN_CRASH_POINT";

#[cfg(any(test, feature = "crash-points"))]
pub(crate) fn point() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static REACHED: AtomicU64 = AtomicU64::new(0);

    let fatal = std::env::var(VARIABLE).ok();
    let Some(fatal) = fatal.and_then(|v| v.parse::<u64>().ok()) else {
        return;
    };
    if REACHED.fetch_add(1, Ordering::SeqCst) + 1 == fatal {
        std::process::abort();
    }
}
