//! Whom an https server may be, and as whom it sees us.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::FetchError;
use crate::durable;

/// A bundle of certificates is some 250 KB; this leaves room and bounds the memory.
const MAX_ROOTS_FILE: u64 = 4 * 1024 * 1024;

/// Bytes of a client certificate with its chain, and of a private key: both have a few KiB.
const MAX_IDENTITY_FILE: u64 = 64 * 1024;

/// Which certification authorities may vouch for an https server.
#[derive(Debug, Clone)]
pub struct TlsRoots(Roots);

#[derive(Debug, Clone)]
pub(super) enum Roots {
    Mozilla,
    These(Arc<Vec<CertificateDer<'static>>>),
}

impl TlsRoots {
    /// Mozilla's authorities, as built in.
    pub fn mozilla() -> Self {
        TlsRoots(Roots::Mozilla)
    }

    /// Only the certificates in the PEM file at `path`, and none that is built in.
    ///
    /// # Errors
    /// [`FetchError::Roots`] if the file is missing or holds no usable certificate.
    pub fn from_pem_file(path: &Path) -> Result<Self, FetchError> {
        let failed = |detail: String| FetchError::Roots {
            path: path.to_owned(),
            detail,
        };
        let pem = durable::read(path, MAX_ROOTS_FILE)
            .map_err(|e| failed(e.to_string()))?
            .ok_or_else(|| failed("there is no such file".into()))?;
        let certificates = certificates(&pem).map_err(failed)?;
        for (number, certificate) in (1..).zip(&certificates) {
            // The TLS library would skip in silence what it cannot use.
            RootCertStore::empty()
                .add(certificate.clone())
                .map_err(|e| failed(format!("certificate {number}: {e}")))?;
        }
        Ok(TlsRoots(Roots::These(Arc::new(certificates))))
    }

    fn store(&self) -> RootCertStore {
        match &self.0 {
            Roots::Mozilla => RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
            Roots::These(certificates) => {
                let mut store = RootCertStore::empty();
                // All of them can be used: see `from_pem_file`.
                store.add_parsable_certificates(certificates.iter().cloned());
                store
            }
        }
    }
}

/// A client certificate and its private key: as whom servers see us that ask for one.
///
/// Every https server that asks is shown the certificate, the ones that a redirect leads to as well,
/// and in TLS 1.2 whoever listens in on the way sees it too. Give it only to fetchers whose servers
/// may know.
#[derive(Clone)]
pub struct TlsIdentity(Arc<Identity>);

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// The same for the HTTP library, which makes one of nothing else than PEM.
    #[cfg(feature = "http")]
    http_key: ureq::tls::PrivateKey<'static>,
}

impl TlsIdentity {
    /// The certificate in the PEM file `certificate`, issuers behind it if there are any, and the
    /// unencrypted private key in the PEM file `key`.
    ///
    /// # Errors
    /// [`FetchError::Identity`] if a file is missing or unusable, if others than its owner have
    /// rights to the key's file, or if the two do not belong together.
    pub fn from_pem_files(certificate: &Path, key: &Path) -> Result<Self, FetchError> {
        let failed = |path: &Path, detail: String| FetchError::Identity {
            path: path.to_owned(),
            detail,
        };
        let pem = durable::read(certificate, MAX_IDENTITY_FILE)
            .map_err(|e| failed(certificate, format!("it cannot be read: {e}")))?
            .ok_or_else(|| failed(certificate, "there is no such file".into()))?;
        let chain = certificates(&pem)
            .map_err(|detail| failed(certificate, detail + "; give the one that was issued"))?;
        let pem = private_text(key).map_err(|detail| failed(key, detail))?;
        let unusable = || {
            let detail = "it holds no private key that can be read; write one in PEM, PKCS #8, \
                          without a passphrase";
            failed(key, detail.into())
        };
        let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unusable())?;
        // What the TLS library does at the first connection, where it would panic.
        CertifiedKey::from_der(chain.clone(), private.clone_key(), &provider()).map_err(|e| {
            let detail = format!(
                "it cannot be used with the certificate in {}: {e}; give the key that the \
                 certificate was requested with",
                certificate.display()
            );
            failed(key, detail)
        })?;
        Ok(TlsIdentity(Arc::new(Identity {
            chain,
            key: private,
            #[cfg(feature = "http")]
            http_key: ureq::tls::PrivateKey::from_pem(&pem).map_err(|_| unusable())?,
        })))
    }
}

#[cfg(feature = "http")]
impl TlsRoots {
    pub(super) fn roots(&self) -> &Roots {
        &self.0
    }
}

#[cfg(feature = "http")]
impl TlsIdentity {
    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.chain
    }

    pub(super) fn http_key(&self) -> ureq::tls::PrivateKey<'static> {
        self.0.http_key.to_owned()
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

/// How rustls speaks https under these rules, for fetchers over other HTTP libraries. The crypto
/// provider is ring, whatever else is linked in.
///
/// # Errors
/// As rustls has it, which for a [`TlsIdentity`] that was read does not happen.
pub fn client_config(
    roots: &TlsRoots,
    identity: Option<&TlsIdentity>,
) -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots.store());
    match identity.map(|identity| &*identity.0) {
        None => Ok(config.with_no_client_auth()),
        Some(Identity { chain, key, .. }) => {
            config.with_client_auth_cert(chain.clone(), key.clone_key())
        }
    }
}

pub(super) fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// All certificates in `pem`, at least one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|e| e.to_string())?;
    match certificates.is_empty() {
        true => Err("it holds no certificate".into()),
        false => Ok(certificates),
    }
}

/// The text of a file that nobody but its owner can use. It is wiped; what the TLS library makes of it
/// lives as long as whoever fetches with it.
fn private_text(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let unreadable = |e| format!("it cannot be read: {e}");
    let opened = durable::open_regular(path).map_err(unreadable)?;
    let (file, length) = opened.ok_or("there is no such file")?;
    check_private(&file)?;
    if length > MAX_IDENTITY_FILE {
        return Err(format!("it is longer than {MAX_IDENTITY_FILE} bytes"));
    }
    // With room for all of it from the start, so that no copy is left behind by growing.
    let mut pem = Zeroizing::new(Vec::with_capacity(MAX_IDENTITY_FILE as usize + 1));
    file.take(MAX_IDENTITY_FILE)
        .read_to_end(&mut pem)
        .map_err(unreadable)?;
    Ok(pem)
}

/// Asked of the open file, so that the answer is about the bytes that are read.
fn check_private(file: &File) -> Result<(), String> {
    let metadata = file.metadata();
    let metadata = metadata.map_err(|e| format!("it cannot be read: {e}"))?;
    match metadata.permissions().mode() & 0o7777 {
        mode if mode & 0o077 != 0 => Err(format!(
            "others on this machine can use it (mode {mode:o}); chmod 600 it, and consider the key \
             known if it was like that for long"
        )),
        _ => Ok(()),
    }
}
