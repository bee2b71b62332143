//! How long one request takes, and when its server is given up.

use std::time::{Duration, Instant};

use super::rate::Rate;
use super::{Patience, SlowPhase};

/// What is known when a server is given up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slowness {
    pub(super) phase: SlowPhase,
    pub(super) waited: Duration,
    pub(super) received: u64,
}

/// The pace of one request: first a deadline for the response, then a minimum rate for the body.
#[derive(Debug)]
pub(super) struct Pace {
    patience: Patience,
    started: Instant,
    phase: SlowPhase,
    received: u64,
    /// Whether the request has a body, and how much of it was sent since the deadline was set.
    upload: Option<u64>,
    /// The body, once it has begun.
    rate: Rate,
    /// Set once the server has been given up.
    verdict: Option<Slowness>,
    /// The connection was reset, which a body without a length must not take for its end.
    broken: Option<String>,
}

impl Pace {
    pub(super) fn new(patience: Patience) -> Self {
        Pace {
            patience,
            started: Instant::now(),
            phase: SlowPhase::Connect,
            received: 0,
            upload: None,
            rate: Rate::new(patience),
            verdict: None,
            broken: None,
        }
    }

    /// A new GET starts now.
    pub(super) fn restart(&mut self) {
        *self = Pace::new(self.patience);
    }

    /// The request has a body. Sending it is no slowness of the server as long as it goes at the rate
    /// that is asked of a server: every `min_bytes_per_window` sets the deadline anew.
    pub(super) fn uploads(&mut self) {
        self.upload = Some(0);
    }

    /// Notes that `n` bytes were sent.
    pub(super) fn sent(&mut self, n: u64) {
        let Some(sent) = &mut self.upload else {
            return;
        };
        *sent = sent.saturating_add(n);
        if *sent >= self.patience.min_bytes_per_window {
            *sent = 0;
            self.started = Instant::now();
        }
    }

    /// A name is looked up or a connection made: for the first hop, or after a redirect.
    pub(super) fn connecting(&mut self) {
        self.phase = SlowPhase::Connect;
    }

    /// A connection stands, and the request goes out on it.
    pub(super) fn connected(&mut self) {
        if self.phase == SlowPhase::Connect {
            self.phase = SlowPhase::Response;
        }
    }

    /// The headers are in: from here on the rate counts.
    pub(super) fn body_begins(&mut self) {
        self.phase = SlowPhase::Body;
        self.rate = Rate::new(self.patience);
    }

    /// The longest that the next wait may be.
    pub(super) fn next_wait(&self) -> Duration {
        match self.phase {
            SlowPhase::Body => self.rate.longest_wait(),
            _ => self
                .patience
                .response
                .saturating_sub(self.started.elapsed()),
        }
    }

    /// Notes `n` bytes on the wire after a wait of `elapsed`.
    pub(super) fn wire(&mut self, n: u64, elapsed: Duration) {
        match self.phase {
            SlowPhase::Body => self.rate.wire(n, elapsed),
            _ => self.received = self.received.saturating_add(n),
        }
    }

    /// Notes `n` bytes of the file.
    pub(super) fn file(&mut self, n: u64) {
        self.rate.file(n);
    }

    /// Whether the server has used up our patience.
    pub(super) fn check(&mut self) -> Option<Slowness> {
        let (slow, waited) = match self.phase {
            SlowPhase::Body => (self.rate.is_too_slow(), self.rate.waited()),
            _ => {
                let waited = self.started.elapsed();
                (waited >= self.patience.response, waited)
            }
        };
        if slow {
            self.give_up(waited);
        }
        self.verdict
    }

    /// Gives the server up, in its present phase.
    pub(super) fn give_up(&mut self, waited: Duration) {
        self.verdict.get_or_insert(Slowness {
            phase: self.phase,
            waited,
            received: match self.phase {
                SlowPhase::Body => self.rate.received(),
                _ => self.received,
            },
        });
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn connect_limit(&self) -> Duration {
        self.patience.connect.min(self.next_wait())
    }

    pub(super) fn verdict(&self) -> Option<Slowness> {
        self.verdict
    }

    pub(super) fn break_off(&mut self, detail: String) {
        self.broken.get_or_insert(detail);
    }

    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_time_does_not_count() {
        let mut pace = Pace::new(Patience::default());
        pace.body_begins();
        pace.started = Instant::now()
            .checked_sub(Duration::from_secs(3600))
            .unwrap();
        pace.wire(1, Duration::from_millis(1));
        assert!(pace.check().is_none());
    }

    #[test]
    fn what_is_sent_sets_the_deadline_anew_for_uploads_alone() {
        let long_ago = Instant::now().checked_sub(Duration::from_secs(20)).unwrap();
        for upload in [true, false] {
            let mut pace = Pace::new(Patience::default());
            if upload {
                pace.uploads();
            }
            pace.connected();
            pace.started = long_ago;
            pace.sent(20 * 1024 - 1);
            assert_eq!(pace.next_wait(), Duration::ZERO);
            pace.sent(1);
            assert_eq!(pace.check().is_none(), upload);
        }
    }

    #[test]
    fn the_response_has_a_deadline_whatever_arrives() {
        let mut pace = Pace::new(Patience::default());
        pace.connected();
        pace.wire(1 << 20, Duration::from_secs(1));
        assert!(pace.check().is_none());
        pace.started = Instant::now().checked_sub(Duration::from_secs(20)).unwrap();
        let slowness = pace.check().unwrap();
        assert_eq!(slowness.phase, SlowPhase::Response);
        assert_eq!(slowness.received, 1 << 20);
        assert_eq!(pace.next_wait(), Duration::ZERO);
    }
}
