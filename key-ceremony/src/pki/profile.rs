//! What stands in our certificates (RFC 5280), and the check that it does.

use std::time::Duration;

use countersign_metadata::UtcTime;
use countersign_repo::policy::Span;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use x509_parser::certificate::X509Certificate;

use super::ca_key::encode;
use super::error::PkiError;
use super::identity::{Name, Subject};
use super::record::{KeyHash, Serial};
use super::{limits, x509};

/// The first and the last second of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: UtcTime,
    pub(crate) not_after: UtcTime,
}

impl Validity {
    /// From a little before `now`, but not before `earliest`.
    pub(crate) fn starting(now: UtcTime, span: Span, earliest: Option<UtcTime>) -> Self {
        let begin = now.plus_seconds(-limits::BACKDATE).unwrap_or(now);
        Self {
            not_before: earliest.map_or(begin, |earliest| begin.max(earliest)),
            not_after: span.after(now),
        }
    }

    pub(crate) fn contains(&self, now: UtcTime) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// What is asked for a CA, and what a self-signed one states: it may sign certificates and
/// revocation lists, and no CA below it.
pub(crate) fn ca(name: &str, organization: Option<&str>) -> Result<CertificateParams, PkiError> {
    let mut subject = DistinguishedName::new();
    if let Some(organization) = organization {
        check_name(organization)?;
        subject.push(DnType::OrganizationName, organization);
    }
    check_name(name)?;
    subject.push(DnType::CommonName, name);
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn check_name(name: &str) -> Result<(), PkiError> {
    let length = name.chars().count();
    let good = (1..=limits::NAME).contains(&length)
        && name.trim() == name
        && !name.chars().any(char::is_control);
    match good {
        true => Ok(()),
        false => Err(PkiError::CaName(name.chars().take(80).collect())),
    }
}

/// Sets serial and validity, and names the key of the issuer.
pub(crate) fn issued(params: &mut CertificateParams, serial: Serial, validity: Validity) {
    params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970(validity.not_before);
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970(validity.not_after);
    params.use_authority_key_identifier_extension = true;
}

/// A certificate for a device or server. Its subject is empty, so that there is one place for
/// names: the critical subject alternative name (RFC 5280 4.1.2.6).
pub(crate) fn end_entity(
    subject: &Subject,
    serial: Serial,
    validity: Validity,
) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match subject {
        Subject::Device(_) => ExtendedKeyUsagePurpose::ClientAuth,
        Subject::Server(_) => ExtendedKeyUsagePurpose::ServerAuth,
    }];
    for name in subject.names() {
        let ascii = |text: String| text.try_into().map_err(|error| encode(&error));
        params.subject_alt_names.push(match name {
            Name::Uri(text) => SanType::URI(ascii(text)?),
            Name::Dns(text) => SanType::DnsName(ascii(text)?),
            Name::Ip(ip) => SanType::IpAddress(ip),
            Name::Other(text) => return Err(PkiError::Encode(text)),
        });
    }
    issued(&mut params, serial, validity);
    Ok(params)
}

/// What a certificate that was just signed has to be.
pub(crate) struct Expected<'a> {
    pub(crate) ca: &'a X509Certificate<'a>,
    pub(crate) serial: Serial,
    pub(crate) subject: &'a Subject,
    pub(crate) key: KeyHash,
    pub(crate) validity: Validity,
}

/// Reads a certificate back before anybody sees it: a fault in a token or a library must not
/// become a certificate for somebody else.
pub(crate) fn check(der: &[u8], expected: &Expected<'_>) -> Result<(), PkiError> {
    let fail = PkiError::Produced;
    let certificate = x509::certificate(der).map_err(|_| fail("unreadable"))?;
    let read = |time| x509::time(time).map_err(|_| fail("dates"));
    let validity = Validity {
        not_before: read(certificate.validity().not_before)?,
        not_after: read(certificate.validity().not_after)?,
    };
    let usage = certificate.key_usage().ok().flatten();
    let usage = usage.is_some_and(|usage| usage.critical && usage.value.flags == 1);
    let extended = certificate.extended_key_usage().ok().flatten();
    let extended = extended.is_some_and(|usage| match expected.subject {
        Subject::Device(_) => usage.value.client_auth && !usage.value.server_auth,
        Subject::Server(_) => usage.value.server_auth && !usage.value.client_auth,
    });
    let constraints = certificate.basic_constraints().ok().flatten();
    let checks = [
        (
            Serial::from_der(certificate.raw_serial()) == Some(expected.serial),
            "serial",
        ),
        (
            certificate.issuer().as_raw() == expected.ca.subject().as_raw(),
            "issuer",
        ),
        (
            x509::authority_key_id(&certificate) == x509::subject_key_id(expected.ca),
            "authority key identifier",
        ),
        (certificate.subject().iter().next().is_none(), "subject"),
        (
            x509::names(&certificate).is_ok_and(|names| expected.subject.is_named(&names)),
            "subject alternative name",
        ),
        (
            x509::key_hash(certificate.public_key().raw) == expected.key,
            "public key",
        ),
        (validity == expected.validity, "validity"),
        (usage, "key usage"),
        (extended, "extended key usage"),
        (
            constraints.is_some_and(|found| found.critical && !found.value.ca),
            "basic constraints",
        ),
        (
            certificate
                .verify_signature(Some(expected.ca.public_key()))
                .is_ok(),
            "signature",
        ),
    ];
    match checks.into_iter().find(|(good, _)| !good) {
        Some((_, what)) => Err(fail(what)),
        None => Ok(()),
    }
}

/// What to add to the first second of 1970, since rcgen does not export its type of dates.
pub(crate) fn since_1970(time: UtcTime) -> Duration {
    Duration::from_secs(u64::try_from(time.unix()).unwrap_or_default())
}
