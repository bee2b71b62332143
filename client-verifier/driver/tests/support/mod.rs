//! A small HTTP server that does whatever a test wants, well or badly behaved.

#![allow(dead_code)] // Each test binary uses its own part.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use countersign_client::fetch::Patience;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;

/// Short enough for tests, with the proportions of the default.
pub(crate) const IMPATIENT: Patience = Patience {
    connect: Duration::from_secs(2),
    response: Duration::from_secs(1),
    window: Duration::from_secs(1),
    min_bytes_per_window: 1000,
};

/// A request as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|h| {
            let (n, v) = h.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim())
        })
    }
}

pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

type Handler = dyn Fn(&Request, &mut dyn Stream, usize) + Send + Sync;

/// A server on loopback, up until the test process ends.
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: Arc<Mutex<usize>>,
}

impl Server {
    /// Answers each request with `handler`, which gets the connection and how many requests
    /// there were before. The connection is closed afterwards.
    pub(crate) fn http(
        handler: impl Fn(&Request, &mut dyn Stream, usize) + Send + Sync + 'static,
    ) -> Self {
        Self::start(
            "http",
            "127.0.0.1",
            handler,
            |tcp| Some(Box::new(tcp)),
            false,
        )
    }

    /// The same, with as many requests on one connection as the client sends.
    pub(crate) fn keep_alive(
        handler: impl Fn(&Request, &mut dyn Stream, usize) + Send + Sync + 'static,
    ) -> Self {
        Self::start(
            "http",
            "127.0.0.1",
            handler,
            |tcp| Some(Box::new(tcp)),
            true,
        )
    }

    /// The same over TLS, with a certificate for `localhost` whose issuer is written to `ca_file`.
    pub(crate) fn https(
        ca_file: &Path,
        handler: impl Fn(&Request, &mut dyn Stream, usize) + Send + Sync + 'static,
    ) -> Self {
        Self::with_tls(tls_config(ca_file, None), handler)
    }

    /// The same, for clients with a certificate of the issuer in `client_ca` alone.
    pub(crate) fn mutual(
        ca_file: &Path,
        client_ca: &rcgen::Certificate,
        handler: impl Fn(&Request, &mut dyn Stream, usize) + Send + Sync + 'static,
    ) -> Self {
        Self::with_tls(tls_config(ca_file, Some(client_ca)), handler)
    }

    fn with_tls(
        config: Arc<rustls::ServerConfig>,
        handler: impl Fn(&Request, &mut dyn Stream, usize) + Send + Sync + 'static,
    ) -> Self {
        let wrap = move |tcp| -> Option<Box<dyn Stream>> {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, tcp);
            stream.flush().ok()?;
            Some(Box::new(stream))
        };
        Self::start("https", "localhost", handler, wrap, false)
    }

    fn start(
        scheme: &str,
        host: &str,
        handler: impl Fn(&Request, &mut dyn Stream, usize) + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
        keep_alive: bool,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "{scheme}://{host}:{}",
            listener.local_addr().unwrap().port()
        );
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new(0));
        let handler: Arc<Handler> = Arc::new(handler);
        let wrap = Arc::new(wrap);
        let (requests, count) = (seen.clone(), connections.clone());
        thread::spawn(move || {
            for tcp in listener.incoming() {
                let (handler, wrap) = (handler.clone(), wrap.clone());
                let (requests, count) = (requests.clone(), count.clone());
                thread::spawn(move || {
                    *count.lock().unwrap() += 1;
                    let Some(mut stream) = wrap(tcp.unwrap()) else {
                        return;
                    };
                    while let Some(request) = read_request(&mut *stream) {
                        let before = {
                            let mut requests = requests.lock().unwrap();
                            requests.push(request.clone());
                            requests.len() - 1
                        };
                        handler(&request, &mut *stream, before);
                        let _ = stream.flush();
                        if !keep_alive {
                            break;
                        }
                    }
                });
            }
        });
        Server {
            url,
            seen,
            connections,
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

/// Reads a request, its head byte by byte, so that nothing after it is taken away.
fn read_request(stream: &mut dyn Stream) -> Option<Request> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines().map(String::from);
    let line = lines.next()?;
    let mut request = Request {
        line,
        headers: lines.filter(|l| !l.is_empty()).collect(),
        body: Vec::new(),
    };
    let length = request.header("content-length");
    let length = length.map_or(0, |length| length.parse().unwrap());
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// Sends what it can; a client that has hung up is not this server's concern.
pub(crate) fn send(stream: &mut dyn Stream, bytes: impl AsRef<[u8]>) -> bool {
    stream
        .write_all(bytes.as_ref())
        .and_then(|()| stream.flush())
        .is_ok()
}

pub(crate) fn ok(stream: &mut dyn Stream, body: &[u8]) {
    send(
        stream,
        format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ),
    );
    send(stream, body);
}

pub(crate) fn status(stream: &mut dyn Stream, status: &str) {
    send(
        stream,
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
    );
}

pub(crate) fn redirect(stream: &mut dyn Stream, location: &str) {
    send(
        stream,
        format!(
            "HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        ),
    );
}

/// Sends `piece` again and again, with `pause` between, until the client hangs up.
pub(crate) fn drip(stream: &mut dyn Stream, piece: &[u8], pause: Duration) {
    while send(stream, piece) {
        thread::sleep(pause);
    }
}

/// Says nothing for longer than any test waits.
pub(crate) fn stall() {
    thread::sleep(Duration::from_secs(30));
}

/// A certification authority, and its certificate.
pub(crate) fn authority() -> (Issuer<'static, KeyPair>, Certificate) {
    let key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = ca.self_signed(&key).unwrap();
    (Issuer::new(ca, key), certificate)
}

fn tls_config(ca_file: &Path, client_ca: Option<&Certificate>) -> Arc<rustls::ServerConfig> {
    let (ca, ca_certificate) = authority();
    std::fs::write(ca_file, ca_certificate.pem()).unwrap();

    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".into()]).unwrap();
    let certificate = server.signed_by(&key, &ca).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match client_ca {
        None => config.with_no_client_auth(),
        Some(client_ca) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(client_ca.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let config = config
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    Arc::new(config)
}
