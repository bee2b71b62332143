//! Points at which the kill tests end the process. Outside this crate's own tests they do not
//! exist: the function is empty and reads nothing.

/// One effect on the file system is about to happen, or has just happened.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn point(_name: &str) {}

/// Aborts the process at the point that the environment names.
#[cfg(test)]
pub(crate) fn point(name: &str) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static PASSED: AtomicUsize = AtomicUsize::new(0);
    let passed = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    let Ok(at) = std::env::var("REPO_TEST_CRASH_AT") else {
        return;
    };
    if at.parse() == Ok(passed) {
        eprintln!("crash at point {passed}: {name}");
        std::process::abort();
    }
}
