//! The profile of the next ceremony, out of the last one and what is to change.

use countersign_metadata::{Key, KeyId, RoleType};

use crate::ceremony::{Ceremony, Phase};
use crate::error::CeremonyError;
use crate::profile::{KeyProfile, Profile, Slot};
use crate::root_role::{Listed, RootRole};

/// Why keys are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// As planned: old keys can sign the way over.
    Scheduled,
    /// The key is gone, and cannot sign any more.
    Lost,
    /// Somebody else may have it.
    Compromised,
}

/// What is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Why.
    pub why: Why,
    /// Keys that leave.
    pub remove: Vec<Slot>,
    /// Keys that come, with their URIs. One in a place that is taken replaces the key there.
    pub add: Vec<(Slot, Option<String>)>,
    /// Who new holders are, in words.
    pub holders: Vec<(String, String)>,
    /// Other thresholds, by role.
    pub thresholds: Thresholds,
    /// The algorithm of the new keys; the one of the role's other keys if not said.
    pub algorithm: Option<String>,
}

/// Other thresholds, by role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thresholds(Vec<(RootRole, u32)>);

impl<R: Into<RootRole>> FromIterator<(R, u32)> for Thresholds {
    fn from_iter<I: IntoIterator<Item = (R, u32)>>(thresholds: I) -> Self {
        let thresholds = thresholds.into_iter();
        Self(
            thresholds
                .map(|(role, number)| (role.into(), number))
                .collect(),
        )
    }
}

/// `ROLE/HOLDER`
///
/// # Errors
/// [`CeremonyError::Usage`]
pub fn parse_slot(text: &str) -> Result<Slot, CeremonyError> {
    match text.split_once('/') {
        Some((role, holder)) if RootRole::from_name(role).is_some() && !holder.is_empty() => {
            Ok(Slot {
                role: role.into(),
                holder: holder.into(),
            })
        }
        _ => Err(CeremonyError::Usage(format!(
            "{text:?} names no key; write ROLE/HOLDER, for example root/anna"
        ))),
    }
}

/// The profile of a rotation that follows the sealed ceremony `last`.
///
/// # Errors
/// [`CeremonyError::Phase`] if it is not sealed, [`CeremonyError::Usage`] for a key that is not
/// there.
pub fn next_profile(last: &Ceremony, rotation: &Rotation) -> Result<Profile, CeremonyError> {
    if last.phase() != Phase::Sealed {
        return Err(last.wrong_phase("only a sealed ceremony can be followed by a rotation"));
    }
    let mut next = last.profile().clone();
    next.policy.accept.clear();
    for (holder, who) in &rotation.holders {
        next.holders.insert(holder.clone(), who.clone());
    }
    let mut remove = rotation.remove.clone();
    for slot in &remove {
        if !last.profile().slots().any(|(_, known, _)| known == *slot) {
            return Err(CeremonyError::Usage(format!(
                "the last ceremony has no key of {slot}"
            )));
        }
    }
    let taken = |slot: &&(Slot, Option<String>)| {
        last.profile().slots().any(|(_, known, _)| known == slot.0)
    };
    remove.extend(
        rotation
            .add
            .iter()
            .filter(taken)
            .map(|(slot, _)| slot.clone()),
    );
    for role in RootRole::all() {
        rotate_role(last, &mut next, role, &remove, rotation)?;
    }
    for (role, threshold) in &rotation.thresholds.0 {
        let entries = next.entries_mut(*role);
        *entries.ok_or_else(|| no_such_role(*role))?.threshold = *threshold;
    }
    let used = next.all_entries().flat_map(|(_, entries)| entries.all());
    let used: Vec<String> = used.map(|key| key.holder.clone()).collect();
    next.holders.retain(|holder, _| used.contains(holder));
    for holder in &used {
        if !next.holders.contains_key(holder) {
            next.holders.insert(holder.clone(), String::new());
        }
    }
    Ok(next)
}

fn rotate_role(
    last: &Ceremony,
    next: &mut Profile,
    role: RootRole,
    remove: &[Slot],
    rotation: &Rotation,
) -> Result<(), CeremonyError> {
    let (mut keys, mut outgoing, mut retired) = (Vec::new(), Vec::new(), Vec::new());
    let coming = rotation.add.iter();
    let mut coming = coming
        .filter(|(slot, _)| slot.role == role.name())
        .peekable();
    let Some(old) = last.profile().entries(role) else {
        return match coming.peek() {
            Some(_) => Err(no_such_role(role)),
            None => Ok(()),
        };
    };
    let algorithm = old.keys.iter().find_map(|key| key.algorithm.clone());
    let is_root = role == RootRole::Top(RoleType::Root);
    for entry in old.keys {
        let slot = Slot::new(role, &entry.holder);
        let stays = KeyProfile {
            keyid: Some(keyid(last, role, &slot, entry)?.as_str().into()),
            algorithm: None,
            ..entry.clone()
        };
        match remove.contains(&slot) {
            false => keys.push(stays),
            true if is_root && rotation.why != Why::Lost => outgoing.push(stays),
            true => retired.push(stays),
        }
    }
    for (slot, uri) in coming {
        keys.push(KeyProfile {
            holder: slot.holder.clone(),
            algorithm: rotation.algorithm.clone().or(algorithm.clone()),
            uri: uri.clone(),
            keyid: None,
        });
    }
    if let Some(entries) = next.entries_mut(role) {
        *entries.keys = keys;
        *entries.retired = retired;
    }
    if is_root {
        next.roles.root.outgoing = outgoing;
    }
    Ok(())
}

/// The id of a key of the sealed Root.
fn keyid(
    last: &Ceremony,
    role: RootRole,
    slot: &Slot,
    entry: &KeyProfile,
) -> Result<KeyId, CeremonyError> {
    let root = last.review().map(|review| &review.root);
    let listed = root.and_then(|root| role.listed_in(root));
    let proved = last.proved().get(slot).map(|proved| &proved.key);
    let found = listed.and_then(|Listed { role, keys }| {
        role.keyids.into_iter().find(|id| match &entry.keyid {
            Some(start) => id.as_str().starts_with(start.as_str()),
            None => {
                let key = keys.get(id).and_then(Key::public);
                key.is_some() && key.as_ref() == proved
            }
        })
    });
    found.ok_or_else(|| CeremonyError::Refused(format!("the last root has no key of {slot}")))
}

fn no_such_role(role: RootRole) -> CeremonyError {
    CeremonyError::Usage(format!(
        "the profile of the last ceremony says nothing of {role}; write the next one with \
         --profile-only, add [roles.{role}] to it and give it to 'plan'"
    ))
}
