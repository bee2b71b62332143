//! The system's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use countersign_metadata::UtcTime;

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
