//! The next Root out of the one before, a profile, and the keys that were proved.

use std::collections::{BTreeMap, BTreeSet};

use countersign_metadata::{
    Key, KeyId, PublicKey, Role as _, RoleType, Root, Signed, UtcTime, Verified,
};
use countersign_signing::Algorithm;

use crate::error::CeremonyError;
use crate::profile::{Entries, KeyProfile, Profile, Slot};
use crate::root_role::{Listed, RootRole, follow_further, name_further};

/// Takes the Root before on the word of whoever brought it: it must be signed by its own
/// threshold.
pub(crate) fn accept_previous(bytes: Vec<u8>) -> Result<Verified<Root>, CeremonyError> {
    Signed::<Root>::parse(bytes)
        .and_then(Signed::verify_by_itself)
        .map_err(|error| {
            CeremonyError::Refused(format!("the previous root is not usable: {error}"))
        })
}

/// Whether every key that the profile takes over stands in the Root before.
pub(crate) fn check_profile_fits(
    profile: &Profile,
    previous: Option<&Root>,
) -> Result<(), CeremonyError> {
    if let Some(previous) = previous
        && previous.consistent_snapshot != profile.consistent_snapshot
    {
        return Err(CeremonyError::Refused(format!(
            "the profile says consistent_snapshot = {}, the previous root says {}; a repository \
             cannot change over, because clients in between would ask for files under the other \
             names",
            profile.consistent_snapshot, previous.consistent_snapshot
        )));
    }
    for (role, _, entry) in profile.slots() {
        if let Some(id) = &entry.keyid {
            kept(previous, role, id, entry)?;
        }
    }
    for (role, entries) in profile.all_entries() {
        check_retired(role, entries, previous)?;
    }
    let mut old = BTreeSet::new();
    let root = &profile.roles.root;
    for entry in root.keys.iter().chain(&root.outgoing) {
        if let Some(id) = &entry.keyid {
            old.insert(kept(previous, RoleType::Root.into(), id, entry)?);
        }
    }
    check_way_over(previous, old.len())
}

/// Whether keys that are to be gone are known, and are not asked for anything at the same time.
fn check_retired(
    role: RootRole,
    entries: Entries<'_>,
    previous: Option<&Root>,
) -> Result<(), CeremonyError> {
    for entry in entries.retired {
        let id = entry.resolve(previous, role)?;
        let mut others = entries.keys.iter().chain(entries.outgoing);
        let same = |other: &&KeyProfile| {
            other.keyid.is_some() && other.resolve(previous, role).is_ok_and(|other| other == id)
        };
        if let Some(other) = others.find(same) {
            return Err(CeremonyError::Refused(format!(
                "roles.{role}: the key of {} is listed as retired, and as one of {} that stays or \
                 still signs; take it out of one of the lists",
                entry.holder, other.holder
            )));
        }
    }
    Ok(())
}

impl KeyProfile {
    /// The id of the key of the previous Root that the entry names by its beginning.
    pub(crate) fn resolve(
        &self,
        previous: Option<&Root>,
        role: RootRole,
    ) -> Result<KeyId, CeremonyError> {
        kept(
            previous,
            role,
            self.keyid.as_deref().unwrap_or_default(),
            self,
        )
    }
}

/// Whether enough keys of the Root before take part: without its threshold no client follows
/// (TUF 5.3.4).
fn check_way_over(previous: Option<&Root>, old: usize) -> Result<(), CeremonyError> {
    let role = previous.and_then(|root| root.roles.get(&RoleType::Root));
    let threshold = role.map_or(0, |role| role.threshold);
    match old >= threshold as usize {
        true => Ok(()),
        false => Err(CeremonyError::ChainEnds {
            threshold,
            present: old,
        }),
    }
}

/// The keys that stay, with their places.
pub(crate) fn kept_keys(profile: &Profile, previous: &Root) -> Vec<(Slot, PublicKey)> {
    let keys = profile.slots().filter_map(|(role, slot, entry)| {
        let id = kept(Some(previous), role, entry.keyid.as_deref()?, entry).ok()?;
        Some((slot, role.listed_in(previous)?.keys.get(&id)?.public()?))
    });
    keys.collect()
}

/// Whether a proved key is of the kind that the profile asked for.
pub(crate) fn check_algorithm(
    slot: &Slot,
    wanted: &str,
    key: &PublicKey,
) -> Result<(), CeremonyError> {
    let wanted: Algorithm = wanted
        .parse()
        .map_err(|error| CeremonyError::Refused(format!("{error}")))?;
    let fits = match (wanted, key) {
        (Algorithm::Ed25519, PublicKey::Ed25519(_))
        | (Algorithm::EcdsaP256, PublicKey::EcdsaP256(_))
        | (Algorithm::EcdsaP384, PublicKey::EcdsaP384(_)) => true,
        (Algorithm::Rsa(bits), PublicKey::Rsa { modulus, .. }) => {
            modulus.len() * 8 == bits.get() as usize
        }
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err(CeremonyError::Refused(format!(
            "the profile asks {slot} for a key of type {}, but the key is of type {}; make the key \
             that was agreed on, or plan again",
            wanted.name(),
            key.scheme().name()
        ))),
    }
}

/// Builds the next Root: what the Root before says is kept, except for roles, keys, version and
/// expiry.
pub(crate) fn build(
    profile: &Profile,
    previous: Option<&Root>,
    proved: &BTreeMap<Slot, PublicKey>,
    now: UtcTime,
) -> Result<Root, CeremonyError> {
    let expires = profile.roles.root.expires.after(now);
    let mut root = match previous {
        Some(previous) => previous.next(expires),
        None => Root::new(expires, profile.consistent_snapshot),
    };
    let mut further = BTreeMap::new();
    for (role, entries) in profile.all_entries() {
        let keys = wanted(role, entries, previous, proved)?;
        match role {
            RootRole::Top(kind) => list(&mut root, kind, entries.threshold, keys),
            role => {
                let before = previous.and_then(|root| role.listed_in(root));
                further.insert(role, listed_anew(before, entries.threshold, keys));
            }
        }
    }
    name_further(&mut root, further);
    // Two entries for one key (TUF counts it once) would make the threshold a lie.
    for (role, entries) in profile.all_entries() {
        if role.authority(&root).public_keys().len() < entries.keys.len() {
            return Err(CeremonyError::Refused(format!(
                "two entries of {role} are one and the same key; each holder has a key of their own"
            )));
        }
    }
    Ok(root)
}

/// The ids of a role's keys, with those keys that are new.
type Wanted = Vec<(KeyId, Option<Key>)>;

fn wanted(
    role: RootRole,
    entries: Entries<'_>,
    previous: Option<&Root>,
    proved: &BTreeMap<Slot, PublicKey>,
) -> Result<Wanted, CeremonyError> {
    let key = |entry: &KeyProfile| {
        let slot = Slot::new(role, &entry.holder);
        match (&entry.keyid, proved.get(&slot)) {
            (Some(id), _) => Ok((kept(previous, role, id, entry)?, None)),
            (None, Some(key)) => {
                let key = Key::new(key);
                Ok((key.id(), Some(key)))
            }
            (None, None) => {
                let why = format!("{slot} has not proved a key");
                Err(CeremonyError::Refused(why))
            }
        }
    };
    entries.keys.iter().map(key).collect()
}

/// Lets a Root list these keys for a top-level role, and no others.
fn list(root: &mut Root, role: RoleType, threshold: u32, wanted: Wanted) {
    let ids: Vec<KeyId> = wanted.iter().map(|(id, _)| id.clone()).collect();
    for key in wanted.into_iter().filter_map(|(_, key)| key) {
        root.add_key(role, key);
    }
    let listed = root.roles.get(&role).map(|role| role.keyids.clone());
    for id in listed.unwrap_or_default() {
        if !ids.contains(&id) {
            root.remove_key(role, &id);
        }
    }
    if let Some(keys) = root.roles.get_mut(&role) {
        keys.threshold = threshold;
    }
}

/// A further role with these keys: those that stay as they were, then the new ones.
fn listed_anew(before: Option<Listed>, threshold: u32, wanted: Wanted) -> Listed {
    let mut listed = before.unwrap_or_else(Listed::nobody);
    let stays = |id: &KeyId| wanted.iter().any(|(wanted, _)| wanted == id);
    listed.role.keyids.retain(stays);
    listed.keys.retain(|id, _| stays(id));
    for (id, key) in wanted {
        if let (false, Some(key)) = (listed.role.keyids.contains(&id), key) {
            listed.role.keyids.push(id.clone());
            listed.keys.insert(id, key);
        }
    }
    listed.role.threshold = threshold;
    listed
}

/// Whether `next` differs from the Root before in nothing but what a [`Diff`](crate::review::Diff)
/// shows and a ceremony can make: versions, expiry, thresholds, and keys of its roles. Who
/// signs it would otherwise sign what nobody showed them.
pub(crate) fn check_nothing_hidden(previous: Option<&Root>, next: &Root) -> Result<(), String> {
    let expires = next.expires();
    let mut shown = match previous {
        Some(previous) => previous.next(expires),
        None => Root::new(expires, next.consistent_snapshot),
    };
    let known = std::mem::take(&mut shown.keys);
    let old: BTreeSet<KeyId> = listed(&shown).cloned().collect();
    for (role, keys) in &mut shown.roles {
        if let Some(new) = next.roles.get(role) {
            keys.keyids.clone_from(&new.keyids);
            keys.threshold = new.threshold;
        }
    }
    let unlisted = known.keys().filter(|id| !old.contains(*id));
    let ids: BTreeSet<KeyId> = listed(&shown).chain(unlisted).cloned().collect();
    for id in ids {
        let entry = known.get(&id).cloned().or_else(|| {
            let made = Key::new(&next.keys.get(&id)?.public()?);
            (made.id() == id).then_some(made)
        });
        shown.keys.extend(entry.map(|entry| (id, entry)));
    }
    follow_further(&mut shown, next);
    match shown.to_payload() == next.to_payload() {
        true => Ok(()),
        false => Err(
            "it changes more of the root than can be shown: fields or roles that a \
                      ceremony does not make, keys that no role lists, or keys under false ids; \
                      do not sign it"
                .into(),
        ),
    }
}

fn listed(root: &Root) -> impl Iterator<Item = &KeyId> {
    root.roles.values().flat_map(|role| &role.keyids)
}

/// The id of a key of the Root before, given by its beginning.
fn kept(
    previous: Option<&Root>,
    role: RootRole,
    start: &str,
    entry: &KeyProfile,
) -> Result<KeyId, CeremonyError> {
    let listed = previous.and_then(|root| role.listed_in(root));
    let ids = listed.map(|listed| listed.role.keyids).unwrap_or_default();
    let mut found = ids.into_iter().filter(|id| id.as_str().starts_with(start));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (first, _) => Err(CeremonyError::Refused(format!(
            "the profile says that {}'s key {start} of {role} is in the previous root, but {}",
            entry.holder,
            match (previous, first) {
                (None, _) =>
                    "there is no previous root; name it with --previous, or leave keyid out",
                (_, Some(_)) => "several keys begin like that; write more of the id",
                (_, None) => "it lists no such key for that role",
            }
        ))),
    }
}
