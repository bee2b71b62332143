//! Whether an attestation can be believed: the chain from the maker's root to the attested key.

use std::path::{Path, PathBuf};

use countersign_metadata::{PublicKey, UtcTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{
    OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA,
    OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519,
};

use crate::CeremonyError;

use super::attestation::{Attestation, device_serial};
use super::error::PkiError;
use super::profile::Validity;
use super::{files, limits, x509};

/// The certificates of an attestation.
#[derive(Debug, Clone)]
pub struct ChainFiles {
    /// The attestation of the key.
    pub attestation: PathBuf,
    /// The device's own certificate, and those between it and the root, in this order.
    pub issuers: Vec<PathBuf>,
    /// The maker's root, which is believed. Without it nothing is.
    pub root: Option<PathBuf>,
}

/// What came of looking at an attestation.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// What it says.
    pub attestation: Attestation,
    /// Why the key is not shown to exist in this device alone: a stable name and what happened.
    /// Empty if it is.
    pub faults: Vec<(&'static str, String)>,
}

/// Reads an attestation and checks that it shows a key that was made in a genuine device and
/// cannot leave it; and that it is `key`, if one is given.
///
/// # Errors
/// [`PkiError::Attestation`], [`PkiError::Certificate`] if a file cannot be read as what it is.
/// That it shows less than that is no error but a fault of the verdict.
pub fn attest(
    from: &ChainFiles,
    key: Option<&PublicKey>,
    now: UtcTime,
) -> Result<Verdict, CeremonyError> {
    let files = [&from.attestation]
        .into_iter()
        .chain(&from.issuers)
        .chain(&from.root);
    let mut ders = Vec::new();
    for path in files.clone() {
        ders.push(read(path)?);
    }
    let mut chain = Vec::new();
    for (der, path) in ders.iter().zip(files) {
        chain.push(x509::certificate(der).map_err(|why| malformed(path, why))?);
    }
    let [leaf, issuers @ ..] = chain.as_slice() else {
        return Err(malformed(&from.attestation, "it is empty".into()).into());
    };
    let attestation = Attestation::new(leaf, &from.attestation)?;
    let mut faults = Vec::new();
    match &from.root {
        None => faults.push((
            "chain-not-checked",
            "no root certificate was given, so anybody could have written this".into(),
        )),
        Some(_) => {
            if let Err(why) = check_chain(&chain, now) {
                faults.push(("chain", why));
            }
            let device = issuers.first().map_or(Ok(None), device_serial);
            if device != Ok(None) && device != Ok(Some(attestation.serial)) {
                faults.push((
                    "other-device",
                    "the device's certificate is for another serial number".into(),
                ));
            }
        }
    }
    if !attestation.origin.made_here() {
        let origin = attestation.origin.describe();
        faults.push((
            "not-generated",
            format!("the origin of the key is: {origin}"),
        ));
    }
    if attestation.exportable() {
        faults.push((
            "exportable",
            "the key can be exported under a wrap key (exportable-under-wrap)".into(),
        ));
    }
    if key.is_some_and(|key| attestation.public.as_ref() != Some(key)) {
        faults.push(("other-key", "the attestation is for another key".into()));
    }
    Ok(Verdict {
        attestation,
        faults,
    })
}

/// From the leaf to the root, which is last. Each has to be valid now, signed by the next, and
/// that one a CA: otherwise any attested key could attest others.
fn check_chain(chain: &[X509Certificate<'_>], now: UtcTime) -> Result<(), String> {
    for certificate in chain {
        let named = |why: &str| format!("{} {why}", x509::shown(certificate.subject()));
        let validity = Validity {
            not_before: x509::time(certificate.validity().not_before)?,
            not_after: x509::time(certificate.validity().not_after)?,
        };
        if !validity.contains(now) {
            return Err(named("is not valid now"));
        }
    }
    for (below, pair) in chain.windows(2).enumerate() {
        let [certificate, issuer] = pair else {
            continue;
        };
        let named = |why: &str| format!("{} {why}", x509::shown(issuer.subject()));
        if certificate.issuer().as_raw() != issuer.subject().as_raw() {
            return Err(format!(
                "{} was issued by {}, not by {}; give each certificate up to the root, in order",
                x509::shown(certificate.subject()),
                x509::shown(certificate.issuer()),
                x509::shown(issuer.subject())
            ));
        }
        let constraints = issuer.basic_constraints().ok().flatten();
        let constraints = constraints.filter(|found| found.value.ca);
        let constraints = constraints.ok_or_else(|| named("is not a CA"))?;
        let length = constraints.value.path_len_constraint;
        if length.is_some_and(|length| below as u64 > u64::from(length)) {
            return Err(named("may not have so many certificates below it"));
        }
        let usage = issuer.key_usage().map_err(|_| named("cannot be read"))?;
        if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
            return Err(named("may not sign certificates"));
        }
        check_signature(certificate, issuer)?;
    }
    Ok(())
}

fn check_signature(
    certificate: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
) -> Result<(), String> {
    let named = |why: &str| format!("{} {why}", x509::shown(certificate.subject()));
    let algorithms = [
        OID_PKCS1_SHA256WITHRSA,
        OID_PKCS1_SHA384WITHRSA,
        OID_PKCS1_SHA512WITHRSA,
        OID_SIG_ECDSA_WITH_SHA256,
        OID_SIG_ECDSA_WITH_SHA384,
        OID_SIG_ED25519,
    ];
    // Not SHA-1, which the library would still take.
    if !algorithms.contains(&certificate.signature_algorithm.algorithm) {
        return Err(named("is signed with an unknown or broken algorithm"));
    }
    let verified = certificate.verify_signature(Some(issuer.public_key()));
    verified.map_err(|_| named("has a signature that does not hold"))
}

fn read(path: &Path) -> Result<Vec<u8>, CeremonyError> {
    let bytes = files::read(path, limits::FILE, "a certificate")?;
    let der = x509::der(&bytes, x509::CERTIFICATE);
    Ok(der.map_err(|why| malformed(path, why))?)
}

fn malformed(path: &Path, why: String) -> PkiError {
    PkiError::Certificate {
        path: path.into(),
        why,
    }
}
