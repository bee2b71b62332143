//! Who a certificate is for, and how that is written into it: exactly, in one spelling.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::error::PkiError;
use super::limits;

/// Before the vehicle in a subject alternative name.
const VEHICLE: &str = "urn:countersign:vehicle:";
/// Before the ECU in a subject alternative name.
const ECU: &str = "urn:countersign:ecu:";

/// An ECU of a vehicle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawDevice", deny_unknown_fields)]
pub struct DeviceId {
    vehicle: String,
    ecu: String,
}

/// The names of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawServer", deny_unknown_fields)]
pub struct ServerNames {
    dns: BTreeSet<String>,
    ip: BTreeSet<IpAddr>,
}

/// Who a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Subject {
    /// A device, as a TLS client.
    Device(DeviceId),
    /// A server, as such.
    Server(ServerNames),
}

/// One subject alternative name (RFC 5280 4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Uri(String),
    Dns(String),
    Ip(IpAddr),
    /// Anything else, in words.
    Other(String),
}

impl DeviceId {
    /// From identifiers of 1 to 64 printable ASCII characters without spaces, the first of which
    /// is a letter or digit.
    ///
    /// # Errors
    /// [`PkiError::Identifier`]
    pub fn new(vehicle: &str, ecu: &str) -> Result<Self, PkiError> {
        check("vehicle", vehicle)?;
        check("ECU", ecu)?;
        Ok(Self {
            vehicle: vehicle.into(),
            ecu: ecu.into(),
        })
    }

    /// The vehicle identifier, usually the VIN.
    pub fn vehicle(&self) -> &str {
        &self.vehicle
    }

    /// The serial number of the ECU.
    pub fn ecu(&self) -> &str {
        &self.ecu
    }

    /// Both in one spelling that is safe in a URN and in a file name.
    pub(crate) fn encoded(&self) -> [String; 2] {
        [encode(&self.vehicle), encode(&self.ecu)]
    }

    /// From the names in a certificate: these two URNs, in this order and in this spelling.
    pub(crate) fn from_names(names: &[Name]) -> Option<Self> {
        let [Name::Uri(vehicle), Name::Uri(ecu)] = names else {
            return None;
        };
        let device = Self::new(
            &decode(vehicle.strip_prefix(VEHICLE)?)?,
            &decode(ecu.strip_prefix(ECU)?)?,
        );
        let device = device.ok()?;
        (device.names() == names).then_some(device)
    }

    fn names(&self) -> Vec<Name> {
        let [vehicle, ecu] = self.encoded();
        vec![
            Name::Uri(format!("{VEHICLE}{vehicle}")),
            Name::Uri(format!("{ECU}{ecu}")),
        ]
    }
}

impl ServerNames {
    /// From DNS names (no wildcards, no dot at the end) and IP addresses; at least one of them.
    ///
    /// # Errors
    /// [`PkiError::ServerName`]
    pub fn new(
        dns: impl IntoIterator<Item = String>,
        ip: impl IntoIterator<Item = IpAddr>,
    ) -> Result<Self, PkiError> {
        let mut names = Self::default();
        for name in dns {
            let name = name.to_ascii_lowercase();
            check_dns(&name).map_err(|why| PkiError::ServerName {
                name: name.clone(),
                why,
            })?;
            names.dns.insert(name);
        }
        names.ip.extend(ip);
        let number = names.dns.len() + names.ip.len();
        let why = match number {
            0 => "name at least one with --dns or --ip",
            1..=limits::SERVER_NAMES => return Ok(names),
            _ => "a certificate takes 100 names at most",
        };
        let name = names.dns.first().cloned().unwrap_or_default();
        Err(PkiError::ServerName { name, why })
    }
}

impl Subject {
    /// The subject alternative names, in the order in which they are written.
    pub(crate) fn names(&self) -> Vec<Name> {
        match self {
            Self::Device(device) => device.names(),
            Self::Server(server) => {
                let dns = server.dns.iter().cloned().map(Name::Dns);
                dns.chain(server.ip.iter().copied().map(Name::Ip)).collect()
            }
        }
    }

    /// Whether these names in a certificate mean this subject and no other.
    pub(crate) fn is_named(&self, names: &[Name]) -> bool {
        match self {
            Self::Device(device) => DeviceId::from_names(names).as_ref() == Some(device),
            Self::Server(_) => self.names() == names,
        }
    }

    /// The device, if it is one.
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Device(device) => Some(device),
            Self::Server(_) => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(device) => write!(f, "vehicle {} ECU {}", device.vehicle, device.ecu),
            Self::Server(_) => {
                let names: Vec<_> = self.names().iter().map(Name::to_string).collect();
                write!(f, "server {}", names.join(", "))
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(text) | Self::Dns(text) | Self::Other(text) => {
                write!(f, "{}", text.escape_debug())
            }
            Self::Ip(ip) => write!(f, "{ip}"),
        }
    }
}

fn check(what: &'static str, text: &str) -> Result<(), PkiError> {
    let why = match text.as_bytes() {
        [] => "is empty",
        [first, ..] if !first.is_ascii_alphanumeric() => "must begin with a letter or a digit",
        bytes if bytes.len() > limits::IDENTIFIER => "is longer than 64 characters",
        bytes if !bytes.iter().all(u8::is_ascii_graphic) => {
            "has a character that is not printable ASCII, or a space"
        }
        _ => return Ok(()),
    };
    let text = text.chars().take(2 * limits::IDENTIFIER).collect();
    Err(PkiError::Identifier { what, text, why })
}

/// A host name in the preferred syntax (RFC 1123 2.1), lower case.
fn check_dns(name: &str) -> Result<(), &'static str> {
    if name.parse::<IpAddr>().is_ok() {
        return Err("it is an address; give it with --ip");
    }
    if name.contains('*') {
        return Err("wildcards are not certified");
    }
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    match name.len() <= 253 && name.split('.').all(label) {
        true => Ok(()),
        false => Err("it is not a host name"),
    }
}

/// RFC 3986 2.1, everything but unreserved characters, upper-case digits.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The inverse; whether the spelling was the one that [`encode`] writes is for the caller to see.
fn decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut decoded = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = (part.get(..2)?, part.get(2..)?);
        decoded.extend(hex::decode(digits).ok()?);
        decoded.extend(rest.as_bytes());
    }
    String::from_utf8(decoded).ok()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDevice {
    vehicle: String,
    ecu: String,
}

impl TryFrom<RawDevice> for DeviceId {
    type Error = PkiError;

    fn try_from(raw: RawDevice) -> Result<Self, PkiError> {
        Self::new(&raw.vehicle, &raw.ecu)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawServer {
    dns: Vec<String>,
    ip: Vec<IpAddr>,
}

impl TryFrom<RawServer> for ServerNames {
    type Error = PkiError;

    fn try_from(raw: RawServer) -> Result<Self, PkiError> {
        Self::new(raw.dns, raw.ip)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            vehicle in "[0-9A-Za-z][!-~]{0,63}",
            ecu in "[0-9A-Za-z][!-~]{0,63}",
        ) {
            let device = DeviceId::new(&vehicle, &ecu).unwrap();
            prop_assert_eq!(DeviceId::from_names(&device.names()), Some(device.clone()));
            for part in device.encoded() {
                prop_assert!(!part.contains('/') && !part.starts_with('.'));
            }
        }

        #[test]
        fn one_spelling_only(text in "[A-C%0-9a-c:.]{0,12}") {
            let names = [Name::Uri(format!("{VEHICLE}{text}")), Name::Uri(format!("{ECU}E"))];
            if let Some(device) = DeviceId::from_names(&names) {
                prop_assert_eq!(device.names(), names);
            }
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let parse = |vehicle: &str, ecu: &str| {
            DeviceId::from_names(&[Name::Uri(vehicle.into()), Name::Uri(ecu.into())])
        };
        assert!(parse("urn:countersign:vehicle:V%2F1", "urn:countersign:ecu:E").is_some());
        for vehicle in [
            "urn:countersign:vehicle:V%2f1",
            "urn:countersign:vehicle:%561",
            "urn:countersign:vehicle:V/1",
            "URN:countersign:vehicle:V",
            "urn:countersign:vehicle:",
            "urn:countersign:vehicle:V%",
            "urn:countersign:vehicle:V%00",
            "urn:countersign:vehicle:V%C3%A9",
            "urn:countersign:ecu:V",
        ] {
            assert!(
                parse(vehicle, "urn:countersign:ecu:E").is_none(),
                "{vehicle}"
            );
        }
        // The order is part of the form.
        assert!(parse("urn:countersign:ecu:E", "urn:countersign:vehicle:V").is_none());
    }

    #[test]
    fn identifiers_have_bounds() {
        let long = "x".repeat(65);
        for text in ["", " ", "a b", "ä", "a\n", "..", "-x", "/", "a\0", &long] {
            assert!(DeviceId::new(text, "E").is_err(), "{text:?}");
            assert!(DeviceId::new("V", text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn server_names_have_a_form() {
        let one = |dns: &str| ServerNames::new([dns.into()], []);
        assert!(one("Director.Example.com").is_ok() && one("localhost").is_ok());
        for dns in [
            "",
            "*.a",
            "a..b",
            "a.",
            "-a",
            "a_b",
            "127.0.0.1",
            "ä",
            "a b",
        ] {
            assert!(one(dns).is_err(), "{dns:?}");
        }
        assert!(ServerNames::new([], []).is_err());
        let many = (0..=100).map(|number| format!("h{number}"));
        assert!(ServerNames::new(many, []).is_err());
    }
}
