//! Points at which tests cut the power. Compiled to nothing without the feature `crash-points`,
//! so that no shipped binary listens to the environment variable.

/// A point between two effects on the disk.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub(crate) fn point() {}

/// Ends the process at the n-th point that it reaches, counted from 1, if the variable says so.
#[cfg(feature = "crash-points")]
pub(crate) fn point() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static REACHED: AtomicU64 = AtomicU64::new(0);

    let fatal = std::env::var("COUNTERSIGN_CRASH_POINT").ok();
    let Some(fatal): Option<u64> = fatal.and_then(|number| number.parse().ok()) else {
        return;
    };
    if REACHED.fetch_add(1, Ordering::SeqCst) + 1 == fatal {
        std::process::abort();
    }
}
