//! Handshakes, for axum-server.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Layer as _;

use super::load::Loaded;
use super::{Client, Tls};

/// Accepts devices, and puts a [`Client`] into the extensions of each request.
#[derive(Debug, Clone)]
pub struct DeviceAcceptor {
    tls: Tls,
    within: Duration,
}

/// Accepts whoever can speak TLS.
#[derive(Debug, Clone)]
pub struct ServerAcceptor {
    tls: Tls,
    within: Duration,
}

type Accepting<S> = Pin<Box<dyn Future<Output = io::Result<(TlsStream<TcpStream>, S)>> + Send>>;

impl Tls {
    /// For a listener of devices. A handshake has to be done within this time.
    pub fn device_acceptor(&self, within: Duration) -> DeviceAcceptor {
        DeviceAcceptor {
            tls: self.clone(),
            within,
        }
    }

    /// For a listener whose clients prove in another way who they are.
    pub fn server_acceptor(&self, within: Duration) -> ServerAcceptor {
        ServerAcceptor {
            tls: self.clone(),
            within,
        }
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for DeviceAcceptor {
    type Stream = TlsStream<TcpStream>;
    type Service = AddExtension<S, Client>;
    type Future = Accepting<Self::Service>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Self { tls, within } = self.clone();
        Box::pin(async move {
            let loaded = tls.current();
            let stream = handshake(stream, &loaded, within).await?;
            let certificates = stream.get_ref().1.peer_certificates();
            let client = Client::new(tls, &loaded, certificates.unwrap_or_default().to_vec());
            Ok((stream, Extension(client).layer(service)))
        })
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for ServerAcceptor {
    type Stream = TlsStream<TcpStream>;
    type Service = S;
    type Future = Accepting<S>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Self { tls, within } = self.clone();
        Box::pin(async move {
            let stream = handshake(stream, &tls.current(), within).await?;
            Ok((stream, service))
        })
    }
}

async fn handshake(
    stream: TcpStream,
    loaded: &Loaded,
    within: Duration,
) -> io::Result<TlsStream<TcpStream>> {
    stream.set_nodelay(true)?;
    let acceptor = TlsAcceptor::from(Arc::clone(&loaded.config));
    timeout(within, acceptor.accept(stream)).await?
}
