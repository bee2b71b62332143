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
        let Some(keyids) = distinct(fields.strings("keyids")?)? else {
            return fields.fail("keyids", format!("lists more than {MAX_ROLE_KEYIDS} keys"));
        };
        let threshold = fields.unsigned("threshold", 1)?;
        Ok(Self::new(keyids, at_most_never(threshold)))
    }

    /// Of what stands in a file, if it is right.
    pub(crate) fn of_plain(keyids: Vec<String>, threshold: u64) -> Option<Self> {
        let keyids = distinct(keyids).ok()??;
        (threshold >= 1).then(|| Self::new(keyids, at_most_never(threshold)))
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

/// Each key id once; `None` if there are too many.
fn distinct(texts: Vec<String>) -> Result<Option<Vec<KeyId>>, MetadataError> {
    let mut keyids: Vec<KeyId> = Vec::new();
    for text in texts {
        let id = KeyId::new(text)?;
        if keyids.contains(&id) {
            continue;
        }
        if keyids.len() == MAX_ROLE_KEYIDS {
            return Ok(None);
        }
        keyids.push(id);
    }
    Ok(Some(keyids))
}

/// A threshold beyond any number of keys is a valid way to say "never".
fn at_most_never(threshold: u64) -> u32 {
    u32::try_from(threshold).unwrap_or(u32::MAX)
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
        let mut counted = Counted::default();
        signatures.filter_map(move |(id, is_valid)| {
            let key = self.key(id)?;
            // A key with several ids goes by the first of them.
            let place = self.keys.iter().position(|(_, known)| known == key)?;
            let fresh = !counted.has(place) && is_valid(key);
            fresh.then(|| {
                counted.add(place);
                id
            })
        })
    }
}

/// Which of an authority's keys have signed, by their places: no memory is asked for while signatures are
/// checked, however many there are.
#[derive(Default)]
struct Counted([u64; MAX_ROLE_KEYIDS.div_ceil(u64::BITS as usize)]);

impl Counted {
    /// No file lists more keys than there are places here; beyond them a key counts nothing.
    fn has(&self, place: usize) -> bool {
        let bits = self.0.get(place / 64);
        bits.is_none_or(|bits| bits >> (place % 64) & 1 == 1)
    }

    fn add(&mut self, place: usize) {
        if let Some(bits) = self.0.get_mut(place / 64) {
            *bits |= 1 << (place % 64);
        }
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

#[cfg(test)]
mod tests {
    use std::string::ToString as _;
    use std::vec;

    use ed25519_dalek::{Signer as _, SigningKey};
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::tests::CHECKS;
    use crate::limits::MAX_SIGNATURES;

    const PAYLOAD: &[u8] = b"what is signed";

    fn signer(number: usize) -> SigningKey {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
        SigningKey::from_bytes(&seed)
    }

    fn id(number: usize) -> KeyId {
        KeyId::new(number.to_string()).unwrap()
    }

    /// An authority whose id number `n` names the key number `keys[n]`.
    fn authority(keys: &[usize], threshold: u32) -> Authority {
        let known = keys.iter().enumerate().map(|(number, key)| {
            let point = signer(*key).verifying_key().to_bytes();
            (id(number), PublicKey::Ed25519(point))
        });
        Authority {
            role: "test".into(),
            keys: known.collect(),
            threshold,
        }
    }

    fn entry(number: usize, signature: [u8; 64]) -> SignatureEntry {
        SignatureEntry {
            keyid: id(number),
            signature: Some(signature.to_vec()),
            method: None,
        }
    }

    fn good(number: usize, key: usize) -> SignatureEntry {
        entry(number, signer(key).sign(PAYLOAD).to_bytes())
    }

    fn bad(number: usize) -> SignatureEntry {
        entry(number, [1; 64])
    }

    /// What comes of a check, and how many signatures were checked for it.
    fn count(authority: &Authority, signatures: &[SignatureEntry]) -> (bool, usize) {
        let before = CHECKS.get();
        let met = authority.check(PAYLOAD, signatures).is_ok();
        (met, CHECKS.get() - before)
    }

    #[test]
    fn the_search_stops_when_the_threshold_is_met() {
        let keys: Vec<usize> = (0..100).collect();
        let signatures: Vec<_> = keys.iter().map(|key| good(*key, *key)).collect();
        for threshold in [1, 2, 99, 100] {
            let authority = authority(&keys, threshold);
            assert_eq!(count(&authority, &signatures), (true, threshold as usize));
        }
        assert_eq!(count(&authority(&keys, 101), &signatures), (false, 100));
    }

    #[test]
    fn a_hostile_file_costs_one_check_for_each_id_of_the_role_at_most() {
        let keys: Vec<usize> = (0..3).collect();
        let role = authority(&keys, 2);
        // Signatures of nobody: the limit of an envelope, none of them worth a check.
        let strangers: Vec<_> = (1000..1000 + MAX_SIGNATURES).map(bad).collect();
        assert_eq!(count(&role, &strangers), (false, 0));
        // Bad ones under each id, before the good ones that an envelope has no room for any more.
        let mut signatures: Vec<_> = keys.iter().map(|key| bad(*key)).collect();
        signatures.extend(strangers);
        assert_eq!(count(&role, &signatures), (false, 3));
        // One key under all the ids that a role may have: once it has counted it is not checked again.
        let aliases = vec![5; MAX_ROLE_KEYIDS];
        let signatures: Vec<_> = (0..aliases.len()).map(|number| good(number, 5)).collect();
        assert_eq!(count(&authority(&aliases, 2), &signatures), (false, 1));
        // While it has not counted, each id may hold the signature that counts.
        let mut signatures: Vec<_> = (0..aliases.len()).map(bad).collect();
        signatures.pop();
        signatures.push(good(aliases.len() - 1, 5));
        let (met, checks) = count(&authority(&aliases, 1), &signatures);
        assert_eq!((met, checks), (true, MAX_ROLE_KEYIDS));
    }

    proptest! {
        /// Against the rule in its plainest words: the set of public keys with a valid signature.
        #[test]
        fn as_many_count_as_there_are_unique_keys_that_signed(
            keys in proptest::collection::vec(0_usize..6, 1..12),
            signed in proptest::collection::vec((0_usize..14, any::<bool>()), 0..14),
            threshold in 1_u32..5,
        ) {
            let mut unique: Vec<(usize, bool)> = Vec::new();
            for (number, valid) in signed {
                if unique.iter().all(|(known, _)| *known != number) {
                    unique.push((number, valid));
                }
            }
            let key_of = |number: &usize| keys.get(*number).copied();
            let signatures: Vec<_> = unique
                .iter()
                .map(|(number, valid)| match (valid, key_of(number)) {
                    (true, key) => good(*number, key.unwrap_or(9)),
                    (false, _) => bad(*number),
                })
                .collect();
            let valid: BTreeSet<usize> = unique
                .iter()
                .filter_map(|(number, valid)| valid.then(|| key_of(number)).flatten())
                .collect();
            let authority = authority(&keys, threshold);
            let (met, checks) = count(&authority, &signatures);
            prop_assert_eq!(met, valid.len() >= threshold as usize);
            prop_assert!(checks <= keys.len());
            prop_assert_eq!(authority.tally(PAYLOAD, &signatures).valid.len(), valid.len());
        }
    }
}
