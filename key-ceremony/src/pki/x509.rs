//! Reading certificates and requests: one object, DER or PEM, with nothing after it.

use std::net::IpAddr;

use countersign_metadata::{PublicKey, UtcTime, sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_SIG_ED25519;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name, X509Version};

use super::identity::Name;
use super::record::KeyHash;

/// The labels of certificates in PEM (RFC 7468 5).
pub(crate) const CERTIFICATE: &[&str] = &["CERTIFICATE"];
/// The labels of requests in PEM (RFC 7468 7 and its note on older tools).
pub(crate) const REQUEST: &[&str] = &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/// The label of revocation lists in PEM (RFC 7468 6).
pub(crate) const CRL: &[&str] = &["X509 CRL"];

/// The DER in a file that is DER or PEM.
pub(crate) fn der(bytes: &[u8], labels: &[&str]) -> Result<Vec<u8>, String> {
    if bytes.first() == Some(&0x30) {
        return Ok(bytes.to_vec());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is neither PEM nor DER")?;
    let (pem, end) = Pem::read(std::io::Cursor::new(text))
        .map_err(|error| format!("it is neither PEM nor DER ({error})"))?;
    if !labels.contains(&pem.label.as_str()) {
        let label = pem.label.escape_debug();
        return Err(format!("it holds a {label:.40}, not a {}", labels[0]));
    }
    let rest = text.get(end..).unwrap_or_default();
    match rest.trim().is_empty() {
        true => Ok(pem.contents),
        false => Err("something follows the first PEM block; give one object in one file".into()),
    }
}

/// A version 3 certificate whose two statements of the signature algorithm agree (RFC 5280
/// 4.1.1.2) and that has no extension twice (4.2).
pub(crate) fn certificate(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    let (rest, certificate) =
        X509Certificate::from_der(der).map_err(|error| format!("it cannot be read ({error})"))?;
    if !rest.is_empty() {
        return Err(format!("{} bytes follow its end", rest.len()));
    }
    if certificate.version() != X509Version::V3 {
        return Err("it is not X.509 version 3".into());
    }
    if certificate.tbs_certificate.signature != certificate.signature_algorithm {
        return Err("it states two signature algorithms".into());
    }
    let unique = certificate.extensions_map();
    unique.map_err(|_| "it has an extension twice")?;
    Ok(certificate)
}

/// The subject alternative names of a certificate.
pub(crate) fn names(certificate: &X509Certificate<'_>) -> Result<Vec<Name>, String> {
    let extension = certificate.subject_alternative_name();
    let extension = extension.map_err(|_| "its names cannot be read")?;
    let names = extension.map(|extension| extension.value.general_names.iter().map(name).collect());
    Ok(names.unwrap_or_default())
}

pub(crate) fn name(name: &GeneralName<'_>) -> Name {
    match name {
        GeneralName::URI(text) => Name::Uri((*text).into()),
        GeneralName::DNSName(text) => Name::Dns(text.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let ip = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            ip.map_or_else(|_| Name::Other(format!("{name}")), Name::Ip)
        }
        _ => Name::Other(format!("{name}")),
    }
}

/// A distinguished name for people, with nothing in it that a terminal would obey.
pub(crate) fn shown(name: &X509Name<'_>) -> String {
    name.to_string().escape_debug().to_string()
}

/// The subject key identifier (RFC 5280 4.2.1.2).
pub(crate) fn subject_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    let mut extensions = certificate.iter_extensions();
    extensions.find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

/// The authority key identifier (RFC 5280 4.2.1.1).
pub(crate) fn authority_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    let mut extensions = certificate.iter_extensions();
    extensions.find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    })
}

/// A key of a kind that this project knows; `None` for others and for points off the curve.
pub(crate) fn public_key(spki: &SubjectPublicKeyInfo<'_>) -> Option<PublicKey> {
    if spki.algorithm.algorithm != OID_SIG_ED25519 {
        return PublicKey::from_spki_der(spki.raw);
    }
    let bytes: &[u8] = &spki.subject_public_key.data;
    let whole = spki.algorithm.parameters.is_none() && spki.subject_public_key.unused_bits == 0;
    let key = <[u8; 32]>::try_from(bytes).ok().filter(|_| whole)?;
    Some(PublicKey::Ed25519(key))
}

pub(crate) fn key_hash(spki: &[u8]) -> KeyHash {
    KeyHash(sha256(spki))
}

pub(crate) fn time(time: ASN1Time) -> Result<UtcTime, String> {
    let time = UtcTime::from_unix(time.timestamp());
    time.ok_or_else(|| "its dates are out of range".into())
}

/// A DER value (X.690 8.1.3, 10.1): the shortest length, at most two bytes of it. All that is
/// written here is below 64 KiB.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    let mut der = match (high, low) {
        (0, 0..0x80) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    der.extend(content);
    der
}
