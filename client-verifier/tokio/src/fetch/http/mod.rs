//! HTTP and HTTPS.
//!
//! The rules are [`Get`]'s and [`Rate`](countersign_client::fetch::Rate)'s, as in the blocking
//! fetcher; here is what speaks HTTP.

mod body;
mod connection;
mod explain;
mod wire;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_client::fetch::{
    Answered, FetchError, Get, Patience, SlowPhase, TlsIdentity, TlsRoots, client_config,
};
use hyper::Response;
use hyper::body::{Body as _, Incoming};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

use self::body::PacedBody;
use self::connection::{Connection, Origin, request};
use self::explain::explain;
use self::wire::Wire;
use super::{Body, Fetcher};

/// Fetches over `http` and `https`, within the bounds of
/// [`countersign_client::fetch`]'s `HttpFetcher`: bytes, headers, time to connect and to answer, bytes
/// per window, redirects.
///
/// One connection is kept for the next GET. Proxies set in the environment are not used. No HEAD request
/// is ever made, and content encodings are never undone: what is hashed is what was served.
pub struct HttpFetcher {
    patience: Patience,
    tls: Result<Arc<ClientConfig>, rustls::Error>,
    kept: Kept,
}

/// The connection that is kept for the next GET. Who reads a body has taken it out.
type Kept = Arc<Mutex<Option<Connection>>>;

impl HttpFetcher {
    /// A fetcher that gives servers the time in `patience` and believes in `roots` for https.
    pub fn new(patience: Patience, roots: TlsRoots) -> Self {
        Self::with(patience, client_config(&roots, None))
    }

    /// The same, for https servers that want to know who asks (mutual TLS).
    pub fn with_identity(patience: Patience, roots: TlsRoots, identity: TlsIdentity) -> Self {
        Self::with(patience, client_config(&roots, Some(&identity)))
    }

    fn with(patience: Patience, tls: Result<ClientConfig, rustls::Error>) -> Self {
        Self {
            patience,
            tls: tls.map(Arc::new),
            kept: Kept::default(),
        }
    }

    /// Asks until the body follows.
    async fn get(&self, mut get: Get, seen: &mut Seen) -> Result<Body, FetchError> {
        loop {
            let (connection, response) = self.ask(&get, seen).await?;
            let headers = response.headers();
            let header = |name| headers.get(name)?.to_str().ok();
            match get.answered(response.status().as_u16(), header) {
                Ok(Answered::Body {
                    starts_at,
                    content_length,
                }) => {
                    let body = response.into_body();
                    let kept = Arc::clone(&self.kept);
                    let reader = PacedBody::new(get.url(), self.patience, body, connection, kept);
                    return Ok(Body::new(get.url(), reader, content_length, starts_at));
                }
                other => {
                    // The body of any other answer is not read, so the connection ends with it.
                    if response.body().is_end_stream() {
                        keep(&self.kept, connection);
                    }
                    other?;
                }
            }
        }
    }

    /// One request, on the connection that was kept if there is one.
    async fn ask(
        &self,
        get: &Get,
        seen: &mut Seen,
    ) -> Result<(Connection, Response<Incoming>), FetchError> {
        let origin = Origin::of(get.url())?;
        if let Some(mut connection) = take(&self.kept).filter(|kept| *kept.origin() == origin)
            && connection.is_ready().await
        {
            seen.connected(connection.wire());
            let before = connection.wire().received();
            match connection.send(request(get, &origin)?).await {
                Ok(response) => return Ok((connection, response)),
                // The server has hung up since, which says nothing about this request.
                Err(_) if connection.wire().received() == before => {}
                Err(error) => return Err(explain(get.url(), &error)),
            }
        }
        seen.phase = SlowPhase::Connect;
        let tcp = connection::tcp(get.url(), &origin, self.patience.connect).await?;
        seen.connected(tcp.wire());
        let mut connection = Connection::start(get.url(), origin.clone(), tcp, &self.tls).await?;
        match connection.send(request(get, &origin)?).await {
            Ok(response) => Ok((connection, response)),
            Err(error) => Err(explain(get.url(), &error)),
        }
    }
}

impl Fetcher for HttpFetcher {
    async fn open(&mut self, url: &str, range_from: u64) -> Result<Body, FetchError> {
        let get = Get::new(url, range_from)?;
        let started = Instant::now();
        let mut seen = Seen {
            phase: SlowPhase::Connect,
            wire: Wire::default(),
            before: 0,
        };
        let answer = timeout_at(started + self.patience.response, self.get(get, &mut seen)).await;
        answer.unwrap_or_else(|_| {
            Err(FetchError::Slow {
                url: url.to_owned(),
                phase: seen.phase,
                waited: started.elapsed(),
                received: seen.wire.received().saturating_sub(seen.before),
            })
        })
    }
}

impl fmt::Debug for HttpFetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFetcher")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl Default for HttpFetcher {
    fn default() -> Self {
        Self::new(Patience::default(), TlsRoots::mozilla())
    }
}

/// How far a request has come, for when it is given up.
struct Seen {
    phase: SlowPhase,
    wire: Wire,
    /// Bytes that came on this connection before.
    before: u64,
}

impl Seen {
    fn connected(&mut self, wire: &Wire) {
        self.phase = SlowPhase::Response;
        self.wire = wire.clone();
        self.before = wire.received();
    }
}

fn keep(kept: &Kept, connection: Connection) {
    *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
}

fn take(kept: &Kept) -> Option<Connection> {
    kept.lock().unwrap_or_else(PoisonError::into_inner).take()
}
