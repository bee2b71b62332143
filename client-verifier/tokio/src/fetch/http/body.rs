//! A body that keeps to the pace.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use countersign_client::fetch::{FetchError, Patience, Rate};
use hyper::body::{Body as _, Bytes, Incoming};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::connection::Connection;
use super::explain::explain;
use super::{Kept, keep};

/// A body whose every byte counts, and every wait.
pub(super) struct PacedBody {
    url: String,
    incoming: Incoming,
    chunk: Bytes,
    rate: Rate,
    /// Bytes on the wire that the rate knows of.
    counted: u64,
    /// Since when the server is waited for, and until when at most.
    wait: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Kept for the next GET when the body is at its end.
    connection: Option<Connection>,
    kept: Kept,
}

impl PacedBody {
    pub(super) fn new(
        url: &str,
        patience: Patience,
        incoming: Incoming,
        connection: Connection,
        kept: Kept,
    ) -> Self {
        Self {
            url: url.to_owned(),
            incoming,
            chunk: Bytes::new(),
            rate: Rate::new(patience),
            counted: connection.wire().received(),
            wait: None,
            connection: Some(connection),
            kept,
        }
    }

    /// The wait is over, if there was one.
    fn waited(&mut self) {
        let waited = self.wait.take().map(|(since, _)| since.elapsed());
        let wire = self.connection.as_ref().map(|c| c.wire().received());
        let wire = wire.unwrap_or(self.counted);
        self.rate.wire(
            wire.saturating_sub(self.counted),
            waited.unwrap_or_default(),
        );
        self.counted = wire;
    }

    /// Waits on for the server, if it has not used up our patience.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<FetchError> {
        loop {
            if self.wait.is_none()
                && let Some(slow) = self.rate.too_slow(&self.url)
            {
                return Poll::Ready(slow);
            }
            let longest = self.rate.longest_wait();
            let (_, timer) = self
                .wait
                .get_or_insert_with(|| (Instant::now(), Box::pin(sleep(longest))));
            match timer.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => self.waited(),
            }
        }
    }

    fn end(&mut self) {
        if let Some(connection) = self.connection.take() {
            keep(&self.kept, connection);
        }
    }
}

impl AsyncRead for PacedBody {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.chunk.is_empty() || this.connection.is_none() || buf.remaining() == 0 {
                let piece = this.chunk.split_to(this.chunk.len().min(buf.remaining()));
                buf.put_slice(&piece);
                this.rate.file(piece.len() as u64);
                return Poll::Ready(Ok(()));
            }
            match Pin::new(&mut this.incoming).poll_frame(cx) {
                Poll::Ready(frame) => {
                    this.waited();
                    match frame {
                        None => this.end(),
                        // Trailers say nothing that counts.
                        Some(Ok(frame)) => this.chunk = frame.into_data().unwrap_or_default(),
                        Some(Err(error)) => {
                            let error = explain(&this.url, &error);
                            return Poll::Ready(Err(io::Error::other(error)));
                        }
                    }
                }
                Poll::Pending => {
                    return this.poll_wait(cx).map(|slow| Err(io::Error::other(slow)));
                }
            }
        }
    }
}
