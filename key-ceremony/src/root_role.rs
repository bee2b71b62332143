//! The roles whose keys a Root names: the four of TUF, and those that a Director's Root names
//! beside them, in its `custom`.

use std::collections::BTreeMap;
use std::fmt;

use countersign_metadata::uptane::{
    OfflineUpdates, TimeServer, offline_updates, set_offline_updates, set_time_server_keys,
    time_server_keys,
};
use countersign_metadata::{Authority, Key, KeyId, PublicKey, RoleKeys, RoleType, Root};

/// A role whose keys a Root names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RootRole {
    /// One of the four of TUF.
    Top(RoleType),
    /// The Director's time server, which signs time attestations.
    Time,
    /// The Offline Snapshot (PURE-2).
    OfflineSnapshot,
    /// Offline Targets (PURE-2).
    OfflineTargets,
}

/// A role as a Root names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Ids and threshold.
    pub(crate) role: RoleKeys,
    /// Those of its keys that are there.
    pub(crate) keys: BTreeMap<KeyId, Key>,
}

impl RootRole {
    /// Those that only a Director's Root names.
    pub const FURTHER: [Self; 3] = [Self::Time, Self::OfflineSnapshot, Self::OfflineTargets];

    /// All of them, in the order in which they are shown.
    pub fn all() -> impl Iterator<Item = Self> {
        let top = RoleType::ALL.into_iter().map(Self::Top);
        top.chain(Self::FURTHER)
    }

    /// The name in profiles and transcripts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Top(role) => role.name(),
            Self::Time => "time",
            Self::OfflineSnapshot => "offline-snapshot",
            Self::OfflineTargets => "offline-targets",
        }
    }

    /// The role of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|role| role.name() == name)
    }

    /// What `root` says of the role. What cannot be read names nobody: devices refuse it.
    pub(crate) fn listed_in(self, root: &Root) -> Option<Listed> {
        match self {
            Self::Top(kind) => Some(Listed::new(root.roles.get(&kind)?, &root.keys)),
            Self::Time => {
                let TimeServer { keys, threshold } = time_server_keys(root).ok()??;
                let role = RoleKeys::new(keys.keys().cloned(), threshold);
                Some(Listed { role, keys })
            }
            Self::OfflineSnapshot => {
                let offline = offline_updates(root).ok()??;
                Some(Listed::new(&offline.snapshot, &offline.keys))
            }
            Self::OfflineTargets => {
                let offline = offline_updates(root).ok()??;
                Some(Listed::new(&offline.targets, &offline.keys))
            }
        }
    }

    /// Who may sign for the role, as `root` claims.
    pub(crate) fn authority(self, root: &Root) -> Authority {
        let listed = self.listed_in(root).unwrap_or_else(Listed::nobody);
        Authority::assume(self.name(), &listed.role, &listed.keys)
    }

    /// Whether `root` lists a key for the role.
    pub(crate) fn has(self, root: &Root, key: &PublicKey) -> bool {
        self.authority(root).public_keys().contains(key)
    }
}

impl Listed {
    pub(crate) fn new(role: &RoleKeys, keys: &BTreeMap<KeyId, Key>) -> Self {
        let key = |id: &KeyId| Some((id.clone(), keys.get(id)?.clone()));
        Self {
            keys: role.keyids.iter().filter_map(key).collect(),
            role: role.clone(),
        }
    }

    /// A role that nobody can sign.
    pub(crate) fn nobody() -> Self {
        Self::new(&RoleKeys::new([], u32::MAX), &BTreeMap::new())
    }
}

impl From<RoleType> for RootRole {
    fn from(role: RoleType) -> Self {
        Self::Top(role)
    }
}

impl fmt::Display for RootRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Lets `root` name these of the further roles. What it says already stays as it is, to the byte.
pub(crate) fn name_further(root: &mut Root, mut wanted: BTreeMap<RootRole, Listed>) {
    wanted.retain(|role, listed| match role {
        RootRole::Top(_) => false,
        RootRole::Time => role.listed_in(root).as_ref() != Some(listed),
        // These two stand in one place.
        RootRole::OfflineSnapshot | RootRole::OfflineTargets => true,
    });
    if let Some(Listed { role, keys }) = wanted.remove(&RootRole::Time) {
        let threshold = role.threshold;
        set_time_server_keys(root, &TimeServer { keys, threshold });
    }
    let (snapshot, targets) = (RootRole::OfflineSnapshot, RootRole::OfflineTargets);
    let pair = [snapshot, targets].map(|role| (role.listed_in(root), wanted.remove(&role)));
    if let [(old_snapshot, Some(snapshot)), (old_targets, Some(targets))] = pair
        && (old_snapshot.as_ref() != Some(&snapshot) || old_targets.as_ref() != Some(&targets))
    {
        let keys = snapshot.keys.into_iter().chain(targets.keys).collect();
        let (snapshot, targets) = (snapshot.role, targets.role);
        let offline = OfflineUpdates {
            keys,
            snapshot,
            targets,
        };
        set_offline_updates(root, &offline);
    }
}

/// Lets `root` name for the further roles whom `next` names, as far as that can be shown: ids,
/// thresholds and keys.
pub(crate) fn follow_further(root: &mut Root, next: &Root) {
    let shown = |role: RootRole| {
        let old = role.listed_in(root);
        let mut new = role.listed_in(next)?;
        let known = old.as_ref().map(|old| &old.keys);
        new.role.extra = old
            .as_ref()
            .map(|old| old.role.extra.clone())
            .unwrap_or_default();
        new.keys = entries(new.keys, |id| known?.get(id).cloned());
        Some((role, new))
    };
    let wanted = RootRole::FURTHER.into_iter().filter_map(shown).collect();
    name_further(root, wanted);
}

/// The entries of these keys: those that are `known`, and for others those that a ceremony makes.
/// One under a false id is left out.
fn entries(
    keys: BTreeMap<KeyId, Key>,
    known: impl Fn(&KeyId) -> Option<Key>,
) -> BTreeMap<KeyId, Key> {
    let entry = |(id, key): (KeyId, Key)| {
        let made = || key.public().map(|key| Key::new(&key));
        let made = || made().filter(|made| made.id() == id);
        let entry = known(&id).or_else(made)?;
        Some((id, entry))
    };
    keys.into_iter().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for role in RootRole::all() {
            assert_eq!(RootRole::from_name(role.name()), Some(role));
        }
        assert_eq!(RootRole::all().count(), 7);
        assert_eq!(RootRole::from_name("mirrors"), None);
    }
}
