//! HTTP to an S3-compatible store. object_store's own client brings a second crypto provider.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use super::{BlobError, BlobSettings};

/// Until a connection is there.
const CONNECT: Duration = Duration::from_secs(5);
/// Until an answer begins. One part has been sent by then, at 85 KiB/s or more.
const ANSWER: Duration = Duration::from_secs(60);
/// Until the next bytes of an answer.
const NEXT: Duration = Duration::from_secs(30);
/// That a connection is kept for, unused. Stores close theirs after 5 to 20 seconds at the earliest.
const IDLE: Duration = Duration::from_secs(4);

/// Makes clients, which is one: connections are shared.
#[derive(Debug, Clone)]
pub(super) struct Connector(Client<HttpsConnector<Tcp>, HttpRequestBody>);

impl Connector {
    pub(super) fn new(settings: &BlobSettings) -> Result<Self, BlobError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| BlobError::Settings(error.to_string()))?
            .with_root_certificates(roots(settings)?)
            .with_no_client_auth();
        let mut tcp = Tcp::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        let schemes = HttpsConnectorBuilder::new().with_tls_config(tls);
        let schemes = match settings.allow_http {
            true => schemes.https_or_http(),
            false => schemes.https_only(),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(schemes.enable_http1().wrap_connector(tcp));
        Ok(Self(client))
    }
}

fn roots(settings: &BlobSettings) -> Result<RootCertStore, BlobError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &settings.ca else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    let wrong = |why: String| BlobError::Settings(format!("{}: {why}", path.display()));
    let all = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    for one in all {
        let one = one.map_err(|error| wrong(error.to_string()))?;
        roots.add(one).map_err(|error| wrong(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(wrong("there is no certificate in it".into())),
        false => Ok(roots),
    }
}

impl HttpConnector for Connector {
    /// Times and addresses are those of this file; the options would be those of the other client.
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait::async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = timeout(ANSWER, self.0.request(request)).await;
        let (parts, body) = answer.map_err(late)?.map_err(refused)?.into_parts();
        let frames = stream::try_unfold(body, |mut body| async move {
            match timeout(NEXT, body.frame()).await.map_err(late)? {
                Some(frame) => Ok(Some((frame.map_err(interrupted)?, body))),
                None => Ok(None),
            }
        });
        let body = HttpResponseBody::new(StreamBody::new(frames));
        Ok(HttpResponse::from_parts(parts, body))
    }
}

fn refused(error: ClientError) -> HttpError {
    match error.is_connect() {
        true => HttpError::new(HttpErrorKind::Connect, error),
        false => interrupted(error),
    }
}

/// Made again if it is one that can be: object_store knows which those are.
fn interrupted(error: impl Error + Send + Sync + 'static) -> HttpError {
    HttpError::new(HttpErrorKind::Interrupted, error)
}

fn late(error: tokio::time::error::Elapsed) -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, error)
}
