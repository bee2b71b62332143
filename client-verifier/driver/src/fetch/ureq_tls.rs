//! [`TlsRoots`] and [`TlsIdentity`] as the HTTP library wants them.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use ureq::tls::{Certificate, ClientCert, RootCerts, TlsConfig};

use super::tls::{Roots, TlsIdentity, TlsRoots, provider};

/// How https is spoken.
pub(super) fn config(roots: &TlsRoots, identity: Option<&TlsIdentity>) -> TlsConfig {
    TlsConfig::builder()
        .root_certs(root_certs(roots))
        .client_cert(identity.map(client_cert))
        // Named, because the default panics where a second provider is linked in.
        .unversioned_rustls_crypto_provider(Arc::new(provider()))
        .build()
}

fn root_certs(roots: &TlsRoots) -> RootCerts {
    match roots.roots() {
        Roots::Mozilla => RootCerts::WebPki,
        Roots::These(certificates) => RootCerts::Specific(Arc::new(owned(certificates))),
    }
}

fn client_cert(identity: &TlsIdentity) -> ClientCert {
    ClientCert::new_with_certs(&owned(identity.chain()), identity.http_key())
}

fn owned(certificates: &[CertificateDer<'_>]) -> Vec<Certificate<'static>> {
    let certificates = certificates.iter();
    let certificates = certificates.map(|der| Certificate::from_der(der).to_owned());
    certificates.collect()
}
