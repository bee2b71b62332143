//! How often and how long a fetch is tried again.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use super::FetchError;

/// Tries in all, the first one included.
const TRIES: u32 = 3;

/// No new try starts later than this after the start or the last real progress. With the default
/// [`super::Patience`] (20 s to answer, 20 s without enough body) a server that delivers nothing
/// useful is given up within 55 s.
const RETRY_WITHIN: Duration = Duration::from_secs(15);

/// Bytes that count as real progress and restart the clock.
const PROGRESS: u64 = 1024 * 1024;

/// How often one download may be started over, whatever it gains by that: a server without ranges
/// must not be paid a whole file for each further piece of it.
const FRESH_STARTS: u32 = 3;

/// The first back-off; the next one is twice as long. Each is stretched by up to its half at
/// random, so that a fleet which lost its server does not come back in step.
const BACK_OFF: Duration = Duration::from_millis(250);

/// The longest `Retry-After` that is waited for. A server that asks for more is busy until the
/// next run.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The tries made for one file: how many, since when, and with what progress.
#[derive(Debug)]
pub struct Effort {
    tries: u32,
    since: Instant,
    unreported: u64,
    /// The furthest byte that a download that resumes has come to, in any try.
    furthest: u64,
    /// Bytes beyond what was `furthest` when the tries were last counted anew.
    gained: u64,
    fresh_starts: u32,
}

impl Effort {
    /// The first try starts now.
    pub fn start() -> Self {
        Effort {
            tries: 1,
            since: Instant::now(),
            unreported: 0,
            furthest: 0,
            gained: 0,
            fresh_starts: 0,
        }
    }

    /// The first try starts now, of a download of which `furthest` bytes are there.
    pub(crate) fn resuming_at(furthest: u64) -> Self {
        Effort {
            furthest,
            ..Self::start()
        }
    }

    /// Notes that `n` bytes of the file arrived.
    pub fn received(&mut self, n: u64) {
        self.unreported = self.unreported.saturating_add(n);
        if self.unreported >= PROGRESS {
            self.unreported = 0;
            self.since = Instant::now();
        }
    }

    /// Notes that `n` bytes of a download that resumes arrived, and that it has come to byte
    /// `position`. Bytes that no try had brought before are progress that later tries build on, so
    /// a long download over a poor line is not limited to a fixed number of tries; the same bytes
    /// once more are none. That bounds the requests by the length of the file.
    pub(crate) fn advanced(&mut self, n: u64, position: u64) {
        self.received(n);
        self.gained += position.saturating_sub(self.furthest);
        self.furthest = self.furthest.max(position);
        if self.gained >= PROGRESS {
            self.gained = 0;
            self.tries = 1;
        }
    }

    /// Notes that the server sends again from the first byte what was there in part.
    pub(crate) fn starts_over(&mut self) {
        self.fresh_starts += 1;
    }

    /// Waits and returns when another try is due after `error`.
    ///
    /// # Errors
    /// `error` itself if another try would not help, or there were enough of them.
    pub fn again_after(&mut self, error: FetchError) -> Result<(), FetchError> {
        std::thread::sleep(self.pause_after(error)?);
        Ok(())
    }

    /// How long to wait before another try, which counts as made. For those that cannot sleep here.
    ///
    /// # Errors
    /// As [`Effort::again_after`].
    pub fn pause_after(&mut self, error: FetchError) -> Result<Duration, FetchError> {
        if !error.is_transient() || self.tries >= TRIES || self.fresh_starts >= FRESH_STARTS {
            return Err(error);
        }
        let asked = error.retry_after().unwrap_or_default();
        let pause = jitter(BACK_OFF * 2u32.pow(self.tries - 1)).max(asked);
        if asked > MAX_RETRY_AFTER || self.since.elapsed() + pause > RETRY_WITHIN {
            return Err(error);
        }
        self.tries += 1;
        Ok(pause)
    }
}

/// `base` and up to a half of it more. The randomness only spreads load; nothing secret rests on
/// it, so the seed of a hash map will do.
fn jitter(base: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 512;
    base + base * u32::try_from(random).unwrap_or(0) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(retry_after: Option<u64>) -> FetchError {
        FetchError::Unavailable {
            url: "http://h/".into(),
            status: 503,
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn two_more_tries_after_the_first() {
        let mut effort = Effort::start();
        assert!(effort.again_after(unavailable(None)).is_ok());
        assert!(effort.again_after(unavailable(None)).is_ok());
        assert!(effort.again_after(unavailable(None)).is_err());
    }

    #[test]
    fn a_small_retry_after_is_waited_for_and_a_large_one_is_not() {
        let start = Instant::now();
        assert!(Effort::start().again_after(unavailable(Some(1))).is_ok());
        assert!(start.elapsed() >= Duration::from_secs(1));
        assert!(Effort::start().again_after(unavailable(Some(60))).is_err());
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn an_absent_file_is_never_tried_again() {
        let missing = FetchError::NotFound {
            url: "http://h/".into(),
            status: Some(404),
        };
        assert!(Effort::start().again_after(missing).is_err());
    }

    #[test]
    fn no_try_starts_late_unless_there_was_progress() {
        let long_ago = Instant::now().checked_sub(RETRY_WITHIN).unwrap();
        let mut effort = Effort {
            since: long_ago,
            ..Effort::start()
        };
        assert!(effort.again_after(unavailable(None)).is_err());
        effort.received(PROGRESS);
        assert!(effort.again_after(unavailable(None)).is_ok());
    }

    #[test]
    fn only_bytes_beyond_the_furthest_one_count_the_tries_anew() {
        let mut effort = Effort::resuming_at(10 * PROGRESS);
        effort.tries = TRIES;
        effort.advanced(10 * PROGRESS, 10 * PROGRESS);
        effort.advanced(1, 10 * PROGRESS + 1);
        assert_eq!(effort.tries, TRIES);
        effort.advanced(PROGRESS, 10 * PROGRESS + 1);
        assert_eq!(effort.tries, TRIES);
        effort.advanced(PROGRESS - 1, 11 * PROGRESS);
        assert_eq!(effort.tries, 1);
    }

    #[test]
    fn jitter_stretches_by_a_half_at_most() {
        for _ in 0..100 {
            let pause = jitter(BACK_OFF);
            assert!(pause >= BACK_OFF && pause <= BACK_OFF * 3 / 2);
        }
    }
}
