//! Points at which the kill tests end the process. Outside this crate's own tests they do not
//! exist: the function is empty and reads nothing.

/// One effect on the file system is about to happen, or has just happened.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn point(_name: &str) {}

/// The exit code of a process that ended at a point.
#[cfg(test)]
pub(crate) const CRASHED: i32 = 86;

/// The variable with the number of the point to end at.
#[cfg(test)]
pub(crate) const CRASH_AT: &str = "COUNTERSIGN_TEST_CRASH_AT";

/// Ends the process at the point that the environment names, without unwinding: nothing is
/// cleaned up, as after a power cut that came once the kernel had the data.
#[cfg(test)]
pub(crate) fn point(name: &str) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static PASSED: AtomicUsize = AtomicUsize::new(0);
    let Ok(at) = std::env::var(CRASH_AT) else {
        return;
    };
    let passed = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    if at.parse() == Ok(passed) {
        println!("point {passed}: {name}");
        std::process::exit(CRASHED);
    }
}
