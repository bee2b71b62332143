//! The system's clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign_metadata::UtcTime;
use rustix::time::{ClockId, clock_gettime};

/// The time now, to the second, from the system's clock. `None` if it is set outside the
/// four-digit years.
pub fn system_time() -> Option<UtcTime> {
    let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).ok()?,
        Err(before) => i64::try_from(before.duration().as_secs())
            .ok()?
            .checked_neg()?,
    };
    UtcTime::from_unix(seconds)
}

/// How long the system has been up, suspension included. Nobody can set it back.
pub fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uptime_does_not_go_back() {
        let before = uptime();
        assert!(!before.is_zero());
        assert!(uptime() >= before);
    }
}
