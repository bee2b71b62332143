//! A listener with certificates of its own, and devices that connect to it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::{Extension, Router};
use axum_server::Handle;
use countersign_director::http::listen;
use countersign_director::tls::{Bounds, Client, ClientFiles, Tls, TlsFiles};
use countersign_metadata::UtcTime;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) const VEHICLE: &str = "urn:countersign:vehicle:";
pub(crate) const ECU: &str = "urn:countersign:ecu:";
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// An authority.
pub(crate) struct Ca {
    pub(crate) pem: String,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Leaf {
    pub(crate) pem: String,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: String,
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        Self {
            pem: params.self_signed(&key).unwrap().pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn issue(&self, params: &CertificateParams) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn device(&self, serial: u8) -> Leaf {
        self.issue(&device(serial))
    }

    pub(crate) fn device_of(&self, vin: &str, serial: u8) -> Leaf {
        let mut params = device(serial);
        let (vehicle, ecu) = (format!("{VEHICLE}{vin}"), format!("{ECU}TCU%2F{serial}"));
        params.subject_alt_names = uris(&[&vehicle, &ecu]);
        self.issue(&params)
    }

    /// List `number`, which ends `end` from now on, with these serial numbers.
    pub(crate) fn list(&self, number: u64, end: i64, revoked: &[u8]) -> String {
        let now = SystemTime::now();
        let end = match end {
            0.. => now + Duration::from_secs(end.unsigned_abs()),
            _ => now - Duration::from_secs(end.unsigned_abs()),
        };
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[*serial]),
            revocation_time: (now - HOUR).into(),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: (now - 2 * HOUR).into(),
            next_update: end.into(),
            crl_number: number.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// A device as the device PKI certifies it, for an hour before and after.
pub(crate) fn device(serial: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = (SystemTime::now() - HOUR).into();
    params.not_after = (SystemTime::now() + HOUR).into();
    params.serial_number = Some(SerialNumber::from_slice(&[serial]));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.subject_alt_names = uris(&[&format!("{VEHICLE}VIN1"), &format!("{ECU}TCU%2F{serial}")]);
    params
}

pub(crate) fn uris(all: &[&str]) -> Vec<SanType> {
    let uri = |text: &&str| SanType::URI((*text).try_into().unwrap());
    all.iter().map(uri).collect()
}

pub(crate) fn server_params() -> CertificateParams {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_after = (SystemTime::now() + HOUR).into();
    params
}

/// A listener with its authorities and files.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) ca: Ca,
    pub(crate) server_ca: Ca,
    pub(crate) tls: Tls,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ca, server_ca) = (Ca::new("Devices"), Ca::new("Servers"));
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let server = server_ca.issue(&server_params());
        write("server.pem", &server.pem);
        write("server.key", &server.key);
        write("ca.pem", &ca.pem);
        write("crl.pem", &ca.list(5, 3600, &[66]));
        let tls = Tls::load(files(&folder)).unwrap();
        Self {
            folder,
            ca,
            server_ca,
            tls,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces a file as a careful program does.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path("new"), text).unwrap();
        std::fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    /// Serves devices and says where.
    pub(crate) fn serve(&self, app: Router) -> SocketAddr {
        self.serve_within(Bounds::default(), Duration::from_secs(30), app)
    }

    pub(crate) fn serve_within(&self, bounds: Bounds, head: Duration, app: Router) -> SocketAddr {
        let (listener, address) = listener();
        let acceptor = self.tls.device_acceptor(bounds);
        tokio::spawn(listen(listener, acceptor, app, head, Handle::new()));
        address
    }

    /// A client that shows this certificate.
    pub(crate) fn config(
        &self,
        device: Option<&Leaf>,
        version: &'static SupportedProtocolVersion,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.server_ca.pem.as_bytes());
        roots.add(root.unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match device {
            Some(device) => {
                let key = PrivateKeyDer::from_pem_slice(device.key.as_bytes()).unwrap();
                config
                    .with_client_auth_cert(vec![device.der.clone()], key)
                    .unwrap()
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// A connection of a device.
    pub(crate) async fn connect(&self, server: SocketAddr, device: &Leaf) -> TlsStream<TcpStream> {
        let config = self.config(Some(device), &version::TLS13);
        connect(server, &config).await.unwrap()
    }

    /// What a device is told on a connection of its own, if it is let in.
    pub(crate) async fn tell_once(&self, server: SocketAddr, device: &Leaf) -> io::Result<String> {
        let config = self.config(Some(device), &version::TLS13);
        ask(&mut connect(server, &config).await?).await
    }

    /// What a device is told on a connection of its own, with each version of TLS.
    pub(crate) async fn tell(
        &self,
        server: SocketAddr,
        device: Option<&Leaf>,
    ) -> io::Result<String> {
        // With TLS 1.3 a client learns of the refusal when it reads.
        let mut answers = Vec::new();
        for version in [&version::TLS12, &version::TLS13] {
            let answer = async {
                let mut stream = connect(server, &self.config(device, version)).await?;
                ask(&mut stream).await
            };
            answers.push(answer.await);
        }
        let (second, first) = (answers.pop().unwrap(), answers.pop().unwrap());
        assert_eq!(first.as_ref().ok(), second.as_ref().ok());
        second
    }
}

pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(crate) fn files(folder: &TempDir) -> TlsFiles {
    let path = |name: &str| folder.path().join(name);
    TlsFiles {
        certificate: path("server.pem"),
        key: path("server.key"),
        clients: Some(ClientFiles {
            authorities: vec![path("ca.pem")],
            revocations: vec![path("crl.pem")],
        }),
    }
}

pub(crate) async fn who(Extension(client): Extension<Client>) -> String {
    match client.check(now()) {
        Ok(identity) => format!("{} {}", identity.vin, identity.serial),
        Err(refusal) => format!("{refusal:?}"),
    }
}

pub(crate) async fn connect(
    server: SocketAddr,
    config: &Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::clone(config));
    connector.connect(name, stream).await
}

/// One request on a connection that stays open.
pub(crate) async fn ask(stream: &mut TlsStream<TcpStream>) -> io::Result<String> {
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await?;
    let mut answer = String::new();
    loop {
        let mut some = [0; 1024];
        let length = stream.read(&mut some).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.push_str(std::str::from_utf8(&some[..length]).unwrap());
        let Some((head, body)) = answer.split_once("\r\n\r\n") else {
            continue;
        };
        let header = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == header.unwrap().parse::<usize>().unwrap() {
            return Ok(body.into());
        }
    }
}

pub(crate) fn now() -> UtcTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UtcTime::from_unix(since.unwrap().as_secs() as i64).unwrap()
}
