//! A socket whose received bytes are counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How many bytes came over one connection, framing and encryption included.
#[derive(Debug, Clone, Default)]
pub(super) struct Wire(Arc<AtomicU64>);

impl Wire {
    pub(super) fn received(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A socket, and its count.
#[derive(Debug)]
pub(super) struct Counted {
    tcp: TcpStream,
    wire: Wire,
}

impl Counted {
    pub(super) fn new(tcp: TcpStream) -> Self {
        let wire = Wire::default();
        Self { tcp, wire }
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.tcp).poll_read(cx, buf);
        let n = buf.filled().len().saturating_sub(before);
        this.wire.0.fetch_add(n as u64, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}
