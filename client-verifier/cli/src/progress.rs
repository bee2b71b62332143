//! A progress bar on standard error, where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of one image.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar for `length` bytes of `name`; invisible where standard error is no terminal.
    pub(crate) fn new(name: &str, length: u64) -> Self {
        let bar = ProgressBar::new(length).with_message(name.to_owned());
        let style = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        bar.set_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self(bar)
    }

    /// So many more bytes, or a fresh start.
    pub(crate) fn told(&self, bytes: Option<u64>) {
        match bytes {
            Some(bytes) => self.0.inc(bytes),
            None => self.0.set_position(0),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
