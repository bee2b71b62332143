//! Noticing that files have changed.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::{Tls, TlsError};

impl Tls {
    /// Reads the files again whenever they have changed, which is looked at once in `every`, and at each
    /// SIGHUP. What becomes of it is logged. Goes on until it is dropped.
    ///
    /// # Errors
    /// When the signal cannot be had.
    pub async fn watch(&self, every: Duration) -> io::Result<()> {
        let mut hangups = signal(SignalKind::hangup())?;
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // A file that stays broken is tried each time, and logged once.
        let mut logged = None;
        loop {
            let tls = self.clone();
            // Lists are long; reading them must not keep requests waiting.
            let done = tokio::select! {
                _ = ticks.tick() => spawn_blocking(move || tls.reload_if_changed()).await?,
                _ = hangups.recv() => {
                    logged = None;
                    spawn_blocking(move || tls.reload().map(|()| true)).await?
                }
            };
            note(done, &mut logged);
        }
    }
}

fn note(done: Result<bool, TlsError>, logged: &mut Option<String>) {
    match done {
        Ok(true) => {
            *logged = None;
            tracing::info!("certificates, authorities and revocation lists were loaded anew");
        }
        Ok(false) => *logged = None,
        Err(error) => {
            let why = error.to_string();
            if logged.as_ref() != Some(&why) {
                tracing::error!("what was loaded before stays in force: {why}");
            }
            *logged = Some(why);
        }
    }
}
