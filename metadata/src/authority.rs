//! Who may sign a role, and the one threshold rule.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::envelope::SignatureEntry;
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::json::{Object, Value};
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
    pub(crate) fn take(fields: &mut Fields) -> Result<Self, MetadataError> {
        let mut keyids: Vec<KeyId> = Vec::new();
        let mut seen = BTreeSet::new();
        for id in fields.strings("keyids")? {
            let id = KeyId::new(id)?;
            if seen.insert(id.clone()) {
                keyids.push(id);
            }
        }
        if keyids.len() > MAX_ROLE_KEYIDS {
            return fields.fail("keyids", format!("lists more than {MAX_ROLE_KEYIDS} keys"));
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

    pub(crate) fn decode(path: &str, value: Value) -> Result<Self, MetadataError> {
        let mut fields = Fields::of(path, value)?;
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    role: String,
    keys: BTreeMap<KeyId, PublicKey>,
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
        Self {
            role: role.into(),
            keys: role_keys.keyids.iter().filter_map(usable).collect(),
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

    /// The unique public keys, for comparing two authorities.
    pub fn public_keys(&self) -> BTreeSet<&PublicKey> {
        self.keys.values().collect()
    }

    /// Which keys have signed `payload`.
    pub fn tally(&self, payload: &[u8], signatures: &[SignatureEntry]) -> Tally {
        let valid: Vec<KeyId> = self.valid_keys(payload, signatures).cloned().collect();
        let counted: BTreeSet<&PublicKey> =
            valid.iter().filter_map(|id| self.keys.get(id)).collect();
        let missing = self.keys.iter().filter(|(_, key)| !counted.contains(key));
        let missing = missing.map(|(id, _)| id.clone()).collect();
        Tally {
            valid,
            missing,
            threshold: self.threshold,
        }
    }

    /// The threshold rule: enough unique public keys, whatever their ids, signed `payload`.
    pub(crate) fn check(
        &self,
        payload: &[u8],
        signatures: &[SignatureEntry],
    ) -> Result<(), MetadataError> {
        let valid = self
            .valid_keys(payload, signatures)
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
    fn valid_keys<'a>(
        &'a self,
        payload: &'a [u8],
        signatures: &'a [SignatureEntry],
    ) -> impl Iterator<Item = &'a KeyId> {
        let mut counted = BTreeSet::new();
        signatures.iter().filter_map(move |entry| {
            let key = self.keys.get(&entry.keyid)?;
            let signature = entry.signature.as_ref()?;
            let scheme = key.scheme().name();
            let stated = entry.method.as_ref().is_none_or(|method| method == scheme);
            let fresh = stated && !counted.contains(key) && key.verify(payload, signature);
            (fresh && counted.insert(key)).then_some(&entry.keyid)
        })
    }
}
