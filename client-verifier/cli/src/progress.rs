//! A progress bar on standard error, where that is a terminal.

use std::cell::Cell;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

/// Columns that any terminal has.
const COLUMNS: usize = 79;

/// Characters of the bar itself.
const BAR: u64 = 30;

/// Between two drawings.
const PAUSE: Duration = Duration::from_millis(100);

/// The progress of one image.
pub(crate) struct Progress<'n> {
    name: &'n str,
    length: u64,
    shown: bool,
    done: Cell<u64>,
    started: Cell<Instant>,
    drawn: Cell<Option<Instant>>,
}

impl<'n> Progress<'n> {
    /// A bar for `length` bytes of `name`; invisible where standard error is no terminal.
    pub(crate) fn new(name: &'n str, length: u64) -> Self {
        Self {
            name,
            length,
            shown: stderr().is_terminal(),
            done: Cell::new(0),
            started: Cell::new(Instant::now()),
            drawn: Cell::new(None),
        }
    }

    /// So many more bytes, or a fresh start.
    pub(crate) fn told(&self, bytes: Option<u64>) {
        match bytes {
            Some(bytes) => self.done.set(self.done.get().saturating_add(bytes)),
            None => {
                self.done.set(0);
                self.started.set(Instant::now());
            }
        }
        let rested = |drawn: Instant| drawn.elapsed() >= PAUSE;
        if self.shown && self.drawn.get().is_none_or(rested) {
            self.drawn.set(Some(Instant::now()));
            let line = line(
                self.name,
                (self.done.get(), self.length),
                self.started.get().elapsed(),
            );
            // The bar is of no importance.
            let _ = write!(stderr(), "\r\x1b[2K{line}");
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if self.drawn.get().is_some() {
            let _ = write!(stderr(), "\r\x1b[2K");
        }
    }
}

/// One line for a terminal.
fn line(name: &str, (done, length): (u64, u64), taken: Duration) -> String {
    let share = |of: u64| u128::from(done.min(length)) * u128::from(of) / u128::from(length.max(1));
    let full = share(BAR) as usize;
    let bar = format!("{:#<full$}{:-<empty$}", "", "", empty = BAR as usize - full);
    let rate = u128::from(done) * 1000 / taken.as_millis().max(1);
    let left = match rate {
        0 => "?".to_owned(),
        rate => (u128::from(length.saturating_sub(done)) / rate).to_string(),
    };
    let facts = format!(
        " [{bar}] {}/{} {}/s {left}s",
        size(done.into()),
        size(length.into()),
        size(rate)
    );
    // Of a long name the end says more.
    let room = COLUMNS.saturating_sub(facts.chars().count());
    let skipped = name.chars().count().saturating_sub(room);
    name.chars().skip(skipped).chain(facts.chars()).collect()
}

/// Bytes for people.
fn size(bytes: u128) -> String {
    let (mut tenths, mut unit) = (bytes * 10, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if tenths < 10_240 {
            break;
        }
        (tenths, unit) = (tenths / 1024, larger);
    }
    match unit {
        "B" => format!("{bytes} B"),
        unit => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_and_fits_any_terminal() {
        let half = line("img", (512 << 20, 1 << 30), Duration::from_secs(4));
        let expected = "img [###############---------------] 512.0 MiB/1.0 GiB 128.0 MiB/s 4s";
        assert_eq!(half, expected);
        let long = "folder/".repeat(20) + "image";
        let line_of_long = line(&long, (0, 10), Duration::ZERO);
        assert_eq!(line_of_long.chars().count(), COLUMNS);
        assert!(line_of_long.contains("/image [---"), "{line_of_long}");
        // What a server cannot cause, but a mistake could.
        line("", (u64::MAX, 0), Duration::ZERO);
        line("", (0, u64::MAX), Duration::MAX);
    }

    #[test]
    fn sizes_are_rounded_down() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1 << 20, "1.0 MiB"),
            ((1 << 20) - 1, "1023.9 KiB"),
            (5 << 40, "5.0 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
