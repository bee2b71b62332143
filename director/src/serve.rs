//! The Director as a process: opened from its settings, listening, and ended without losing anything.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use countersign_client::client::read_root;
use countersign_client::clock::system_time;
use countersign_client::fetch::TlsRoots;
use countersign_ecu_keys::ImageKey;
use countersign_signing::{DecryptionKey, Secrets};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::alarms;
use crate::blobs::Blobs;
use crate::http::admin::{self, Admin};
use crate::http::{device, listen};
use crate::keys::Keyring;
use crate::metrics;
use crate::problem::Problem;
use crate::service::{ImageSource, Parts, Service};
use crate::settings::Settings;
use crate::storage::{Database, StorageError};
use crate::tls::{Tls, TlsError};

/// Why a Director does not start, or stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Its settings say something that cannot be.
    #[error("{0}")]
    Settings(String),
    /// A file or an address cannot be used.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// The system's word.
        source: io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store of images cannot be used.
    #[error(transparent)]
    Blobs(#[from] crate::blobs::BlobError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] countersign_signing::SignError),
    /// Certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The authorities for the Image repository cannot be used.
    #[error(transparent)]
    Fetch(#[from] countersign_client::fetch::FetchError),
    /// It does not come up.
    #[error(transparent)]
    Problem(#[from] Problem),
}

/// How long a request may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// Open files of a process that are no connections: databases, tokens, images that are sent.
const OTHER_FILES: u64 = 1024;

/// How long requests that are worked on may take when the process ends.
const GRACE: Duration = Duration::from_secs(30);

/// How often certificates and revocation lists are looked at.
const WATCH: Duration = Duration::from_secs(10);

/// The Director of these settings, that listens to nobody yet.
///
/// # Errors
/// [`ServeError`]
pub async fn open(settings: &Settings) -> Result<Service, ServeError> {
    let (uris, vaults) = settings.key_uris().map_err(ServeError::Settings)?;
    let secrets = Arc::new(Secrets::unattended(&settings.base));
    let state = settings.path(&settings.state);
    let spool = state.join("uploads");
    std::fs::create_dir_all(&spool).map_err(io_error(format!("make {}", spool.display())))?;
    let source = &settings.image_repository;
    let root = settings.path(&source.root);
    let images = ImageSource {
        url: source.url.clone(),
        root: read_root(&root).map_err(io_error(format!("read {}", root.display())))?,
        folder: state.join("image-repository"),
        authorities: match &source.ca {
            Some(ca) => TlsRoots::from_pem_file(&settings.path(ca))?,
            None => TlsRoots::mozilla(),
        },
    };
    let vaults = vaults.iter().map(|uri| DecryptionKey::open(uri, &secrets));
    let vaults = vaults
        .map(|key| key.map(ImageKey))
        .collect::<Result<_, _>>()?;
    let parts = Parts {
        database: Database::open(&settings.database_url()).await?,
        blobs: Blobs::open(&settings.images)?,
        keyring: Keyring::open(&uris, &secrets, settings.keys.sessions)?,
        vaults,
        images,
        rules: settings.rules().map_err(ServeError::Settings)?,
        spool,
        clock: Arc::new(system_time),
    };
    Ok(Service::new(parts).await?)
}

/// Listens until the process is told to end (SIGTERM, SIGINT). Requests that are worked on are finished,
/// and what they have changed is kept.
///
/// # Errors
/// [`ServeError`]
pub async fn serve(settings: &Settings) -> Result<(), ServeError> {
    metrics::install();
    let service = open(settings).await?;
    let tls = Tls::load(settings.device_files())?;
    let admin_tls = settings.admin_files().map_err(ServeError::Settings)?;
    let admin_tls = admin_tls.map(Tls::load).transpose()?;
    let watched = admin_tls.clone().into_iter().chain([tls.clone()]);
    for tls in watched {
        tokio::spawn(async move { tls.watch(WATCH).await });
    }
    tokio::spawn(alarms::watch(service.clone(), tls.clone()));

    let limits = settings.limits();
    let devices = device::router(service.clone(), &limits);
    let devices = device::behind_tls(devices, service.clone());
    let people = admin::router(Admin {
        service: service.clone(),
        limits,
        tls: Some(tls.clone()),
    });
    let devices_at = bind(settings.device.listen)?;
    let people_at = bind(settings.admin.listen)?;
    say(&devices_at, "listening on")?;
    say(&people_at, "admin listening on")?;

    let (first, second) = (Handle::new(), Handle::new());
    tokio::spawn(end(vec![first.clone(), second.clone()]));
    let bounds = settings.bounds();
    allow_files(bounds.connections);
    let acceptor = tls.device_acceptor(bounds);
    let devices = listen(devices_at, acceptor, devices, PATIENCE, first);
    let done = match admin_tls {
        Some(tls) => {
            let acceptor = tls.server_acceptor(bounds);
            let people = listen(people_at, acceptor, people, PATIENCE, second);
            tokio::try_join!(devices, people)
        }
        None => {
            let plain = axum_server::accept::NoDelayAcceptor::new();
            let people = listen(people_at, plain, people, PATIENCE, second);
            tokio::try_join!(devices, people)
        }
    };
    service.database().clone().close().await;
    done.map(drop).map_err(io_error("serve".into()))
}

async fn end(handles: Vec<Handle<SocketAddr>>) -> io::Result<()> {
    let (mut term, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("finishing what is worked on");
    for handle in handles {
        handle.graceful_shutdown(Some(GRACE));
    }
    Ok(())
}

fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listener = TcpListener::bind(address);
    listener.map_err(io_error(format!("listen on {address}")))
}

/// Every connection is an open file, and systems allow a process 1,024 of these unless it asks for more.
fn allow_files(connections: usize) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let now = match setrlimit(Resource::Nofile, limit) {
        Ok(()) => limit,
        Err(_) => getrlimit(Resource::Nofile),
    };
    let needed = 2 * connections as u64 + OTHER_FILES;
    if now.current.is_some_and(|files| files < needed) {
        tracing::warn!(
            allowed = now.current,
            needed,
            "the system allows fewer open files than there can be connections; lower limits.connections, \
             or raise the limit (LimitNOFILE= of systemd)"
        );
    }
}

/// Scripts wait for this line: from then on requests are taken.
fn say(listener: &TcpListener, what: &str) -> Result<(), ServeError> {
    let address = listener.local_addr();
    let address = address.map_err(io_error("listen".into()))?;
    let mut out = io::stdout();
    let said = writeln!(out, "{what} {address}").and_then(|()| out.flush());
    said.map_err(io_error("write to standard output".into()))
}

fn io_error(doing: String) -> impl FnOnce(io::Error) -> ServeError {
    move |source| ServeError::Io { doing, source }
}
