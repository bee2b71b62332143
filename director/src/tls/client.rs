//! A client, for as long as its connection is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use countersign_metadata::UtcTime;
use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;

use super::load::Loaded;
use super::{Identity, IdentityError, Refusal, Tls};

/// Seconds for which the last look at a certificate is good, if no file has changed. That it has ended is
/// seen at once.
const LOOK_AGAIN: i64 = 60;

/// The other end of a connection. It is in the extensions of every request that comes over it.
#[derive(Debug, Clone)]
pub struct Client(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    tls: Tls,
    certificates: Vec<CertificateDer<'static>>,
    identity: Result<Identity, IdentityError>,
    /// The load in which it was verified last, and when. Written one after the other: what another
    /// request reads in between only makes it look once more.
    generation: AtomicU64,
    seen: AtomicI64,
}

impl Client {
    /// Whose handshake `verified` has let through just now.
    pub(super) fn new(
        tls: Tls,
        verified: &Loaded,
        certificates: Vec<CertificateDer<'static>>,
    ) -> Self {
        let identity = match certificates.first() {
            Some(certificate) => Identity::of_certificate(certificate),
            None => Err(IdentityError::NoCertificate),
        };
        Self(Arc::new(Connection {
            tls,
            certificates,
            identity,
            generation: AtomicU64::new(verified.generation),
            seen: AtomicI64::new(UnixTime::now().as_secs().cast_signed()),
        }))
    }

    /// Who it is, if its certificate is good by the authorities and lists of this moment.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn check(&self, now: UtcTime) -> Result<&Identity, Refusal> {
        let connection = &*self.0;
        let identity = connection.identity.as_ref().map_err(|error| *error)?;
        if identity.not_after < now {
            return Err(Refusal::Expired);
        }
        let current = connection.tls.current();
        let age = now.unix() - connection.seen.load(Ordering::Acquire);
        let known = connection.generation.load(Ordering::Acquire) == current.generation;
        if !known || !(0..LOOK_AGAIN).contains(&age) {
            connection.look(current.verifier.as_deref(), now)?;
            connection.seen.store(now.unix(), Ordering::Release);
            let generation = &connection.generation;
            generation.store(current.generation, Ordering::Release);
        }
        Ok(identity)
    }

    /// Who it says it is, for logs.
    pub fn claimed(&self) -> Option<&Identity> {
        self.0.identity.as_ref().ok()
    }
}

impl Connection {
    /// What is done at a handshake, once more.
    fn look(&self, verifier: Option<&dyn ClientCertVerifier>, now: UtcTime) -> Result<(), Refusal> {
        let (Some(verifier), Some((device, others))) = (verifier, self.certificates.split_first())
        else {
            return Err(IdentityError::NoCertificate.into());
        };
        let seconds = u64::try_from(now.unix()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        match verifier.verify_client_cert(device, others, now) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InvalidCertificate(why)) => Err(refusal(&why)),
            Err(error) => Err(Refusal::Untrusted(error.to_string())),
        }
    }
}

fn refusal(why: &CertificateError) -> Refusal {
    match why {
        CertificateError::Revoked => Refusal::Revoked,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Refusal::Expired,
        CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => Refusal::ListExpired,
        other => Refusal::Untrusted(other.to_string()),
    }
}
