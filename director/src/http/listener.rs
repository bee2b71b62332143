//! A listener that ends without losing anything, and that nobody holds up.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::Accept;
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncWrite};

/// How often a connection with HTTP/2 is asked whether it is still there.
const ALIVE: Duration = Duration::from_secs(30);

/// Streams of one connection with HTTP/2.
const STREAMS: u32 = 32;

/// Serves until `handle` is told to end. Whoever begins a request has to say what it wants within `head`,
/// which is also how long a connection may be open without one.
///
/// # Errors
/// If the listener cannot be used.
pub async fn listen<A>(
    listener: TcpListener,
    acceptor: A,
    router: Router,
    head: Duration,
    handle: Handle<SocketAddr>,
) -> io::Result<()>
where
    A: Accept<tokio::net::TcpStream, Router> + Clone + Send + Sync + 'static,
    A::Stream: AsyncRead + AsyncWrite + Unpin + Send,
    A::Service:
        axum_server::service::SendService<axum::http::Request<hyper::body::Incoming>> + Send,
    A::Future: Send,
{
    listener.set_nonblocking(true)?;
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(acceptor)
        .handle(handle);
    let http = server.http_builder();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(ALIVE))
        .max_concurrent_streams(STREAMS);
    server.serve(router.into_make_service()).await
}
