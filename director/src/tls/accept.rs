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

use super::connections::Places;
use super::load::Loaded;
use super::{Bounds, Client, Held, Tls};

/// Accepts devices, and puts a [`Client`] into the extensions of each request.
#[derive(Debug, Clone)]
pub struct DeviceAcceptor {
    tls: Tls,
    places: Places,
}

/// Accepts whoever can speak TLS.
#[derive(Debug, Clone)]
pub struct ServerAcceptor {
    tls: Tls,
    places: Places,
}

type Accepting<S> = Pin<Box<dyn Future<Output = io::Result<(Held, S)>> + Send>>;

impl Tls {
    /// For a listener of devices.
    pub fn device_acceptor(&self, bounds: Bounds) -> DeviceAcceptor {
        DeviceAcceptor {
            tls: self.clone(),
            places: Places::new(bounds),
        }
    }

    /// For a listener whose clients prove in another way who they are.
    pub fn server_acceptor(&self, bounds: Bounds) -> ServerAcceptor {
        ServerAcceptor {
            tls: self.clone(),
            places: Places::new(bounds),
        }
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for DeviceAcceptor {
    type Stream = Held;
    type Service = AddExtension<S, Client>;
    type Future = Accepting<Self::Service>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Self { tls, places } = self.clone();
        Box::pin(async move {
            let place = places.take()?;
            let loaded = tls.current();
            let stream = handshake(stream, &loaded, places.bounds.handshake).await?;
            let certificates = stream.get_ref().1.peer_certificates();
            let client = Client::new(tls, &loaded, certificates.unwrap_or_default().to_vec());
            let stream = places.hold(stream, place, Some(&client))?;
            Ok((stream, Extension(client).layer(service)))
        })
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for ServerAcceptor {
    type Stream = Held;
    type Service = S;
    type Future = Accepting<S>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Self { tls, places } = self.clone();
        Box::pin(async move {
            let place = places.take()?;
            let stream = handshake(stream, &tls.current(), places.bounds.handshake).await?;
            Ok((places.hold(stream, place, None)?, service))
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
