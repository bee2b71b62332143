//! What a YubiHSM 2 says about a key that it holds: the extensions of an attestation certificate,
//! 1.3.6.1.4.1.41482.4.1 to .9 (Yubico, "YubiHSM 2 user guide", attestation).

use std::path::Path;

use countersign_metadata::PublicKey;
use x509_parser::certificate::X509Certificate;

use super::error::PkiError;
use super::x509;

/// 1.3.6.1.4.1.41482.4 without its last part.
const ARC: &[u64] = &[1, 3, 6, 1, 4, 1, 41482, 4];

const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;

/// The capability that lets a key leave its device, wrapped under another (bit 16).
const EXPORTABLE_UNDER_WRAP: u64 = 1 << 16;

/// What the attestation of a key says. Worth as much as the chain behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// The firmware, major, minor, patch.
    pub firmware: [u8; 3],
    /// The serial number of the device.
    pub serial: u64,
    /// How the key came into the device.
    pub origin: Origin,
    /// The domains in which the key can be used, 1 to 16.
    pub domains: Vec<u8>,
    /// The capabilities of the key, as bits.
    pub capabilities: u64,
    /// The id of the key in the device.
    pub object_id: u16,
    /// The label of the key in the device.
    pub label: String,
    /// The key, if it is of a kind that this project knows.
    pub public: Option<PublicKey>,
}

/// How a key came into a device, as its bits say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(u8);

impl Origin {
    /// Whether it was made in this device and never left it: this one bit and no other.
    pub fn made_here(self) -> bool {
        self.0 == 0x01
    }

    /// In words.
    pub fn describe(self) -> &'static str {
        match self.0 {
            0x01 => "generated in this device",
            0x02 => "imported",
            0x11 => "generated in a device, and imported from there under a wrap key",
            0x12 => "imported, and imported again under a wrap key",
            _ => "unknown",
        }
    }
}

impl Attestation {
    /// Whether the device would give the key out, wrapped.
    pub fn exportable(&self) -> bool {
        self.capabilities & EXPORTABLE_UNDER_WRAP != 0
    }

    /// Reads the extensions. All of them have to be there: what is not said is not assumed.
    ///
    /// # Errors
    /// [`PkiError::Attestation`]
    pub(crate) fn new(certificate: &X509Certificate<'_>, path: &Path) -> Result<Self, PkiError> {
        let read = || -> Result<Self, String> {
            let bits = |last, what| number(field(certificate, last, what)?, BIT_STRING, what);
            let integer = |last, what| number(field(certificate, last, what)?, INTEGER, what);
            let firmware = content(field(certificate, 1, "firmware")?, OCTET_STRING);
            let label = content(field(certificate, 9, "label")?, UTF8_STRING);
            let label = label.and_then(|label| String::from_utf8(label.to_vec()).ok());
            let domains = bits(4, "domains")?;
            if domains > u64::from(u16::MAX) {
                return Err(malformed("domains"));
            }
            Ok(Self {
                firmware: firmware
                    .and_then(|bytes| bytes.try_into().ok())
                    .ok_or_else(|| malformed("firmware"))?,
                serial: integer(2, "serial number")?,
                origin: Origin(
                    bits(3, "origin")?
                        .try_into()
                        .map_err(|_| malformed("origin"))?,
                ),
                domains: (1..=16)
                    .filter(|domain| domains >> (domain - 1) & 1 == 1)
                    .collect(),
                capabilities: bits(5, "capabilities")?,
                object_id: integer(6, "object id")?
                    .try_into()
                    .map_err(|_| malformed("object id"))?,
                label: label.ok_or_else(|| malformed("label"))?,
                public: x509::public_key(certificate.public_key()),
            })
        };
        read().map_err(|why| PkiError::Attestation {
            path: path.into(),
            why,
        })
    }
}

/// The serial number in a device's own certificate, if it states one.
pub(crate) fn device_serial(certificate: &X509Certificate<'_>) -> Result<Option<u64>, String> {
    match find(certificate, 2) {
        None => Ok(None),
        Some(value) => number(value, INTEGER, "serial number").map(Some),
    }
}

fn find<'a>(certificate: &'a X509Certificate<'_>, last: u64) -> Option<&'a [u8]> {
    let mut extensions = certificate.iter_extensions();
    let wanted = |oid: &x509_parser::der_parser::Oid<'_>| {
        let parts: Option<Vec<u64>> = oid.iter().map(Iterator::collect);
        parts.is_some_and(|parts| parts == [ARC, &[last]].concat())
    };
    let extension = extensions.find(|extension| wanted(&extension.oid))?;
    Some(extension.value)
}

fn field<'a>(
    certificate: &'a X509Certificate<'_>,
    last: u64,
    what: &str,
) -> Result<&'a [u8], String> {
    find(certificate, last).ok_or_else(|| format!("it does not state the {what} of a key"))
}

fn malformed(what: &str) -> String {
    format!("its {what} cannot be read")
}

/// The content of one DER value with this tag and nothing behind it. All values here are short.
fn content(der: &[u8], tag: u8) -> Option<&[u8]> {
    match der {
        [found, length, content @ ..]
            if *found == tag && *length < 0x80 && content.len() == usize::from(*length) =>
        {
            Some(content)
        }
        _ => None,
    }
}

/// A number in an INTEGER, or in a BIT STRING of whole bytes, most significant first.
fn number(der: &[u8], tag: u8, what: &str) -> Result<u64, String> {
    let bytes = content(der, tag).ok_or_else(|| malformed(what))?;
    let bytes = match (tag, bytes) {
        (BIT_STRING, [0, bytes @ ..]) if !bytes.is_empty() => bytes,
        (INTEGER, [0, bytes @ ..]) if bytes.first().is_some_and(|byte| *byte >= 0x80) => bytes,
        (INTEGER, [first, ..]) if *first < 0x80 && (*first != 0 || bytes.len() == 1) => bytes,
        _ => return Err(malformed(what)),
    };
    match bytes.len() {
        0..=8 => Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))),
        _ => Err(malformed(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        let integer = |der: &[u8]| number(der, INTEGER, "x").ok();
        assert_eq!(integer(&[2, 1, 0]), Some(0));
        assert_eq!(integer(&[2, 4, 2, 11, 217, 253]), Some(34_331_133));
        assert_eq!(integer(&[2, 2, 0, 0x80]), Some(0x80));
        for bad in [
            &[2, 0][..],
            &[2, 1],
            &[2, 1, 0x80],
            &[2, 2, 0, 1],
            &[2, 1, 1, 1],
            &[3, 1, 1],
            &[2, 0x81, 1, 1],
            &[2, 10, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(integer(bad), None, "{bad:?}");
        }
        let bits = |der: &[u8]| number(der, BIT_STRING, "x").ok();
        assert_eq!(bits(&[3, 3, 0, 0x80, 0x01]), Some(0x8001));
        assert_eq!(bits(&[3, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0]), Some(0x100));
        for bad in [&[3, 1, 0][..], &[3, 2, 1, 2], &[3, 0], &[2, 2, 0, 1]] {
            assert_eq!(bits(bad), None, "{bad:?}");
        }
    }
}
