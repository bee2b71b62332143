//! The minimum rate of a body, and the measuring of it.

use std::time::Duration;

use super::{FetchError, Patience, SlowPhase};

/// The window is measured in this many slots; a stall is noticed at most one slot late.
const SLOTS: usize = 10;

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Bytes on the wire, framing and encryption included.
    wire: u64,
    /// Bytes of the file.
    file: u64,
}

/// The rate at which one body comes, for any HTTP library. Whoever reads the body waits no longer than
/// [`Rate::longest_wait`] at once, says what came of it, and gives up when [`Rate::too_slow`] says so.
#[derive(Debug)]
pub struct Rate {
    patience: Patience,
    received: u64,
    /// Time spent waiting for the server.
    waited: Duration,
    slots: [Slot; SLOTS],
    current: usize,
}

impl Rate {
    /// The body begins now.
    pub fn new(patience: Patience) -> Self {
        Self {
            patience,
            received: 0,
            waited: Duration::ZERO,
            slots: [Slot::default(); SLOTS],
            current: 0,
        }
    }

    /// The longest time to wait for the server before it is judged again.
    pub fn longest_wait(&self) -> Duration {
        (self.patience.window / SLOTS as u32).max(Duration::from_millis(1))
    }

    /// Notes `n` bytes on the wire after a wait of `elapsed` for the server.
    pub fn wire(&mut self, n: u64, elapsed: Duration) {
        self.received = self.received.saturating_add(n);
        let slot = self.longest_wait().as_nanos();
        let before = self.waited.as_nanos() / slot;
        self.waited = self.waited.saturating_add(elapsed);
        let passed = self.waited.as_nanos() / slot - before;
        for _ in 0..passed.min(SLOTS as u128) {
            self.current = (self.current + 1) % SLOTS;
            self.slots[self.current] = Slot::default();
        }
        let now = &mut self.slots[self.current];
        now.wire = now.wire.saturating_add(n);
    }

    /// Notes `n` bytes of the file.
    pub fn file(&mut self, n: u64) {
        let now = &mut self.slots[self.current];
        now.file = now.file.saturating_add(n);
    }

    /// Why to give up `url`: in the last window there were fewer bytes than `patience` asks for.
    ///
    /// Bytes on the wire are the measure, as a slow line may take a window for one TLS record. But a
    /// window in which not one byte of the file came out is padding, whatever its rate.
    pub fn too_slow(&self, url: &str) -> Option<FetchError> {
        self.is_too_slow().then(|| FetchError::Slow {
            url: url.to_owned(),
            phase: SlowPhase::Body,
            waited: self.waited,
            received: self.received,
        })
    }

    pub(super) fn is_too_slow(&self) -> bool {
        let wire: u64 = self.slots.iter().map(|s| s.wire).sum();
        let file: u64 = self.slots.iter().map(|s| s.file).sum();
        let below = wire < self.patience.min_bytes_per_window || file == 0;
        self.waited >= self.patience.window && below
    }
}

#[cfg(feature = "http")]
impl Rate {
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn waited(&self) -> Duration {
        self.waited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Rate {
        Rate::new(Patience::default())
    }

    /// Feeds `rate` bytes a second for `seconds`, and says after how many it was given up.
    fn run(body: &mut Rate, seconds: u64, rate: u64, useful: bool) -> Option<u64> {
        for second in 1..=seconds {
            body.wire(rate, Duration::from_secs(1));
            body.file(if useful { rate } else { 0 });
            if body.too_slow("u").is_some() {
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
        let mut body = body();
        body.wire(10 << 20, Duration::ZERO);
        body.file(10 << 20);
        assert_eq!(run(&mut body, 100, 0, true), Some(20));
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
    fn what_is_given_up_says_how_long_and_how_much() {
        let mut body = body();
        assert_eq!(run(&mut body, 100, 7, true), Some(20));
        match body.too_slow("u") {
            Some(FetchError::Slow {
                phase: SlowPhase::Body,
                waited,
                received,
                ..
            }) => assert_eq!((waited.as_secs(), received), (20, 140)),
            other => panic!("{other:?}"),
        }
    }
}
