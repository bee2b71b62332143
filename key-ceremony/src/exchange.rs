//! The files that travel between machines: invitations and signing requests one way, proofs and
//! signatures the other. Small JSON files, for a USB stick.

use std::collections::BTreeMap;
use std::path::Path;

use countersign_metadata::json;
use countersign_repo::keys::KeyJson;
use countersign_signing::Algorithm;
use serde::{Deserialize, Serialize};

use crate::error::CeremonyError;
use crate::event::check_plain;
use crate::files;
use crate::policy::Finding;
use crate::profile::{Accepted, MAX_CLOCK_TOLERANCE, Slot, check_holder, check_line};
use crate::root_role::RootRole;
use crate::statement::{SignedStatement, Statement, decode_hex};

/// The largest such file, in bytes. A request for a seal holds a Root and a transcript; a Root of
/// 8 keys has 4 KB, the default limit on one is 512 KB, and a transcript of 20 keys has 60 KB.
const MAX_FILE: u64 = 4 << 20;

/// A file that travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", deny_unknown_fields)]
pub enum Message {
    /// To a holder: make or name the key for this place.
    #[serde(rename = "countersign-ceremony-invitation-1")]
    Invitation(Invitation),
    /// From a holder: a proof of possession.
    #[serde(rename = "countersign-ceremony-proof-1")]
    Proof(Proof),
    /// To the holders: sign this Root.
    #[serde(rename = "countersign-ceremony-request-1")]
    Request(Box<Request>),
    /// From a holder: signatures.
    #[serde(rename = "countersign-ceremony-signatures-1")]
    Signatures(Signatures),
    /// To the participants: vouch for the transcript.
    #[serde(rename = "countersign-ceremony-seal-request-1")]
    SealRequest(Box<SealRequest>),
    /// From a participant: seals.
    #[serde(rename = "countersign-ceremony-seals-1")]
    Seals(Seals),
}

/// Asks a holder for the key of one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// The ceremony's id.
    pub ceremony: String,
    /// What the ceremony is for.
    pub name: String,
    /// The role, and who is asked.
    pub slot: Slot,
    /// Who the holder is, in words.
    pub who: String,
    /// The kind of key, if the profile says.
    pub algorithm: Option<String>,
    /// Where the profile expects the key.
    pub uri: Option<String>,
    /// Whether the role's keys are used by machines without a person present.
    pub online: bool,
    /// What the plan accepts of the policy, and why.
    pub accepted: Vec<Accepted>,
    /// When this was written.
    pub time: String,
    /// Seconds that clocks may be apart.
    pub clock_tolerance: u32,
}

/// Proves possession of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The statement, signed with the key itself.
    pub proof: SignedStatement,
}

/// Asks for signatures on a Root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The ceremony's id.
    pub ceremony: String,
    /// What the ceremony is for.
    pub name: String,
    /// SHA-256 of the transcript's line with the review.
    pub review: String,
    /// The new Root's payload; its bytes are what is signed.
    pub payload: String,
    /// The file of the Root before it.
    pub previous: Option<String>,
    /// The keys that can sign, by key id.
    pub keys: BTreeMap<String, RequestedKey>,
    /// Who holds the keys of all roles, before and after, by key id; as far as the lead knows.
    pub holders: BTreeMap<String, String>,
    /// What the policy says.
    pub findings: Vec<Finding>,
    /// What of it was accepted.
    pub accepted: Vec<Accepted>,
    /// When this was written.
    pub time: String,
    /// Seconds that clocks may be apart.
    pub clock_tolerance: u32,
}

/// A key that can sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedKey {
    /// The key.
    pub key: KeyJson,
    /// Where the profile expects it.
    pub uri: Option<String>,
}

/// Signatures on a Root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signatures {
    /// One for each key.
    pub signatures: Vec<MadeSignature>,
}

/// A signature on a Root, and the signer's word on what was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeSignature {
    /// The key's id.
    pub keyid: String,
    /// The signature on the payload, in hexadecimal.
    pub sig: String,
    /// The statement, signed with the same key.
    pub statement: SignedStatement,
}

/// Asks a participant to vouch for the transcript. It holds all that was recorded, so that the
/// reader's machine can check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealRequest {
    /// The transcript, before the seal.
    pub transcript: String,
    /// The file of the Root that it begins with.
    pub previous: Option<String>,
}

/// Seals by participants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seals {
    /// One for each key.
    pub seals: Vec<SignedStatement>,
}

impl Message {
    /// Reads a file of any of these kinds.
    ///
    /// # Errors
    /// [`CeremonyError::Exchange`] when it is none of them.
    pub fn read(path: &Path) -> Result<Self, CeremonyError> {
        let bytes = files::read(path, MAX_FILE)?;
        let fail = |why: String| CeremonyError::Exchange {
            path: path.into(),
            why,
        };
        json::parse(&bytes).map_err(|error| fail(format!("it is not a ceremony file: {error}")))?;
        parse(&bytes).map_err(fail)
    }

    /// As a file.
    pub fn to_file(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// What kind it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Invitation(_) => "an invitation",
            Self::Proof(_) => "a proof of possession",
            Self::Request(_) => "a signing request",
            Self::Signatures(_) => "a file of signatures",
            Self::SealRequest(_) => "a request for a seal",
            Self::Seals(_) => "a file of seals",
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Message, String> {
    let unknown = |error| format!("it is no ceremony file that this version reads: {error}");
    let value = serde_json::from_slice(bytes).map_err(unknown)?;
    check_plain(&value)?;
    let message: Message = serde_json::from_value(value).map_err(unknown)?;
    message.check()?;
    Ok(message)
}

impl Message {
    /// What is shown of a file from elsewhere is bounded like what stands in a profile.
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Invitation(asked) => {
                check_head(&asked.ceremony, &asked.name, asked.clock_tolerance)?;
                check_slot(&asked.slot)?;
                check_line(&asked.who).map_err(|why| format!("who {why}"))?;
                if let Some(Err(error)) = asked.algorithm.as_deref().map(str::parse::<Algorithm>) {
                    return Err(error.to_string());
                }
                check_line(asked.uri.as_deref().unwrap_or_default())
                    .map_err(|why| format!("uri {why}"))?;
                asked.accepted.iter().try_for_each(Accepted::check)
            }
            Self::Request(asked) => {
                check_head(&asked.ceremony, &asked.name, asked.clock_tolerance)?;
                asked
                    .holders
                    .values()
                    .try_for_each(|name| check_holder(name))?;
                asked.findings.iter().try_for_each(Finding::check)?;
                asked.accepted.iter().try_for_each(Accepted::check)
            }
            Self::Proof(Proof { proof }) => match &proof.statement {
                Statement::Possession { slot, custody, .. } => {
                    check_slot(slot)?;
                    check_line(&custody.home).map_err(|why| format!("home {why}"))
                }
                _ => Err("it is not a proof of possession".into()),
            },
            Self::Signatures(_) | Self::SealRequest(_) | Self::Seals(_) => Ok(()),
        }
    }
}

fn check_head(ceremony: &str, name: &str, clock_tolerance: u32) -> Result<(), String> {
    if decode_hex(ceremony).is_none_or(|id| id.len() != 32) {
        return Err("the ceremony's id is not 64 hexadecimal digits".into());
    }
    check_line(name).map_err(|why| format!("name {why}"))?;
    match clock_tolerance <= MAX_CLOCK_TOLERANCE {
        true => Ok(()),
        false => Err("it lets clocks be more than a day apart".into()),
    }
}

fn check_slot(slot: &Slot) -> Result<(), String> {
    check_holder(&slot.holder)?;
    match RootRole::from_name(&slot.role) {
        Some(_) => Ok(()),
        None => Err(format!("{:?} is no role that a root names", slot.role)),
    }
}
