//! Who may sign a role, and the one threshold rule.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::envelope::SignatureEntry;
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::json::Object;
use crate::key::{Key, KeyId, PublicKey};
use crate::limits::MAX_ROLE_KEYIDS;

/// The keys of a role by their ids, and how many of them must sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleKeys {
    /// `keyids`, without repetitions, in the order of the file.
    pub keyids: Vec<KeyId>,
    /// `threshold`, at least 1. May be above the number of keys: then nothing can be signed.
    pub threshold: u32,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

impl RoleKeys {
    /// `threshold` of these keys.
    pub fn new(keyids: impl IntoIterator<Item = KeyId>, threshold: u32) -> Self {
        Self {
            keyids: keyids.into_iter().collect(),
            threshold,
            extra: Object::new(),
        }
    }

    /// Takes `keyids` and `threshold`; what else stands there is the caller's.
    pub(crate) fn take(fields: &mut Fields<'_>) -> Result<Self, MetadataError> {
        let mut keyids: Vec<KeyId> = Vec::new();
        for id in fields.strings("keyids")? {
            let id = KeyId::new(id)?;
            if keyids.contains(&id) {
                continue;
            }
            if keyids.len() == MAX_ROLE_KEYIDS {
                return fields.fail("keyids", format!("lists more than {MAX_ROLE_KEYIDS} keys"));
            }
            keyids.push(id);
        }
        let threshold = fields.unsigned("threshold", 1)?;
        // A threshold beyond any number of keys is a valid way to say "never".
        let threshold = u32::try_from(threshold).unwrap_or(u32::MAX);
        Ok(Self {
            keyids,
            threshold,
            extra: Object::new(),
        })
    }

    pub(crate) fn decode(mut fields: Fields<'_>) -> Result<Self, MetadataError> {
        let role = Self::take(&mut fields)?;
        Ok(Self {
            extra: fields.rest(),
            ..role
        })
    }

    pub(crate) fn to_members(&self) -> Object {
        let keyids = self.keyids.iter().map(|id| id.as_str().into()).collect();
        with(
            &self.extra,
            [("keyids", keyids), ("threshold", self.threshold.into())],
        )
    }
}

/// A named role's keys and threshold: the power to turn [`Signed`](crate::Signed) into
/// [`Verified`](crate::Verified).
#[derive(Debug, Clone)]
pub struct Authority {
    role: String,
    /// By id, each once. A list: a role has a few keys, and maps cost small devices memory, stack and code.
    keys: Vec<(KeyId, PublicKey)>,
    threshold: u32,
}

/// How far a role's signatures are, for people to read. It proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Ids whose signature is valid, each public key once.
    pub valid: Vec<KeyId>,
    /// Ids of usable keys that have not signed validly.
    pub missing: Vec<KeyId>,
    /// Unique keys required.
    pub threshold: u32,
}

impl Tally {
    /// Whether the threshold is reached.
    pub fn is_met(&self) -> bool {
        self.valid.len() >= self.threshold as usize
    }
}

/// Whatever the order of the keys.
impl PartialEq for Authority {
    fn eq(&self, other: &Self) -> bool {
        let mut keys = self.keys.iter();
        (&self.role, self.threshold, self.keys.len())
            == (&other.role, other.threshold, other.keys.len())
            && keys.all(|key| other.keys.contains(key))
    }
}

impl Eq for Authority {}

impl Authority {
    /// States, on the caller's own word, who may sign `role`. A verifier must only call this
    /// with keys out of metadata that authorises the role; `countersign-verifier` does so through
    /// its proof types.
    pub fn assume(
        role: impl Into<String>,
        role_keys: &RoleKeys,
        keys: &BTreeMap<KeyId, Key>,
    ) -> Self {
        let usable = |id: &KeyId| Some((id.clone(), keys.get(id)?.public()?));
        let mut keys: Vec<(KeyId, PublicKey)> = Vec::with_capacity(role_keys.keyids.len());
        for (id, key) in role_keys.keyids.iter().filter_map(usable) {
            if keys.iter().all(|(known, _)| *known != id) {
                keys.push((id, key));
            }
        }
        Self {
            role: role.into(),
            keys,
            // Files with 0 are refused where they are read; this stops a caller's mistake.
            threshold: role_keys.threshold.max(1),
        }
    }

    /// The role's name.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Unique keys that must sign.
    pub fn threshold(&self) -> u32 {
        self.threshold
    }

    /// The usable keys by their ids; one key may have several.
    pub fn keys(&self) -> impl Iterator<Item = (&KeyId, &PublicKey)> {
        self.keys.iter().map(|(id, key)| (id, key))
    }

    /// The unique public keys, for comparing two authorities.
    pub fn public_keys(&self) -> BTreeSet<&PublicKey> {
        self.keys.iter().map(|(_, key)| key).collect()
    }

    /// Which keys have signed `payload`.
    pub fn tally(&self, payload: &[u8], signatures: &[SignatureEntry]) -> Tally {
        let valid: Vec<KeyId> = self
            .valid_keys(of_payload(payload, signatures))
            .cloned()
            .collect();
        let counted: BTreeSet<&PublicKey> = valid.iter().filter_map(|id| self.key(id)).collect();
        let missing = self.keys.iter().filter(|(_, key)| !counted.contains(key));
        let mut missing: Vec<KeyId> = missing.map(|(id, _)| id.clone()).collect();
        missing.sort();
        Tally {
            valid,
            missing,
            threshold: self.threshold,
        }
    }

    /// The key with this id, if it is one of the role's and usable.
    pub(crate) fn key(&self, id: &KeyId) -> Option<&PublicKey> {
        let mut keys = self.keys.iter();
        keys.find(|(known, _)| known == id).map(|(_, key)| key)
    }

    /// As [`Authority::check_all`], over a payload that is all there.
    pub(crate) fn check(
        &self,
        payload: &[u8],
        signatures: &[SignatureEntry],
    ) -> Result<(), MetadataError> {
        self.check_all(of_payload(payload, signatures))
    }

    /// The threshold rule: enough unique public keys, whatever their ids, signed. Each signature comes
    /// with the id it stands under, and is asked whether it is valid under the key of that id.
    pub(crate) fn check_all<'a, V>(
        &'a self,
        signatures: impl Iterator<Item = (&'a KeyId, V)>,
    ) -> Result<(), MetadataError>
    where
        V: FnOnce(&PublicKey) -> bool,
    {
        let valid = self
            .valid_keys(signatures)
            .take(self.threshold as usize)
            .count();
        match valid == self.threshold as usize {
            true => Ok(()),
            false => Err(MetadataError::SignatureThreshold {
                role: self.role.clone(),
                valid,
                threshold: self.threshold,
            }),
        }
    }

    /// One id for each unique public key with a valid signature, checked one by one as they are
    /// asked for. A signature counts if its id is listed for the role AND it verifies under that
    /// entry's key; everything else counts nothing and is not an error.
    fn valid_keys<'a, V>(
        &'a self,
        signatures: impl Iterator<Item = (&'a KeyId, V)>,
    ) -> impl Iterator<Item = &'a KeyId>
    where
        V: FnOnce(&PublicKey) -> bool,
    {
        let mut counted: Vec<&PublicKey> = Vec::new();
        signatures.filter_map(move |(id, is_valid)| {
            let key = self.key(id)?;
            let fresh = !counted.contains(&key) && is_valid(key);
            fresh.then(|| {
                counted.push(key);
                id
            })
        })
    }
}

/// The signatures on a payload. One that states another method than its key's counts nothing.
fn of_payload<'a>(
    payload: &'a [u8],
    signatures: &'a [SignatureEntry],
) -> impl Iterator<Item = (&'a KeyId, impl FnOnce(&PublicKey) -> bool)> {
    signatures.iter().map(move |entry| {
        let is_valid = move |key: &PublicKey| {
            let scheme = key.scheme().name();
            let stated = entry.method.as_ref().is_none_or(|method| method == scheme);
            let signature = entry.signature.as_deref().filter(|_| stated);
            signature.is_some_and(|signature| key.verify(payload, signature))
        };
        (&entry.keyid, is_valid)
    })
}
