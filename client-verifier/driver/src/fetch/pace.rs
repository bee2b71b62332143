//! How long a server may take, and the measuring of it.

use std::time::{Duration, Instant};

use super::SlowPhase;

/// How long a server may take for one GET.
///
/// With the defaults a server that stalls or drips is given up within 55 s, however it divides its
/// slowness between connecting, answering and sending, retries included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For looking up the name, and again for connecting. Default 10 s.
    pub connect: Duration,
    /// From the start of the request to the last byte of the headers, connecting, TLS handshake
    /// and redirects included. Default 20 s.
    pub response: Duration,
    /// The window over which the rate of a body is measured. It slides, and only time spent
    /// waiting for the server counts. Default 20 s.
    pub window: Duration,
    /// Bytes that have to arrive in every full window. Default 20 KiB, so 1 KiB/s. A TLS record
    /// has 16 KiB and is delivered as a whole, so over https less than that makes every window
    /// without a finished record look like a stall.
    pub min_bytes_per_window: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            connect: Duration::from_secs(10),
            response: Duration::from_secs(20),
            window: Duration::from_secs(20),
            min_bytes_per_window: 20 * 1024,
        }
    }
}

/// What is known when a server is given up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slowness {
    pub(super) phase: SlowPhase,
    pub(super) waited: Duration,
    pub(super) received: u64,
}

/// The window is measured in this many slots; a stall is noticed at most one slot late.
const SLOTS: usize = 10;

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Bytes on the wire, framing and encryption included.
    wire: u64,
    /// Bytes of the file.
    file: u64,
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
    /// Time spent waiting for the body.
    waited: Duration,
    slots: [Slot; SLOTS],
    current: usize,
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
            waited: Duration::ZERO,
            slots: [Slot::default(); SLOTS],
            current: 0,
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
        self.received = 0;
    }

    /// The longest that the next wait may be.
    pub(super) fn next_wait(&self) -> Duration {
        match self.phase {
            SlowPhase::Body => self.slot(),
            _ => self
                .patience
                .response
                .saturating_sub(self.started.elapsed()),
        }
    }

    /// Notes `n` bytes on the wire after a wait of `elapsed`.
    pub(super) fn wire(&mut self, n: u64, elapsed: Duration) {
        self.received = self.received.saturating_add(n);
        if self.phase == SlowPhase::Body {
            self.advance(elapsed);
            self.slots[self.current].wire += n;
        }
    }

    /// Notes `n` bytes of the file.
    pub(super) fn file(&mut self, n: u64) {
        self.slots[self.current].file += n;
    }

    /// Whether the server has used up our patience.
    pub(super) fn check(&mut self) -> Option<Slowness> {
        let waited = match self.phase {
            SlowPhase::Body => self.waited,
            _ => self.started.elapsed(),
        };
        let slow = match self.phase {
            SlowPhase::Body => waited >= self.patience.window && self.is_below_minimum(),
            _ => waited >= self.patience.response,
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
            received: self.received,
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

    /// Bytes on the wire are the measure, as a slow line may take a window for one TLS record. But
    /// a window in which not one byte of the file came out is padding, whatever its rate.
    fn is_below_minimum(&self) -> bool {
        let wire: u64 = self.slots.iter().map(|s| s.wire).sum();
        let file: u64 = self.slots.iter().map(|s| s.file).sum();
        wire < self.patience.min_bytes_per_window || file == 0
    }

    fn slot(&self) -> Duration {
        (self.patience.window / SLOTS as u32).max(Duration::from_millis(1))
    }

    fn advance(&mut self, elapsed: Duration) {
        let slot = self.slot().as_nanos();
        let before = self.waited.as_nanos() / slot;
        self.waited += elapsed;
        let passed = self.waited.as_nanos() / slot - before;
        for _ in 0..passed.min(SLOTS as u128) {
            self.current = (self.current + 1) % SLOTS;
            self.slots[self.current] = Slot::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Pace {
        let mut pace = Pace::new(Patience::default());
        pace.body_begins();
        pace
    }

    /// Feeds `rate` bytes a second for `seconds`, and says after how many it was given up.
    fn run(pace: &mut Pace, seconds: u64, rate: u64, useful: bool) -> Option<u64> {
        for second in 1..=seconds {
            pace.wire(rate, Duration::from_secs(1));
            pace.file(if useful { rate } else { 0 });
            if pace.check().is_some() {
                return Some(second);
            }
        }
        None
    }

    #[test]
    fn a_stall_is_noticed_after_one_window() {
        assert_eq!(run(&mut body(), 100, 0, true), Some(20));
    }

    #[test]
    fn a_drip_is_noticed_after_one_window() {
        assert_eq!(run(&mut body(), 100, 1, true), Some(20));
    }

    #[test]
    fn a_burst_buys_no_more_than_a_window() {
        let mut pace = body();
        pace.wire(10 << 20, Duration::ZERO);
        pace.file(10 << 20);
        assert_eq!(run(&mut pace, 100, 0, true), Some(20));
    }

    #[test]
    fn twice_the_minimum_goes_on_for_ever() {
        assert_eq!(run(&mut body(), 10_000, 2048, true), None);
    }

    #[test]
    fn padding_without_content_is_slow_at_any_rate() {
        assert_eq!(run(&mut body(), 100, 1 << 20, false), Some(20));
    }

    #[test]
    fn our_own_time_does_not_count() {
        let mut pace = body();
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
