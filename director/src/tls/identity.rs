//! Who a device is, out of its certificate and in one spelling (docs/device-pki.md).

use countersign_metadata::uptane::{EcuSerial, Vin};
use countersign_metadata::{UtcTime, sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Version;

use super::IdentityError;

/// Before the vehicle.
const VEHICLE: &str = "urn:countersign:vehicle:";
/// Before the ECU.
const ECU: &str = "urn:countersign:ecu:";

/// What a certificate says of a device. Whether it is to be believed is for [`super::Client`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The vehicle.
    pub vin: Vin,
    /// The ECU.
    pub serial: EcuSerial,
    /// The serial number of the certificate, as in DER.
    pub certificate_serial: Vec<u8>,
    /// Who has issued it, for people.
    pub issuer: String,
    /// When it ends.
    pub not_after: UtcTime,
    /// The SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
}

impl Identity {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`IdentityError`]
    pub fn of_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        let certificate = match X509Certificate::from_der(der) {
            Ok(([], certificate)) => certificate,
            _ => return Err(IdentityError::Unreadable),
        };
        let unique = certificate.extensions_map().is_ok();
        if certificate.version() != X509Version::V3 || !unique {
            return Err(IdentityError::Unreadable);
        }
        if certificate.is_ca() {
            return Err(IdentityError::Authority);
        }
        is_for_clients(&certificate)?;
        if certificate.subject().iter().next().is_some() {
            return Err(IdentityError::Subject);
        }
        let (vin, serial) = names(&certificate).ok_or(IdentityError::Names)?;
        let not_after = certificate.validity().not_after.timestamp();
        Ok(Self {
            vin,
            serial,
            certificate_serial: certificate.raw_serial().to_vec(),
            issuer: certificate.issuer().to_string(),
            not_after: UtcTime::from_unix(not_after).ok_or(IdentityError::Unreadable)?,
            fingerprint: sha256(der),
        })
    }
}

/// webpki takes a certificate that says nothing of its usage for any.
fn is_for_clients(certificate: &X509Certificate<'_>) -> Result<(), IdentityError> {
    let usage = certificate.extended_key_usage();
    let usage = usage.map_err(|_| IdentityError::Unreadable)?;
    let usage = usage.ok_or(IdentityError::Usage)?.value;
    let others = [
        usage.any,
        usage.server_auth,
        usage.code_signing,
        usage.email_protection,
        usage.time_stamping,
        usage.ocsp_signing,
        !usage.other.is_empty(),
    ];
    match usage.client_auth && !others.contains(&true) {
        true => Ok(()),
        false => Err(IdentityError::Usage),
    }
}

fn names(certificate: &X509Certificate<'_>) -> Option<(Vin, EcuSerial)> {
    let names = certificate.extensions().iter().find_map(|extension| {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) if extension.critical => Some(names),
            _ => None,
        }
    })?;
    let [GeneralName::URI(vehicle), GeneralName::URI(ecu)] = &*names.general_names else {
        return None;
    };
    let vin = decode(vehicle.strip_prefix(VEHICLE)?)?;
    let serial = decode(ecu.strip_prefix(ECU)?)?;
    Some((Vin::new(&vin).ok()?, EcuSerial::new(&serial).ok()?))
}

/// The identifier that is spelled like this, if it is one that begins with a letter or digit and this is
/// the one spelling that it has (RFC 3986 2.1).
fn decode(spelled: &str) -> Option<String> {
    let mut parts = spelled.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = (part.get(..2)?, part.get(2..)?);
        bytes.extend(hex::decode(digits).ok()?);
        bytes.extend(rest.as_bytes());
    }
    let plain = String::from_utf8(bytes).ok()?;
    let begins = plain.starts_with(|first: char| first.is_ascii_alphanumeric());
    (begins && encode(&plain) == spelled).then_some(plain)
}

fn encode(plain: &str) -> String {
    let mut encoded = String::new();
    for byte in plain.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_one_spelling() {
        assert_eq!(decode("TCU%2F1").as_deref(), Some("TCU/1"));
        assert_eq!(decode("a-b.c_d~e%3A").as_deref(), Some("a-b.c_d~e:"));
        for spelled in [
            "", "TCU%2f1", "%54CU", "TCU/1", "TCU%", "TCU%2", "TCU%é", "-x", "%2Fx", "TCU%+F",
        ] {
            assert_eq!(decode(spelled), None, "{spelled}");
        }
    }
}
