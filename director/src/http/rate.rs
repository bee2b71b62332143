//! How often one vehicle or token may ask.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::response::Response;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::Limits;
use super::answer::refuse;

/// Counts requests by who makes them.
pub(super) struct Rate {
    limiter: DefaultKeyedRateLimiter<String>,
    /// How often it was asked.
    asked: AtomicU32,
}

impl Rate {
    pub(super) fn new(limits: &Limits) -> Self {
        let one = NonZeroU32::MIN;
        let quota = Quota::per_minute(NonZeroU32::new(limits.per_minute).unwrap_or(one))
            .allow_burst(NonZeroU32::new(limits.burst).unwrap_or(one));
        Self {
            limiter: RateLimiter::keyed(quota),
            asked: AtomicU32::new(0),
        }
    }

    /// Whether `who` may ask now; otherwise the answer to give.
    pub(super) fn check(&self, who: &str) -> Result<(), Box<Response>> {
        // Those who have not asked for a while need not be remembered.
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        if turn.is_multiple_of(LOOK_EVERY) && self.limiter.len() > REMEMBERED {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(&who.to_owned()).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            let message = "too many requests; wait as long as Retry-After says";
            let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, "rate", message);
            let seconds = HeaderValue::from(wait.as_secs().saturating_add(1));
            response.headers_mut().insert(RETRY_AFTER, seconds);
            Box::new(response)
        })
    }
}

/// Callers that are remembered before the idle ones are forgotten.
const REMEMBERED: usize = 200_000;

/// Requests between two looks at how many callers there are: counting them locks all of them.
const LOOK_EVERY: u32 = 1024;
