//! Signing on another machine: a request travels there, signatures come back.
//!
//! Both are small JSON files. A request holds the exact payloads, so the other machine needs no
//! repository; it decodes them and shows what they say before it signs. Signatures are only taken
//! in after they verified over what is staged now.

use std::collections::BTreeMap;
use std::path::Path;

use countersign_metadata::{
    KeyId, PublicKey, Role, RoleType, Root, Signed, Snapshot, Targets, Timestamp, Unsigned,
    UtcTime, sha256,
};
use countersign_signing::Secrets;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::error::RepoError;
use crate::files;
use crate::keys::{KeyJson, parse_uri};
use crate::repository::Repository;
use crate::requirements::Outgoing;

const REQUEST: &str = "countersign-signing-request-1";
const SIGNATURES: &str = "countersign-signatures-1";

/// What is to be signed elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    format: String,
    /// One entry for each staged file that lacks signatures.
    pub payloads: Vec<RequestedPayload>,
}

/// One payload to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedPayload {
    /// The role.
    pub role: String,
    /// The canonical payload; its UTF-8 bytes are what is signed.
    pub payload: String,
    /// Keys that can still sign, by their ids in the metadata.
    pub keys: BTreeMap<String, KeyJson>,
}

/// What a payload says, for people to read before they sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PayloadSummary {
    /// The role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When it expires.
    pub expires: String,
    /// SHA-256 of the payload, to be compared by telephone.
    pub sha256: String,
}

/// Signatures made elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signatures {
    format: String,
    /// The signatures.
    pub signatures: Vec<MadeSignature>,
}

/// One signature made elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeSignature {
    /// The role.
    pub role: String,
    /// SHA-256 of the payload that was signed, in hexadecimal.
    pub payload_sha256: String,
    /// The key's id in the metadata.
    pub keyid: String,
    /// The signature, in hexadecimal.
    pub sig: String,
}

impl Repository {
    /// What other machines have to sign: every staged file that is not complete, or only `roles`.
    ///
    /// # Errors
    /// [`RepoError::NotStaged`] for a role that is not staged.
    pub fn request(&mut self, roles: &[String]) -> Result<Request, RepoError> {
        self.check_not_overtaken()?;
        self.restage()?;
        let requirements = self.requirements(Outgoing::Sign)?;
        let staged = self.drafts.roles()?;
        if let Some(role) = roles.iter().find(|role| !staged.contains(role)) {
            return Err(RepoError::NotStaged { role: role.clone() });
        }
        let mut payloads = Vec::new();
        for role in staged {
            if !roles.is_empty() && !roles.contains(&role) {
                continue;
            }
            let Some(file) = self.drafts.signed::<Targets>(&role)? else {
                continue;
            };
            let mut keys = BTreeMap::new();
            for needed in requirements.of(&role)? {
                let tally = needed.tally(&file);
                if tally.is_met() {
                    continue;
                }
                for id in tally.missing {
                    if let Some(key) = needed.keys.get(&id) {
                        keys.insert(id.as_str().to_owned(), KeyJson::new(key));
                    }
                }
            }
            if !keys.is_empty() {
                payloads.push(RequestedPayload {
                    role,
                    payload: file.payload().to_string(),
                    keys,
                });
            }
        }
        Ok(Request {
            format: REQUEST.into(),
            payloads,
        })
    }

    /// Joins signatures made elsewhere to what is staged. Returns the roles and keys they are of.
    ///
    /// # Errors
    /// [`RepoError::Exchange`] when one is not over what is staged now, not of a key that is
    /// asked for, or wrong. Then none is taken.
    pub fn attach(
        &mut self,
        signatures: &Signatures,
        path: &Path,
    ) -> Result<Vec<(String, KeyId)>, RepoError> {
        let fail = |what: String| RepoError::Exchange {
            path: path.into(),
            what,
        };
        let requirements = self.requirements(Outgoing::Sign)?;
        let mut by_role: BTreeMap<&str, Vec<(KeyId, Vec<u8>)>> = BTreeMap::new();
        for made in &signatures.signatures {
            let role = made.role.as_str();
            let Some(file) = self.drafts.signed::<Targets>(role)? else {
                return Err(RepoError::NotStaged { role: role.into() });
            };
            let payload = file.payload().as_bytes();
            if hex::encode(sha256(payload)) != made.payload_sha256 {
                return Err(fail(format!(
                    "the signature for {role} is over something else than what is staged now; \
                     make a new request"
                )));
            }
            let keyid = KeyId::new(made.keyid.as_str()).map_err(|error| fail(error.to_string()))?;
            let signature = hex::decode(&made.sig)
                .map_err(|_| fail(format!("the signature for {role} is not hexadecimal")))?;
            let needed = requirements.of(role)?;
            let key = needed.iter().find_map(|needed| needed.keys.get(&keyid));
            match key {
                None => return Err(fail(format!("key {keyid} may not sign {role}"))),
                Some(key) if !key.verify(payload, &signature) => {
                    return Err(fail(format!(
                        "the signature for {role} by key {keyid} is wrong"
                    )));
                }
                Some(_) => by_role.entry(role).or_default().push((keyid, signature)),
            }
        }
        let mut attached = Vec::new();
        let mut batch = Batch::new(self.home.unfinished());
        for (role, made) in by_role {
            attached.extend(made.iter().map(|(id, _)| (role.to_owned(), id.clone())));
            self.drafts.add_signatures(&mut batch, role, made)?;
        }
        batch.finish()?;
        Ok(attached)
    }
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// [`RepoError::Exchange`]
    pub fn read(path: &Path) -> Result<Self, RepoError> {
        let request: Self = read(path, "signing request")?;
        match request.format == REQUEST {
            true => Ok(request),
            false => Err(wrong_format(path, REQUEST)),
        }
    }

    /// As a file.
    pub fn to_file(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// What its payloads say.
    ///
    /// # Errors
    /// [`RepoError::Exchange`] for a payload that is not one of its role: it is not signed.
    pub fn summaries(&self, path: &Path) -> Result<Vec<PayloadSummary>, RepoError> {
        self.payloads
            .iter()
            .map(|payload| {
                payload.summary().map_err(|error| RepoError::Exchange {
                    path: path.into(),
                    what: format!(
                        "what it asks to sign for {} is not that: {error}",
                        payload.role
                    ),
                })
            })
            .collect()
    }

    /// Signs all payloads with the keys of `uris`, each where it is asked for.
    ///
    /// # Errors
    /// [`RepoError::Exchange`] as [`Request::summaries`], or when a key is asked for nowhere;
    /// [`RepoError::Key`].
    pub fn sign(
        &self,
        path: &Path,
        uris: &[String],
        secrets: &Secrets,
    ) -> Result<Signatures, RepoError> {
        self.summaries(path)?;
        let mut signatures = Vec::new();
        for text in uris {
            let uri = parse_uri(text)?;
            let key_error = |source| RepoError::Key {
                uri: uri.to_string(),
                source,
            };
            let signer = countersign_signing::open(&uri, secrets).map_err(key_error)?;
            let before = signatures.len();
            for requested in &self.payloads {
                let Some(keyid) = requested.keyid_of(signer.public_key()) else {
                    continue;
                };
                let payload = requested.payload.as_bytes();
                signatures.push(MadeSignature {
                    role: requested.role.clone(),
                    payload_sha256: hex::encode(sha256(payload)),
                    keyid: keyid.clone(),
                    sig: hex::encode(signer.sign(payload).map_err(key_error)?),
                });
            }
            if signatures.len() == before {
                return Err(RepoError::Exchange {
                    path: path.into(),
                    what: format!("nothing in it is to be signed by {uri}"),
                });
            }
        }
        Ok(Signatures {
            format: SIGNATURES.into(),
            signatures,
        })
    }
}

impl RequestedPayload {
    fn keyid_of(&self, key: &PublicKey) -> Option<&String> {
        let mut keys = self.keys.iter();
        keys.find(|(_, json)| json.public().as_ref() == Some(key))
            .map(|(id, _)| id)
    }

    fn summary(&self) -> Result<PayloadSummary, countersign_metadata::MetadataError> {
        let (version, expires) = match RoleType::from_name(&self.role) {
            Some(RoleType::Root) => self.header::<Root>()?,
            Some(RoleType::Timestamp) => self.header::<Timestamp>()?,
            Some(RoleType::Snapshot) => self.header::<Snapshot>()?,
            _ => self.header::<Targets>()?,
        };
        Ok(PayloadSummary {
            role: self.role.clone(),
            version,
            expires: expires.to_string(),
            sha256: hex::encode(sha256(self.payload.as_bytes())),
        })
    }

    /// Decodes the payload; it must be in canonical form, or what is shown is not what is signed.
    fn header<T: Role>(&self) -> Result<(u64, UtcTime), countersign_metadata::MetadataError> {
        let file = Unsigned::new(self.payload.clone()).to_file();
        let signed = Signed::<T>::parse(file)?;
        if **signed.payload() != self.payload {
            return Err(countersign_metadata::MetadataError::Field {
                field: "payload".into(),
                what: "is not in canonical form".into(),
            });
        }
        let content = signed.decode_unverified()?;
        Ok((content.version(), content.expires()))
    }
}

impl Signatures {
    /// Reads signatures.
    ///
    /// # Errors
    /// [`RepoError::Exchange`]
    pub fn read(path: &Path) -> Result<Self, RepoError> {
        let signatures: Self = read(path, "file of signatures")?;
        match signatures.format == SIGNATURES {
            true => Ok(signatures),
            false => Err(wrong_format(path, SIGNATURES)),
        }
    }

    /// As a file.
    pub fn to_file(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

fn wrong_format(path: &Path, format: &str) -> RepoError {
    RepoError::Exchange {
        path: path.into(),
        what: format!("its format is not {format:?}, which is what this version reads"),
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path, kind: &str) -> Result<T, RepoError> {
    let fail = |what: String| RepoError::Exchange {
        path: path.into(),
        what,
    };
    let missing = || RepoError::io("read", path, std::io::ErrorKind::NotFound.into());
    let text = files::read(path)?.ok_or_else(missing)?;
    serde_json::from_slice(&text).map_err(|error| fail(format!("not a {kind}: {error}")))
}
