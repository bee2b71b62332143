//! One HTTP/1.1 connection, with TLS or without.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_client::fetch::{FetchError, Get, SlowPhase};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::explain::{explain, explain_io};
use super::wire::{Counted, Wire};

const USER_AGENT: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

/// Bytes of status line and headers, and of a body that are read at once. Servers and CDNs keep to
/// 8 KiB of headers themselves.
const MAX_HEADERS: usize = 16 * 1024;

/// Whom a connection leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    https: bool,
    /// As in the URL, with the port if it has one.
    authority: String,
    /// A name, or an address without brackets.
    host: String,
    port: u16,
}

impl Origin {
    pub(super) fn of(url: &str) -> Result<Self, FetchError> {
        let uri = uri(url)?;
        let authority = uri.authority().ok_or_else(|| bad(url))?;
        let https = uri.scheme_str() == Some("https");
        let host = authority.host();
        Ok(Self {
            https,
            authority: authority.to_string(),
            host: host.trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if https { 443 } else { 80 }),
        })
    }
}

fn uri(url: &str) -> Result<Uri, FetchError> {
    url.parse().map_err(|_| bad(url))
}

fn bad(url: &str) -> FetchError {
    FetchError::BadUrl {
        url: url.to_owned(),
        why: "it holds a character that must be percent-encoded, or no valid host",
    }
}

/// What is sent for `get`; the body is empty.
pub(super) fn request(get: &Get, origin: &Origin) -> Result<Request<String>, FetchError> {
    let uri = uri(get.url())?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path)
        .header(header::HOST, &origin.authority)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .header(header::ACCEPT_ENCODING, "identity");
    if let Some(range) = get.range() {
        request = request.header(header::RANGE, range);
    }
    request.body(String::new()).map_err(|_| bad(get.url()))
}

/// Looks the name up and connects, each within `limit`.
pub(super) async fn tcp(
    url: &str,
    origin: &Origin,
    limit: Duration,
) -> Result<Counted, FetchError> {
    let address = (origin.host.as_str(), origin.port);
    let addresses = within(url, limit, lookup_host(address)).await?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    let tcp = within(url, limit, TcpStream::connect(&addresses[..])).await?;
    // Best effort: it only saves time.
    let _ = tcp.set_nodelay(true);
    Ok(Counted::new(tcp))
}

async fn within<T>(
    url: &str,
    limit: Duration,
    connecting: impl Future<Output = io::Result<T>>,
) -> Result<T, FetchError> {
    let started = Instant::now();
    match timeout(limit, connecting).await {
        Ok(done) => done.map_err(|error| explain_io(url, &error)),
        Err(_) => Err(FetchError::Slow {
            url: url.to_owned(),
            phase: SlowPhase::Connect,
            waited: started.elapsed(),
            received: 0,
        }),
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection on which one request is made at a time. It ends when this is dropped.
pub(super) struct Connection {
    origin: Origin,
    wire: Wire,
    sender: SendRequest<String>,
    task: AbortHandle,
}

impl Connection {
    /// Shakes hands, for TLS if the URL has it, and for HTTP.
    pub(super) async fn start(
        url: &str,
        origin: Origin,
        tcp: Counted,
        tls: &Result<Arc<ClientConfig>, rustls::Error>,
    ) -> Result<Self, FetchError> {
        let wire = tcp.wire().clone();
        let stream: Box<dyn Stream> = match origin.https {
            false => Box::new(tcp),
            true => Box::new(secure(url, &origin, tcp, tls).await?),
        };
        let (sender, connection) = Builder::new()
            .max_buf_size(MAX_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| explain(url, &error))?;
        // What goes wrong is told to whoever waits for the answer or reads the body.
        let task = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Self {
            origin,
            wire,
            sender,
            task,
        })
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Whether another request can be made on it.
    pub(super) async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    pub(super) async fn send(
        &mut self,
        request: Request<String>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        self.sender.send_request(request).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn secure(
    url: &str,
    origin: &Origin,
    tcp: Counted,
    tls: &Result<Arc<ClientConfig>, rustls::Error>,
) -> Result<impl Stream + use<>, FetchError> {
    let failed = |detail: String| FetchError::Tls {
        url: url.to_owned(),
        detail,
    };
    let config = tls.as_ref().map_err(|error| failed(error.to_string()))?;
    let name = ServerName::try_from(origin.host.clone());
    let name = name.map_err(|error| failed(error.to_string()))?;
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = connector.connect(name, tcp).await;
    stream.map_err(|error| explain_io(url, &error))
}
