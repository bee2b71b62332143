//! Files, read together and checked together before any of them counts.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use countersign_metadata::UtcTime;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;

use super::{ClientFiles, Deadline, Ends, TlsError, TlsFiles};

/// What is in the files of a listener.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    /// The verifier that `config` has, for looking again.
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
    pub(super) deadlines: Vec<Deadline>,
    /// Grows with every load.
    pub(super) generation: u64,
    /// The number of each authority's list, by its name in DER.
    numbers: BTreeMap<Vec<u8>, ListNumber>,
    stamps: Vec<Stamp>,
}

/// Length and bytes of a number without leading zeros: compared like the number.
type ListNumber = (usize, Vec<u8>);

/// What a file looks like from outside: inode, length, and its last change in seconds and nanoseconds.
type Stamp = Option<(u64, u64, i64, i64)>;

/// The authorities of devices and what they have revoked.
struct Clients {
    verifier: Arc<dyn ClientCertVerifier>,
    deadlines: Vec<Deadline>,
    numbers: BTreeMap<Vec<u8>, ListNumber>,
}

impl Loaded {
    pub(super) fn read(files: &TlsFiles, before: Option<&Self>) -> Result<Self, TlsError> {
        // Taken first: what changes while it is read is read again.
        let stamps = stamps(files);
        let chain: Vec<CertificateDer<'static>> = all_in(&files.certificate)?;
        let mut deadlines = Vec::new();
        for certificate in &chain {
            let certificate = parse(&files.certificate, certificate)?;
            deadlines.push(Deadline {
                of: Ends::ServerCertificate,
                name: files.certificate.display().to_string(),
                at: time(&files.certificate, certificate.validity().not_after)?,
            });
        }
        let key = PrivateKeyDer::from_pem_slice(&bytes_of(&files.key)?)
            .map_err(|error| TlsError::content(&files.key, error))?;
        let clients = files.clients.as_ref().map(clients).transpose()?;
        let (verifier, numbers) = match clients {
            Some(clients) => {
                deadlines.extend(clients.deadlines);
                (Some(clients.verifier), clients.numbers)
            }
            None => (None, BTreeMap::new()),
        };
        if let Some(before) = before {
            not_older(&numbers, &before.numbers)?;
        }
        let config = config(chain, key, verifier.clone())
            .map_err(|error| TlsError::content(&files.certificate, error))?;
        Ok(Self {
            config: Arc::new(config),
            verifier,
            deadlines,
            generation: before.map_or(0, |before| before.generation + 1),
            numbers,
            stamps,
        })
    }

    /// Whether the files still look as they did before they were read.
    pub(super) fn is_of(&self, files: &TlsFiles) -> bool {
        self.stamps == stamps(files)
    }
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, rustls::Error> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A session that is resumed has the certificate of its beginning, which nobody verifies again. There
    // are none: neither kept here nor in tickets, so every connection shows its certificate. That every
    // request is checked as well would do; a device connects too seldom for resumption to matter.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The one crypto provider. Named everywhere, because a process in which there are two has no default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn clients(files: &ClientFiles) -> Result<Clients, TlsError> {
    let mut roots = RootCertStore::empty();
    let mut deadlines = Vec::new();
    // Names in DER, with the key.
    let mut authorities = BTreeMap::new();
    for path in &files.authorities {
        for der in all_in::<CertificateDer<'static>>(path)? {
            let certificate = parse(path, &der)?;
            let subject = certificate.subject();
            if !certificate.is_ca() {
                let why = format!("{subject} is not the certificate of an authority");
                return Err(TlsError::content(path, why));
            }
            let key = certificate.public_key().raw.to_vec();
            let known = authorities.insert(subject.as_raw().to_vec(), key.clone());
            // Lists are found by name: one authority's would be taken for the other's.
            if known.is_some_and(|known| known != key) {
                let why = format!("there is another authority with the name {subject}");
                return Err(TlsError::content(path, why));
            }
            deadlines.push(Deadline {
                of: Ends::Authority,
                name: subject.to_string(),
                at: time(path, certificate.validity().not_after)?,
            });
            roots
                .add(der.clone())
                .map_err(|error| TlsError::content(path, error))?;
        }
    }
    let mut lists = Vec::new();
    let mut numbers = BTreeMap::new();
    for path in &files.revocations {
        for der in all_in::<CertificateRevocationListDer<'static>>(path)? {
            let (name, number, deadline) = list(path, &der, &authorities)?;
            if numbers.insert(name, number).is_some() {
                let why = format!(
                    "there are two lists of {}; keep the newer one",
                    deadline.name
                );
                return Err(TlsError::content(path, why));
            }
            deadlines.push(deadline);
            lists.push(der);
        }
    }
    // Without any list nothing would be looked up, and with one missing its devices would be refused.
    if authorities.keys().any(|name| !numbers.contains_key(name)) || authorities.is_empty() {
        return Err(TlsError::NoList);
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider())
        .with_crls(lists)
        .enforce_revocation_expiration()
        .build()
        .map_err(|error| TlsError::Clients(error.to_string()))?;
    Ok(Clients {
        verifier,
        deadlines,
        numbers,
    })
}

/// A list that one of the authorities has signed. webpki looks at that only when it verifies a device;
/// a list that is broken must not get so far.
fn list(
    path: &Path,
    der: &[u8],
    authorities: &BTreeMap<Vec<u8>, Vec<u8>>,
) -> Result<(Vec<u8>, ListNumber, Deadline), TlsError> {
    let wrong = |why: &str| TlsError::content(path, why);
    let (_, list) = CertificateRevocationList::from_der(der)
        .map_err(|_| wrong("a revocation list cannot be read"))?;
    let issuer = list.issuer();
    let key = authorities.get(issuer.as_raw()).ok_or_else(|| {
        wrong(&format!(
            "the list is of {issuer}, which is not an authority here"
        ))
    })?;
    let (_, key) = x509_parser::x509::SubjectPublicKeyInfo::from_der(key)
        .map_err(|_| wrong("the authority's key cannot be read"))?;
    list.verify_signature(&key)
        .map_err(|_| wrong(&format!("the list is not signed by {issuer}")))?;
    let end = list
        .next_update()
        .ok_or_else(|| wrong("the list does not say when the next one is due"))?;
    let number = list
        .crl_number()
        .map(|number| number.to_bytes_be())
        .unwrap_or_default();
    let deadline = Deadline {
        of: Ends::RevocationList,
        name: issuer.to_string(),
        at: time(path, end)?,
    };
    Ok((issuer.as_raw().to_vec(), (number.len(), number), deadline))
}

/// An older list knows less: somebody has restored a backup, or wants something forgotten.
fn not_older(
    next: &BTreeMap<Vec<u8>, ListNumber>,
    before: &BTreeMap<Vec<u8>, ListNumber>,
) -> Result<(), TlsError> {
    let older = |(name, number)| before.get(name).is_some_and(|before| number < before);
    match next.iter().any(older) {
        true => Err(TlsError::OlderList),
        false => Ok(()),
    }
}

fn parse<'a>(path: &Path, der: &'a [u8]) -> Result<X509Certificate<'a>, TlsError> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|_| TlsError::content(path, "a certificate cannot be read"))
}

fn time(path: &Path, time: ASN1Time) -> Result<UtcTime, TlsError> {
    UtcTime::from_unix(time.timestamp()).ok_or_else(|| TlsError::content(path, "a date is absurd"))
}

/// All objects of a kind in a PEM file, at least one.
fn all_in<T: PemObject>(path: &Path) -> Result<Vec<T>, TlsError> {
    let all: Result<Vec<T>, PemError> = T::pem_slice_iter(&bytes_of(path)?).collect();
    match all {
        Ok(all) if all.is_empty() => Err(TlsError::content(path, PemError::NoItemsFound)),
        Ok(all) => Ok(all),
        Err(error) => Err(TlsError::content(path, error)),
    }
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File {
        path: path.into(),
        source,
    })
}

fn stamps(files: &TlsFiles) -> Vec<Stamp> {
    let clients = files.clients.iter();
    let clients =
        clients.flat_map(|clients| clients.authorities.iter().chain(&clients.revocations));
    let all = [&files.certificate, &files.key].into_iter().chain(clients);
    all.map(|path| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
    })
    .collect()
}
