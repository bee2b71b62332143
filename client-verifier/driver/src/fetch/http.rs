//! HTTP and HTTPS.

use std::io::{self, Read};

use ureq::http::{HeaderMap, Response, header};
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, RustlsConnector, TcpConnector};
use ureq::{Agent, Error};

use super::get::{Answered, Get, number};
use super::pace::Pace;
use super::transport::{PacedConnector, PacedResolver, SharedPace};
use super::ureq_tls::config;
use super::{Body, FetchError, Fetcher, Patience, SlowPhase, TlsIdentity, TlsRoots};

const USER_AGENT: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

/// Bytes of status line and headers. Servers and CDNs keep to 8 KiB themselves.
const MAX_HEADERS: usize = 16 * 1024;

/// Bytes that are taken from a socket at once: an image comes in thousands of these, each with its price.
const INPUT: usize = 64 * 1024;

/// Bytes of a page that says why there is no file: more than servers' own pages have.
const MAX_SET_ASIDE: u64 = 16 * 1024;

/// Fetches over `http` and `https`.
///
/// Proxies set in the environment are not used: what a device talks to is configuration, not
/// environment. No HEAD request is ever made, and content encodings are never undone: what is
/// hashed is what was served.
pub struct HttpFetcher {
    pub(super) agent: Agent,
    pub(super) pace: SharedPace,
}

impl HttpFetcher {
    /// A fetcher that gives servers the time in `patience` and believes in `roots` for https.
    pub fn new(patience: Patience, roots: TlsRoots) -> Self {
        Self::with(patience, config(&roots, None))
    }

    /// The same, for https servers that want to know who asks (mutual TLS).
    pub fn with_identity(patience: Patience, roots: TlsRoots, identity: TlsIdentity) -> Self {
        Self::with(patience, config(&roots, Some(&identity)))
    }

    fn with(patience: Patience, tls: TlsConfig) -> Self {
        let pace = SharedPace::new(Pace::new(patience));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(USER_AGENT)
            .accept_encoding("identity")
            .max_response_header_size(MAX_HEADERS)
            .input_buffer_size(INPUT)
            .output_buffer_size(MAX_HEADERS)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.response))
            .tls_config(tls)
            .build();
        let connector = PacedConnector {
            pace: pace.clone(),
            inner: TcpConnector::default(),
        }
        // Reads the roots at the first https connection, so that plain http never pays for them.
        .chain(RustlsConnector::default());
        let resolver = PacedResolver {
            pace: pace.clone(),
            inner: DefaultResolver::default(),
        };
        HttpFetcher {
            agent: Agent::with_parts(config, connector, resolver),
            pace,
        }
    }

    fn ask(&self, get: &Get) -> Result<Response<ureq::Body>, FetchError> {
        let mut request = self.agent.get(get.url());
        if let Some(range) = get.range() {
            request = request.header(header::RANGE, range);
        }
        let asked = request.call();
        asked.map_err(|e| explain(get.url(), e, &self.pace))
    }

    pub(super) fn body(
        &self,
        url: &str,
        response: Response<ureq::Body>,
        starts_at: u64,
    ) -> Body<'_> {
        self.pace.lock().body_begins();
        let content_length = number(text(response.headers(), "content-length"));
        let reader = PacedBody {
            url: url.to_owned(),
            reader: Box::new(response.into_body().into_reader()),
            pace: self.pace.clone(),
        };
        Body::new(url, reader, content_length, starts_at)
    }
}

impl std::fmt::Debug for HttpFetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpFetcher")
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

impl Default for HttpFetcher {
    fn default() -> Self {
        HttpFetcher::new(Patience::default(), TlsRoots::mozilla())
    }
}

impl Fetcher for HttpFetcher {
    fn open(&mut self, url: &str, range_from: u64) -> Result<Body<'_>, FetchError> {
        self.pace.lock().restart();
        let mut get = Get::new(url, range_from)?;
        loop {
            let response = self.ask(&get)?;
            let header = |name| text(response.headers(), name);
            let answered = get.answered(response.status().as_u16(), header);
            if let Ok(Answered::Body { starts_at, .. }) = answered {
                return Ok(self.body(get.url(), response, starts_at));
            }
            set_aside(response);
            answered?;
        }
    }
}

/// Takes in what a server says beside a status that is all we want to know. Otherwise the connection
/// would have to be made anew, and every refresh begins with asking for a Root that is not there.
fn set_aside(response: Response<ureq::Body>) {
    let length = number(text(response.headers(), "content-length"));
    if length.is_some_and(|length| length <= MAX_SET_ASIDE) {
        // The time for it is what is left of that for the response. What becomes of it is of no
        // importance: a connection that failed is not used again.
        let mut reader = response.into_body().into_reader().take(MAX_SET_ASIDE + 1);
        let _ = io::copy(&mut reader, &mut io::sink());
    }
}

/// A header, if it is text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// A body whose every byte counts towards the pace.
struct PacedBody {
    url: String,
    reader: Box<dyn Read>,
    pace: SharedPace,
}

impl Read for PacedBody {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.reader.read(buf) {
            // Without a Content-Length the library takes a reset for the end.
            Ok(0) if !buf.is_empty() => match self.pace.lock().broken() {
                Some(detail) => Err(io::Error::other(FetchError::Disconnected {
                    url: self.url.clone(),
                    detail: detail.to_owned(),
                })),
                None => Ok(0),
            },
            Ok(n) => {
                self.pace.lock().file(n as u64);
                Ok(n)
            }
            Err(e) => Err(io::Error::other(explain(
                &self.url,
                Error::from(e),
                &self.pace,
            ))),
        }
    }
}

/// What went wrong, from what the HTTP library says and what the pace has seen.
pub(super) fn explain(url: &str, error: Error, pace: &SharedPace) -> FetchError {
    let url = url.to_owned();
    let pace = pace.lock();
    if let Some(slow) = pace.verdict() {
        return FetchError::Slow {
            url,
            phase: slow.phase,
            waited: slow.waited,
            received: slow.received,
        };
    }
    match error {
        Error::Timeout(_) => FetchError::Slow {
            url,
            phase: SlowPhase::Connect,
            waited: pace.elapsed(),
            received: 0,
        },
        Error::Io(e) if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            FetchError::Tls {
                url,
                detail: e.to_string(),
            }
        }
        Error::Io(e) => FetchError::Disconnected {
            url,
            detail: e.to_string(),
        },
        e @ (Error::HostNotFound | Error::ConnectionFailed) => FetchError::Disconnected {
            url,
            detail: e.to_string(),
        },
        e @ (Error::Tls(_) | Error::Rustls(_) | Error::TlsRequired) => FetchError::Tls {
            url,
            detail: e.to_string(),
        },
        Error::BadUri(_) | Error::Http(_) => FetchError::BadUrl {
            url,
            why: "it holds a character that must be percent-encoded, or no valid host",
        },
        e => FetchError::Protocol {
            url,
            detail: e.to_string(),
        },
    }
}
