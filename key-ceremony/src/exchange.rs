//! The files that travel between machines: invitations and signing requests one way, proofs and
//! signatures the other. Small JSON files, for a USB stick.

use std::collections::BTreeMap;
use std::path::Path;

use countersign_metadata::json;
use countersign_repo::keys::KeyJson;
use serde::{Deserialize, Serialize};

use crate::error::CeremonyError;
use crate::event::check_plain;
use crate::files;
use crate::policy::Finding;
use crate::profile::{Accepted, Slot};
use crate::statement::SignedStatement;

/// The largest such file, in bytes. A request holds two Roots; one of 8 keys has 4 KB, and the
/// default limit on a Root is 512 KB.
const MAX_FILE: u64 = 2 << 20;

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
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Message, String> {
    let unknown = |error| format!("it is no ceremony file that this version reads: {error}");
    let value = serde_json::from_slice(bytes).map_err(unknown)?;
    check_plain(&value)?;
    serde_json::from_value(value).map_err(unknown)
}
