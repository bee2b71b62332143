//! What participants put their keys to, besides the Root itself.
//!
//! A statement is signed with the very key that it is about. The signed bytes are a line of text
//! that no role file can begin with, and the statement's canonical JSON, so that a statement can
//! never be mistaken for metadata, nor one kind of statement for another.

use countersign_metadata::{PublicKey, canonical, json};
use countersign_repo::keys::KeyJson;
use countersign_signing::{Custody, Home, SignError, Signer, Weakness};
use serde::{Deserialize, Serialize};

use crate::profile::{Accepted, MAX_LINE, Slot};

/// The first line of what is signed.
const CONTEXT: &str = "Countersign key ceremony, statement 1\n";

/// What somebody states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Statement {
    /// "I hold this key, and this is how it is kept."
    Possession {
        /// The ceremony's id.
        ceremony: String,
        /// Role and holder.
        slot: Slot,
        /// The key.
        key: KeyJson,
        /// Where the private half lives.
        custody: CustodyFacts,
        /// What of the policy the holder overrides, and why.
        accepted: Vec<Accepted>,
        /// The holder's clock.
        time: String,
    },
    /// "I have read the review and signed this Root."
    RootSignature {
        /// The ceremony's id.
        ceremony: String,
        /// SHA-256 of the transcript's line with the review.
        review: String,
        /// SHA-256 of the Root's payload.
        payload: String,
        /// The id of the key that signed.
        keyid: String,
        /// The holder's clock.
        time: String,
    },
    /// "This is the transcript of what happened."
    Seal {
        /// The ceremony's id.
        ceremony: String,
        /// SHA-256 of the transcript's last line before the seal.
        transcript: String,
        /// SHA-256 of the new Root file.
        root: String,
        /// The id of the key that signs the seal.
        keyid: String,
        /// The participant's clock.
        time: String,
    },
}

/// [`Custody`] as the transcript keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustodyFacts {
    /// `file`, `token` or `yubihsm`.
    pub kind: String,
    /// Which one, in words.
    pub home: String,
    /// What may let the key exist elsewhere, by name.
    pub weaknesses: Vec<String>,
    /// Whether the key was proved on a machine where the variable `CI` is set.
    pub in_ci: bool,
}

/// A statement with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedStatement {
    /// What is stated.
    pub statement: Statement,
    /// The signature, in hexadecimal.
    pub sig: String,
}

impl CustodyFacts {
    /// Of a key that was opened on this machine.
    pub fn new(custody: &Custody, in_ci: bool) -> Self {
        let kind = match custody.home {
            Home::File(_) => "file",
            Home::YubiHsm { .. } => "yubihsm",
            _ => "token",
        };
        let names = custody
            .weaknesses()
            .into_iter()
            .map(|weak| weak.name().to_owned());
        Self {
            kind: kind.into(),
            home: one_line(&custody.home),
            weaknesses: names.collect(),
            in_ci,
        }
    }

    /// Whether it is what this software would state of some key.
    pub(crate) fn check(&self) -> Result<(), String> {
        let known = [
            Weakness::InFile,
            Weakness::Extractable,
            Weakness::NotSensitive,
            Weakness::Imported,
        ];
        let has = |kind: Weakness| self.weaknesses.iter().any(|name| name == kind.name());
        let named = |name: &String| known.iter().any(|kind| kind.name() == name);
        let fits = match self.kind.as_str() {
            "file" => has(Weakness::InFile),
            "token" | "yubihsm" => !has(Weakness::InFile),
            _ => false,
        };
        match fits && self.weaknesses.iter().all(named) {
            true => Ok(()),
            false => Err(format!(
                "it says that the key is kept in {:?} and is {:?}, which contradicts itself",
                self.kind, self.weaknesses
            )),
        }
    }
}

/// Labels of tokens may have runs of spaces, and paths of files any length, which no text that
/// travels has. Of a long one the end tells more.
fn one_line(home: &Home) -> String {
    let text = home.to_string();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut start = text.len().saturating_sub(MAX_LINE - "...".len());
    while !text.is_char_boundary(start) {
        start += 1;
    }
    match text.len() > MAX_LINE {
        true => format!("...{}", text[start..].trim_start()),
        false => text,
    }
}

impl Statement {
    /// Signs it.
    ///
    /// # Errors
    /// [`SignError`]
    pub fn sign(self, signer: &dyn Signer) -> Result<SignedStatement, SignError> {
        let sig = hex::encode(signer.sign(&self.bytes())?);
        let statement = self;
        Ok(SignedStatement { statement, sig })
    }

    /// The id of the ceremony that it belongs to.
    pub fn ceremony(&self) -> &str {
        match self {
            Self::Possession { ceremony, .. }
            | Self::RootSignature { ceremony, .. }
            | Self::Seal { ceremony, .. } => ceremony,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        format!("{CONTEXT}{}", canonical_json(self)).into_bytes()
    }
}

impl SignedStatement {
    /// Whether `key` signed it.
    pub fn holds(&self, key: &PublicKey) -> bool {
        decode_hex(&self.sig).is_some_and(|sig| key.verify(&self.statement.bytes(), &sig))
    }
}

/// Bytes out of hexadecimal in small letters: any other spelling of the same bytes would be a
/// change that no signature shows.
pub(crate) fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let bytes = hex::decode(text).ok()?;
    (hex::encode(&bytes) == text).then_some(bytes)
}

/// The canonical JSON of anything made of objects, arrays, strings, integers and booleans, on one
/// line.
pub(crate) fn canonical_json(value: &impl Serialize) -> String {
    // Our own types serialise, and what serde_json writes is JSON.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let value = json::parse(&text).unwrap_or(json::Value::Null);
    canonical::to_json(&canonical::encode(&value))
}
