//! How many connections there are, and what none of them can do: hold one for nothing.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

use super::Client;
use crate::metrics;

/// Bounds for the connections of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long a handshake may take, and how long nothing may come after it.
    pub handshake: Duration,
    /// How long the other end may take nothing of what it is sent.
    pub stalled: Duration,
    /// Connections at once, with those whose handshake is not done.
    pub connections: usize,
    /// How many of them may be of the same vehicle.
    pub of_one_vehicle: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            stalled: Duration::from_secs(30),
            connections: 4096,
            of_one_vehicle: 16,
        }
    }
}

/// The connections of one listener. Clones are the same ones.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) bounds: Bounds,
    free: Arc<Semaphore>,
    taken: Arc<Taken>,
}

/// Connections by the vehicle that they say they are of; those that do not say it are all of one.
type Taken = Mutex<HashMap<String, usize>>;

/// A place for a connection of some vehicle, until it is dropped.
#[derive(Debug)]
struct Own {
    taken: Arc<Taken>,
    name: String,
}

impl Places {
    pub(super) fn new(bounds: Bounds) -> Self {
        let most = bounds.connections.min(Semaphore::MAX_PERMITS);
        Self {
            bounds,
            free: Arc::new(Semaphore::new(most)),
            taken: Arc::default(),
        }
    }

    /// A place for a connection, before anything of it is read.
    pub(super) fn take(&self) -> io::Result<OwnedSemaphorePermit> {
        let free = Arc::clone(&self.free);
        free.try_acquire_owned()
            .map_err(|_| refused("all", "there are too many connections"))
    }

    /// One of the places of its vehicle.
    fn take_own(&self, client: &Client) -> io::Result<Own> {
        let name = client.claimed().map(|identity| identity.vin.to_string());
        let name = name.unwrap_or_default();
        let mut taken = lock(&self.taken);
        let count = taken.entry(name.clone()).or_default();
        if *count >= self.bounds.of_one_vehicle {
            return Err(refused("vehicle", "there are too many of this vehicle"));
        }
        *count += 1;
        drop(taken);
        let taken = Arc::clone(&self.taken);
        Ok(Own { taken, name })
    }

    /// The connection, in its place.
    pub(super) fn hold(
        &self,
        stream: TlsStream<TcpStream>,
        place: OwnedSemaphorePermit,
        client: Option<&Client>,
    ) -> io::Result<Held> {
        let own = client.map(|client| self.take_own(client)).transpose()?;
        Ok(Held {
            stream,
            stalled: self.bounds.stalled,
            silent: Some(Box::pin(sleep(self.bounds.handshake))),
            waiting: None,
            _place: (place, own),
        })
    }
}

fn refused(bound: &'static str, why: &str) -> io::Error {
    metrics::connection_refused(bound);
    io::Error::new(io::ErrorKind::QuotaExceeded, why)
}

fn lock(taken: &Taken) -> MutexGuard<'_, HashMap<String, usize>> {
    // Counts are right at every moment at which somebody could panic.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Own {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(count) = taken.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.name);
            }
        }
    }
}

/// A connection that is ended if the other end begins with nothing, or takes nothing, for too long. How
/// long it may take over a request that it has begun is for HTTP to say.
pub struct Held {
    stream: TlsStream<TcpStream>,
    stalled: Duration,
    /// Until something has come.
    silent: Option<Pin<Box<Sleep>>>,
    /// While something waits to be taken.
    waiting: Option<Pin<Box<Sleep>>>,
    _place: (OwnedSemaphorePermit, Option<Own>),
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl Held {
    /// What a write has come to, or an error if it has waited too long.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waiting = None;
            return polled;
        }
        let stalled = self.stalled;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(stalled)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, into);
        let Some(silent) = self.silent.as_mut() else {
            return polled;
        };
        if polled.is_pending() {
            ready!(silent.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.silent = None;
        polled
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.in_time(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.in_time(cx, polled)
    }
}
