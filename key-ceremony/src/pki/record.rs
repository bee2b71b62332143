//! What the index keeps: one JSON object per line and event, each with the hash of the line before.

use std::fmt;
use std::str::FromStr;

use countersign_metadata::UtcTime;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use super::error::PkiError;
use super::identity::Subject;

/// A serial number: 16 random bytes, the first of which is not zero (RFC 5280 4.1.2.2 allows 20).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Serial([u8; 16]);

/// Why a certificate was revoked (RFC 5280 5.3.1). Revocation is for ever, so there is no hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// No reason given.
    Unspecified,
    /// The private key is or may be in other hands. The key is never certified again.
    KeyCompromise,
    /// The device belongs to another vehicle or owner now.
    AffiliationChanged,
    /// Another certificate takes its place.
    Superseded,
    /// The device is out of service.
    CessationOfOperation,
    /// The device may no longer do what the certificate says.
    PrivilegeWithdrawn,
}

/// That and when a certificate was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub at: UtcTime,
    /// Why.
    pub reason: Reason,
}

/// One line of the index.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// SHA-256 of the line before without its newline; of the first line, zeros.
    #[serde(with = "hexadecimal")]
    pub(crate) previous: [u8; 32],
    pub(crate) event: Record,
}

/// One event. An event is in the index, and that is durable, before anybody can see its result.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Record {
    /// The first line: whose index this is.
    Opened {
        #[serde(with = "utc")]
        at: UtcTime,
        /// SHA-256 of the SubjectPublicKeyInfo of the CA.
        key: KeyHash,
    },
    /// The serials are about to be used. One that is never seen again was cut off in between, and
    /// no certificate with it left the process.
    Reserved {
        #[serde(with = "utc")]
        at: UtcTime,
        serials: Vec<Serial>,
    },
    /// A certificate was signed.
    Issued {
        #[serde(with = "utc")]
        at: UtcTime,
        serial: Serial,
        subject: Subject,
        /// SHA-256 of the SubjectPublicKeyInfo.
        key: KeyHash,
        #[serde(with = "utc")]
        not_before: UtcTime,
        #[serde(with = "utc")]
        not_after: UtcTime,
        /// The certificate that this one renews.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        renews: Option<Serial>,
        /// PEM.
        certificate: String,
    },
    /// A certificate was revoked.
    Revoked {
        #[serde(with = "utc")]
        at: UtcTime,
        serial: Serial,
        reason: Reason,
    },
    /// A revocation list is about to be signed.
    Crl {
        #[serde(with = "utc")]
        at: UtcTime,
        number: u64,
        #[serde(with = "utc")]
        next_update: UtcTime,
    },
}

/// SHA-256 of a SubjectPublicKeyInfo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct KeyHash(#[serde(with = "hexadecimal")] pub(crate) [u8; 32]);

impl Line {
    /// As it stands in the file, with its newline.
    pub(crate) fn to_text(&self) -> Result<Vec<u8>, PkiError> {
        let text = serde_json::to_vec(self);
        let mut text = text.map_err(|error| PkiError::Encode(error.to_string()))?;
        text.push(b'\n');
        Ok(text)
    }
}

impl Record {
    pub(crate) fn at(&self) -> UtcTime {
        match self {
            Self::Opened { at, .. }
            | Self::Reserved { at, .. }
            | Self::Issued { at, .. }
            | Self::Revoked { at, .. }
            | Self::Crl { at, .. } => *at,
        }
    }
}

impl Serial {
    /// A new one.
    pub(crate) fn random() -> Result<Self, PkiError> {
        let mut bytes = [0; 16];
        while bytes[0] == 0 {
            let filled = SystemRandom::new().fill(&mut bytes);
            filled.map_err(|_| PkiError::Random)?;
        }
        Ok(Self(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From the content of a DER INTEGER; `None` if it is not one of ours.
    pub(crate) fn from_der(content: &[u8]) -> Option<Self> {
        let content = match content {
            [0, rest @ ..] if rest.len() == 16 => rest,
            _ => content,
        };
        let bytes: [u8; 16] = content.try_into().ok()?;
        (bytes[0] != 0).then_some(Self(bytes))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// 32 hexadecimal digits, also with colons between the bytes as other tools print them.
impl FromStr for Serial {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        let bytes = hex::decode(digits).ok();
        bytes
            .and_then(|bytes| Self::from_der(&bytes))
            .ok_or_else(|| "a serial number of this CA has 32 hexadecimal digits".into())
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> Self {
        serial.to_string()
    }
}

impl TryFrom<String> for Serial {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The name that [`FromStr`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|reason| reason.name() == text);
        known.ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            format!("one of: {}", names.join(", "))
        })
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ`
pub(crate) mod utc {
    use countersign_metadata::UtcTime;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &UtcTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<UtcTime, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Bytes as hexadecimal digits.
pub(crate) mod hexadecimal {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        bytes: &impl AsRef<[u8]>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(
        from: D,
    ) -> Result<T, D::Error> {
        let bytes = hex::decode(String::deserialize(from)?).map_err(D::Error::custom)?;
        T::try_from(bytes).map_err(|_| D::Error::custom("another number of digits was expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_have_one_form() {
        let serial = Serial::random().unwrap();
        assert_eq!(serial.to_string().parse(), Ok(serial));
        let padded = [&[0], serial.as_bytes()].concat();
        assert_eq!(Serial::from_der(&padded), Some(serial));
        assert_eq!(Serial::from_der(serial.as_bytes()), Some(serial));
        for text in ["", "00", &"0".repeat(32), &"f".repeat(34), "zz"] {
            assert!(text.parse::<Serial>().is_err(), "{text}");
        }
        let colons = "AB:".repeat(15) + "AB";
        assert_eq!(
            colons.parse::<Serial>().unwrap().to_string(),
            "ab".repeat(16)
        );
    }

    #[test]
    fn reasons_have_one_name() {
        for reason in Reason::ALL {
            assert_eq!(reason.name().parse(), Ok(reason));
            let json = serde_json::to_value(reason).unwrap();
            assert_eq!(json, reason.name());
        }
        assert!("hold".parse::<Reason>().is_err());
    }
}
