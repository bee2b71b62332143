//! The certificate of a CA, checked to be one.

use std::fs;
use std::path::Path;

use rcgen::{Issuer, KeyPair};
use x509_parser::certificate::X509Certificate;

use crate::CeremonyError;

use super::ca_key::{CaKey, encode};
use super::error::PkiError;
use super::profile::Validity;
use super::settings::{CERTIFICATE, Settings};
use super::{files, limits, x509};

/// The certificate of a CA, checked to be one.
#[derive(Debug, Clone)]
pub(crate) struct CaCertificate {
    pub(crate) der: Vec<u8>,
    pub(crate) validity: Validity,
    pub(crate) key_id: Vec<u8>,
}

pub(crate) fn read_certificate(
    folder: &Path,
    settings: &Settings,
) -> Result<CaCertificate, CeremonyError> {
    let path = folder.join(CERTIFICATE);
    if fs::symlink_metadata(&path).is_err() {
        return Err(PkiError::NotAdopted(folder.into()).into());
    }
    let bytes = files::read(&path, limits::FILE, "a certificate")?;
    let der = x509::der(&bytes, x509::CERTIFICATE).map_err(|why| PkiError::CaCertificate {
        path: path.clone(),
        why,
    })?;
    Ok(CaCertificate::new(&der, &path, &settings.public)?)
}

impl CaCertificate {
    pub(crate) fn new(der: &[u8], path: &Path, public: &[u8]) -> Result<Self, PkiError> {
        let fail = |why: String| PkiError::CaCertificate {
            path: path.into(),
            why,
        };
        let parsed = x509::certificate(der).map_err(fail)?;
        if parsed.public_key().raw != public {
            return Err(fail("it is for another key".into()));
        }
        let constraints = parsed.basic_constraints().ok().flatten();
        if !constraints.is_some_and(|found| found.value.ca) {
            return Err(fail("it is not a CA certificate".into()));
        }
        let usage = parsed.key_usage().ok().flatten();
        let may_sign =
            |usage: &x509_parser::extensions::KeyUsage| usage.key_cert_sign() && usage.crl_sign();
        if !usage.is_some_and(|found| may_sign(found.value)) {
            return Err(fail("its key usage is not keyCertSign and cRLSign".into()));
        }
        let key_id = x509::subject_key_id(&parsed);
        let key_id = key_id.ok_or_else(|| fail("it has no subject key identifier".into()))?;
        if parsed.subject() == parsed.issuer() && parsed.verify_signature(None).is_err() {
            return Err(fail("its signature does not hold".into()));
        }
        if !writes_its_name(&parsed).map_err(|error| fail(error.to_string()))? {
            return Err(fail(
                "its subject has a form that cannot be repeated exactly as an issuer; have it \
                 certified with the subject of the request"
                    .into(),
            ));
        }
        Ok(Self {
            validity: Validity {
                not_before: x509::time(parsed.validity().not_before).map_err(fail)?,
                not_after: x509::time(parsed.validity().not_after).map_err(fail)?,
            },
            key_id: key_id.to_vec(),
            der: der.to_vec(),
        })
    }

    pub(crate) fn parse(&self) -> Result<X509Certificate<'_>, PkiError> {
        x509::certificate(&self.der).map_err(PkiError::Encode)
    }

    /// As the issuer of what `key` signs.
    pub(crate) fn issuer<'k>(
        &self,
        key: &'k CaKey,
    ) -> Result<Issuer<'static, &'k CaKey>, PkiError> {
        Issuer::from_ca_cert_der(&self.der.as_slice().into(), key).map_err(|error| encode(&error))
    }
}

/// Whether rcgen, which takes names apart, puts this one together again byte for byte: verifiers
/// compare issuer and subject so. Tried with a key that is forgotten at once.
fn writes_its_name(certificate: &X509Certificate<'_>) -> Result<bool, rcgen::Error> {
    let key = KeyPair::generate()?;
    let der = certificate.as_raw().into();
    let issuer = Issuer::from_ca_cert_der(&der, &key)?;
    let trial = rcgen::CertificateParams::default().signed_by(&key, &issuer)?;
    let trial = x509::certificate(trial.der());
    // A certificate without extensions is version 3 all the same.
    Ok(trial.is_ok_and(|trial| trial.issuer().as_raw() == certificate.subject().as_raw()))
}
