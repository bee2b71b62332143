//! Points at which this crate's own tests end the process or let a write fail. Elsewhere they do
//! not exist: the function is empty and reads nothing.

use std::io;

/// One effect on the file system is about to happen, or has just happened.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn point(_name: &str) -> io::Result<()> {
    Ok(())
}

/// The exit code of a process that ended at a point.
#[cfg(test)]
pub(crate) const CRASHED: i32 = 86;

/// The variable with the number of the point to end at.
#[cfg(test)]
pub(crate) const CRASH_AT: &str = "COUNTERSIGN_TEST_CRASH_AT";

/// The variable with the number of the point to fail at, as on a full disk.
#[cfg(test)]
pub(crate) const FAIL_AT: &str = "COUNTERSIGN_TEST_FAIL_AT";

/// Ends the process at the point that the environment names, without unwinding: nothing is
/// cleaned up, as after a power cut that came once the kernel had the data. Or fails there.
#[cfg(test)]
pub(crate) fn point(name: &str) -> io::Result<()> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static PASSED: AtomicUsize = AtomicUsize::new(0);
    let at = |variable| std::env::var(variable).ok()?.parse::<usize>().ok();
    let (crash, fail) = (at(CRASH_AT), at(FAIL_AT));
    if crash.is_none() && fail.is_none() {
        return Ok(());
    }
    let passed = Some(PASSED.fetch_add(1, Ordering::SeqCst) + 1);
    if passed == crash {
        println!("point {passed:?}: {name}");
        std::process::exit(CRASHED);
    }
    match passed == fail {
        true => Err(io::ErrorKind::StorageFull.into()),
        false => Ok(()),
    }
}
