//! What a Primary and a Secondary say to each other.
//!
//! A call is one request of the Primary, any number of fetches of the Secondary with their
//! replies, and one answer of the Secondary. docs/secondary-link.md is the format; here it is the
//! serialisation of these types, with the bytes that a message brings as the body of its frame.

use countersign_metadata::RoleType;
use countersign_metadata::uptane::{EcuSerial, HardwareId, Nonce, OfflineName, Vin};
use countersign_verifier::{Reject, RemoteName};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Frame, LinkError, MAX_BODY};
use crate::uptane::text;

/// The version of the protocol.
pub const VERSION: u32 = 1;

/// What the Primary asks of a Secondary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[serde(deny_unknown_fields)]
pub enum Request {
    /// Who are you, and which nonce shall the time answer? Begins a cycle.
    Hello {
        /// [`VERSION`]
        #[serde(deserialize_with = "our_version")]
        version: u32,
        /// The vehicle.
        #[serde(with = "text")]
        vin: Vin,
        /// The Primary.
        #[serde(with = "text")]
        primary: EcuSerial,
    },
    /// Verify the metadata, and stage the image that it names for you.
    Prepare {
        /// The name of the Offline Targets file, where all of it comes out of an offline bundle
        /// (PURE-2).
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            with = "text::optional"
        )]
        offline: Option<OfflineName>,
        /// The signed attestation of the time; empty if the Primary has none.
        #[serde(skip)]
        attestation: Vec<u8>,
    },
    /// Install what you have prepared.
    Activate {
        /// The version of the Director's Targets that it was prepared under.
        targets_version: u64,
    },
    /// Forget what you have prepared: another ECU could not prepare its part.
    Abandon {},
    /// What is installed? Answered by a signed report.
    Report {},
    /// The Director has the report with this counter.
    Acknowledge {
        /// The report's counter.
        report_counter: u64,
    },
}

/// What a Secondary answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[serde(deny_unknown_fields)]
pub enum Answer {
    /// To [`Request::Hello`].
    Hello {
        /// [`VERSION`]
        #[serde(deserialize_with = "our_version")]
        version: u32,
        /// Its serial.
        #[serde(with = "text")]
        serial: EcuSerial,
        /// Its hardware identifier.
        #[serde(with = "text")]
        hardware_id: HardwareId,
        /// How it verifies.
        verification: Verification,
        /// The nonce of this cycle.
        #[serde(with = "text")]
        nonce: Nonce,
    },
    /// To [`Request::Prepare`].
    Prepared {
        /// The version of the Director's Targets that it verified.
        targets_version: u64,
        /// What it found there.
        image: Prepared,
    },
    /// To [`Request::Activate`].
    Activated {
        /// What became of it.
        image: Activated,
    },
    /// To [`Request::Abandon`] and [`Request::Acknowledge`].
    Done {},
    /// To [`Request::Report`].
    Report {
        /// The signed report, as it goes into the manifest.
        #[serde(skip)]
        report: Vec<u8>,
    },
    /// To anything: it could not be done.
    Refused(Refusal),
}

/// How a Secondary verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verification {
    /// Both repositories (Uptane 5.4.4.2).
    Full,
    /// The Director's Root and Targets (Uptane 5.4.4.1).
    Partial,
}

/// What a Secondary found in the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prepared {
    /// An image, which is staged.
    Staged,
    /// No image that it has not installed already.
    Nothing,
}

/// What became of an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activated {
    /// The new image runs and is confirmed.
    Confirmed,
    /// The new image has to prove itself, or runs after a restart. The next report tells.
    OnTrial,
}

/// A refusal as it travels. The code is one of [`countersign_verifier::Code`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The number of the code.
    pub code: u16,
    /// The name of the code.
    pub name: String,
    /// The particulars, for people; at most [`Refusal::MAX_MESSAGE`] characters.
    pub message: String,
}

impl Refusal {
    /// Characters in a message, as in a report's outcome.
    pub const MAX_MESSAGE: usize = 512;
}

impl From<&Reject> for Refusal {
    fn from(reject: &Reject) -> Self {
        Self {
            code: reject.code.number(),
            name: reject.code.name().into(),
            message: reject.to_string().chars().take(Self::MAX_MESSAGE).collect(),
        }
    }
}

/// A file that a Secondary may ask its Primary for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
#[serde(deny_unknown_fields)]
pub enum Wanted {
    /// A metadata file.
    Metadata {
        /// Whose.
        repository: Repository,
        /// The role.
        role: String,
        /// The version, where the file's name has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
    /// An image, or its ciphertext where it is encrypted.
    Image {
        /// Its name by content: `sha256-` or `sha512-` and the digest in hexadecimal.
        name: String,
    },
}

impl Wanted {
    /// The metadata file `name` of `repository`.
    pub fn metadata(repository: Repository, name: &RemoteName) -> Self {
        Self::Metadata {
            repository,
            role: name.role().into(),
            version: match name {
                RemoteName::Root(version) => Some(*version),
                RemoteName::Timestamp => None,
                RemoteName::Snapshot(version) | RemoteName::Targets(_, version) => *version,
            },
        }
    }

    /// The name of a metadata file; `None` for an image, and where there is no such name.
    pub fn remote_name(&self) -> Option<RemoteName> {
        let Self::Metadata { role, version, .. } = self else {
            return None;
        };
        match (RoleType::from_name(role), *version) {
            (Some(RoleType::Root), version) => version.map(RemoteName::Root),
            (Some(RoleType::Timestamp), None) => Some(RemoteName::Timestamp),
            (Some(RoleType::Timestamp), Some(_)) => None,
            (Some(RoleType::Snapshot), version) => Some(RemoteName::Snapshot(version)),
            (Some(RoleType::Targets) | None, version) => {
                Some(RemoteName::Targets(role.clone(), version))
            }
        }
    }
}

/// The two repositories of Uptane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repository {
    /// The Director's.
    Director,
    /// The Image repository.
    Image,
}

impl Repository {
    /// Its name in refusals and in the repository mapping.
    pub fn name(self) -> &'static str {
        match self {
            Self::Director => "director",
            Self::Image => "image",
        }
    }
}

/// A fetch of a Secondary: some bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fetch {
    /// The file.
    pub file: Wanted,
    /// The first byte.
    pub from: u64,
    /// How many bytes at most, from 1 to [`MAX_BODY`].
    #[serde(deserialize_with = "part_len")]
    pub max_len: u32,
}

/// Some bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The length of the whole file, in bytes.
    pub total: u64,
    /// The bytes.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// What a Secondary sends during a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromSecondary {
    /// It wants something first.
    Fetch(Fetch),
    /// It is done.
    Answer(Answer),
}

/// What a Primary replies to a fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Here it is.
    Part(Part),
    /// There is no such file here.
    Absent {},
}

/// A message in a frame: its header is the JSON of the message, its body the bytes it brings.
pub trait Message: Serialize + DeserializeOwned {
    /// The bytes that go into the body; `None` for a message without.
    #[doc(hidden)]
    fn body(&mut self) -> Option<&mut Vec<u8>>;

    /// As a frame.
    ///
    /// # Errors
    /// [`LinkError::Protocol`] if it cannot be written.
    fn into_frame(mut self) -> Result<Frame, LinkError> {
        let header = serde_json::to_vec(&self).map_err(LinkError::protocol)?;
        let body = self.body().map(std::mem::take).unwrap_or_default();
        Ok(Frame { header, body })
    }

    /// From a frame.
    ///
    /// # Errors
    /// [`LinkError::Protocol`] if it is no such message, or has bytes that it may not have.
    fn from_frame(frame: Frame) -> Result<Self, LinkError> {
        let mut message: Self =
            serde_json::from_slice(&frame.header).map_err(LinkError::protocol)?;
        match message.body() {
            Some(body) => *body = frame.body,
            None if frame.body.is_empty() => {}
            None => return Err(LinkError::protocol("a message has bytes it may not have")),
        }
        Ok(message)
    }
}

impl Message for Request {
    fn body(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Prepare { attestation, .. } => Some(attestation),
            _ => None,
        }
    }
}

impl Message for FromSecondary {
    fn body(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Answer(Answer::Report { report }) => Some(report),
            _ => None,
        }
    }
}

impl Message for Reply {
    fn body(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Part(part) => Some(&mut part.bytes),
            Self::Absent {} => None,
        }
    }
}

fn our_version<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match u32::deserialize(from)? {
        VERSION => Ok(VERSION),
        other => Err(D::Error::custom(format!(
            "version {other} of the protocol; this is version {VERSION}"
        ))),
    }
}

fn part_len<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let len = u32::deserialize(from)?;
    match (1..=MAX_BODY).contains(&(len as usize)) {
        true => Ok(len),
        false => Err(D::Error::custom(format!(
            "{len} bytes asked for; 1 to {MAX_BODY} can be had"
        ))),
    }
}
