//! Progress bars on standard error, where that is a terminal.

use std::io::IsTerminal;
use std::sync::Mutex;

use countersign_repo::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// Images smaller than this are done before a bar could be read.
const WORTH_SHOWING: u64 = 8 << 20;

pub(super) struct Bars {
    hidden: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Bars {
    pub(super) fn new(hidden: bool) -> Self {
        Self {
            hidden: hidden || !std::io::stderr().is_terminal(),
            bar: Mutex::new(None),
        }
    }

    fn with(&self, act: impl FnOnce(&mut Option<ProgressBar>)) {
        if let Ok(mut bar) = self.bar.lock() {
            act(&mut bar);
        }
    }
}

impl Progress for Bars {
    fn start(&self, what: &str, bytes: u64) {
        if self.hidden || bytes < WORTH_SHOWING {
            return;
        }
        let template = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(bytes).with_style(style);
        bar.set_message(what.to_owned());
        self.with(|shown| *shown = Some(bar));
    }

    fn advance(&self, bytes: u64) {
        self.with(|shown| {
            if let Some(bar) = shown {
                bar.inc(bytes);
            }
        });
    }

    fn finish(&self) {
        self.with(|shown| {
            if let Some(bar) = shown.take() {
                bar.finish_and_clear();
            }
        });
    }
}
