//! Whom an https server may be, and as whom it sees us.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};
use zeroize::Zeroizing;

use super::FetchError;
use crate::durable;

/// A bundle of certificates is some 250 KB; this leaves room and bounds the memory.
const MAX_ROOTS_FILE: u64 = 4 * 1024 * 1024;

/// Bytes of a client certificate with its chain, and of a private key: both have a few KiB.
const MAX_IDENTITY_FILE: u64 = 64 * 1024;

/// Which certification authorities may vouch for an https server.
#[derive(Debug, Clone)]
pub struct TlsRoots(RootCerts);

impl TlsRoots {
    /// Mozilla's authorities, as built in.
    pub fn mozilla() -> Self {
        TlsRoots(RootCerts::WebPki)
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
                .add(CertificateDer::from(certificate.der()))
                .map_err(|e| failed(format!("certificate {number}: {e}")))?;
        }
        Ok(TlsRoots(RootCerts::Specific(Arc::new(certificates))))
    }
}

/// A client certificate and its private key: as whom servers see us that ask for one.
///
/// Every https server that asks is shown the certificate, the ones that a redirect leads to as well,
/// and in TLS 1.2 whoever listens in on the way sees it too. Give it only to fetchers whose servers
/// may know.
#[derive(Clone)]
pub struct TlsIdentity(ClientCert);

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
        let private = PrivateKey::from_pem(&pem).map_err(|_| unusable())?;
        let same = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unusable())?;
        // What the TLS library does at the first connection, where it would panic.
        let der = chain.iter().map(|c| CertificateDer::from(c.der()));
        let der = der.map(CertificateDer::into_owned).collect();
        CertifiedKey::from_der(der, same, &provider()).map_err(|e| {
            let detail = format!(
                "it cannot be used with the certificate in {}: {e}; give the key that the \
                 certificate was requested with",
                certificate.display()
            );
            failed(key, detail)
        })?;
        Ok(TlsIdentity(ClientCert::new_with_certs(&chain, private)))
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

/// How https is spoken.
pub(super) fn config(roots: TlsRoots, identity: Option<TlsIdentity>) -> TlsConfig {
    TlsConfig::builder()
        .root_certs(roots.0)
        .client_cert(identity.map(|identity| identity.0))
        // Named, because the default panics where a second provider is linked in.
        .unversioned_rustls_crypto_provider(Arc::new(provider()))
        .build()
}

fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// All certificates in `pem`, at least one.
fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, String> {
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(pem) {
        if let PemItem::Certificate(c) = item.map_err(|e| e.to_string())? {
            certificates.push(c);
        }
    }
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
