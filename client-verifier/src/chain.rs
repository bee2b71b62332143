//! The Root in force, and what the rotations before it make a client forget.
//!
//! After a compromise an attacker may have pushed versions far ahead; once the keys are rotated,
//! versions signed with the old ones must no longer be floors (TUF 5.3.11). Which stored files to
//! forget is derived from the Roots since each file was accepted, not remembered in a flag, so a
//! power cut between two writes loses nothing.

use alloc::vec::Vec;

use countersign_metadata::{Role, RoleType, Root, Signed};

use crate::current::Current;
use crate::refresh::misuse;
use crate::reject::Reject;
use crate::session::{Reply, Stored};

/// Roles that a rotation makes a client forget together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyGroup {
    /// Timestamp and Snapshot: forgotten when a key of either was taken away.
    Online,
    /// Targets and delegated roles: forgotten when a key of Targets or Snapshot was taken away,
    /// because a stolen one of these can push a Targets version ahead.
    Targets,
}

impl KeyGroup {
    fn roles(self) -> [RoleType; 2] {
        match self {
            Self::Online => [RoleType::Timestamp, RoleType::Snapshot],
            Self::Targets => [RoleType::Targets, RoleType::Snapshot],
        }
    }

    /// Whether `new` takes a key away. A key that only comes on top undoes no compromise, and
    /// floors forgotten for it would let an old file back in that is still validly signed.
    fn rotated(self, old: &Keys, new: &Keys) -> bool {
        let mut roles = self.roles().into_iter();
        roles.any(|role| {
            old.of(role)
                .any(|key| new.of(role).all(|other| other != key))
        })
    }
}

/// What a Root is looked at for after it was followed: its version, and the keys of the roles whose
/// files are forgotten. The Root itself is let go, because a small device cannot hold several.
#[derive(Debug, Clone)]
struct Keys {
    version: u64,
    /// By their fingerprints.
    keys: Vec<(RoleType, [u8; 32])>,
}

impl Keys {
    fn in_root(root: &Root) -> Self {
        let roles = [RoleType::Timestamp, RoleType::Snapshot, RoleType::Targets];
        let mut keys = Vec::new();
        for role in roles {
            let authority = root.claimed_authority(role);
            keys.extend(authority.keys().map(|(_, key)| (role, key.fingerprint())));
        }
        Self {
            version: root.version(),
            keys,
        }
    }

    fn of(&self, role: RoleType) -> impl Iterator<Item = &[u8; 32]> {
        let keys = self.keys.iter().filter(move |(of, _)| *of == role);
        keys.map(|(_, key)| key)
    }
}

/// When a key of each group was last taken away, as far back as Roots have been looked at.
#[derive(Debug, Clone)]
pub(crate) struct Rotations {
    /// Of the oldest Root looked at.
    oldest: Keys,
    /// Of the newest.
    newest: Keys,
    /// Version of the Root that the store held when the session began.
    started_at: u64,
    online: Option<u64>,
    targets: Option<u64>,
}

impl Rotations {
    pub(crate) fn starting_at(root: &Root) -> Self {
        let keys = Keys::in_root(root);
        Self {
            started_at: keys.version,
            newest: keys.clone(),
            oldest: keys,
            online: None,
            targets: None,
        }
    }

    /// Notes the step from the newest Root to the next one.
    pub(crate) fn note(&mut self, next: &Root) {
        let next = Keys::in_root(next);
        let before = core::mem::replace(&mut self.newest, next.clone());
        self.note_step(&before, &next);
    }

    fn note_step(&mut self, old: &Keys, new: &Keys) {
        for (group, last) in [
            (KeyGroup::Online, &mut self.online),
            (KeyGroup::Targets, &mut self.targets),
        ] {
            if group.rotated(old, new) {
                *last = (*last).max(Some(new.version));
            }
        }
    }

    fn last(&self, group: KeyGroup) -> Option<u64> {
        match group {
            KeyGroup::Online => self.online,
            KeyGroup::Targets => self.targets,
        }
    }
}

/// The current Root with its rotations.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) root: Current<Root>,
    pub(crate) rotations: Rotations,
}

/// Whether a stored file is still a floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recall {
    /// Yes.
    Keep,
    /// No: keys were rotated since.
    Forget,
    /// That depends on an older Root, by version.
    NeedRoot(u64),
}

impl Chain {
    pub(crate) fn version(&self) -> u64 {
        self.root.content().version()
    }

    /// As [`Rotations::recall`].
    pub(crate) fn recall(&self, stored: &Stored, group: KeyGroup) -> Recall {
        self.rotations.recall(stored.accepted_under, group)
    }

    /// As [`Rotations::add_history`].
    pub(crate) fn add_history(&mut self, reply: Reply) -> Result<(), Reject> {
        self.rotations.add_history(reply)
    }
}

impl Rotations {
    /// Whether a file that was accepted under the Root of this version is still a floor for a role of
    /// `group`.
    pub(crate) fn recall(&self, accepted_under: Option<u64>, group: KeyGroup) -> Recall {
        // A store that does not know loses no floor that it had when this session began.
        let accepted_under = accepted_under.unwrap_or(self.started_at);
        let last = self.last(group);
        if last.is_some_and(|rotated| rotated > accepted_under) {
            return Recall::Forget;
        }
        match self.oldest.version {
            oldest if oldest > accepted_under => Recall::NeedRoot(oldest - 1),
            _ => Recall::Keep,
        }
    }

    /// Takes in an older Root that [`Recall::NeedRoot`] asked for. Where the history has a gap,
    /// nothing can be said of what came before, and keys count as rotated there: a forgotten
    /// floor is regained with the next file, a floor kept wrongly would strand the device.
    ///
    /// # Errors
    /// `misuse`: any other answer is no gap, and must not cost a floor.
    pub(crate) fn add_history(&mut self, reply: Reply) -> Result<(), Reject> {
        let wanted = self.oldest.version.saturating_sub(1);
        let older = match reply {
            Reply::Stored(stored) => Signed::<Root>::parse(stored.bytes)
                .and_then(Signed::verify_by_itself)
                .ok()
                .filter(|root| root.content().version() == wanted),
            Reply::NotFound => None,
            _ => return Err(misuse("a former Root was asked for")),
        };
        match older {
            Some(older) => {
                let older = Keys::in_root(older.content());
                let newer = core::mem::replace(&mut self.oldest, older.clone());
                self.note_step(&older, &newer);
            }
            None => {
                let gap = Some(self.oldest.version);
                self.online = self.online.max(gap);
                self.targets = self.targets.max(gap);
                // Nothing older is asked for again: whatever is, was accepted before the gap.
            }
        }
        Ok(())
    }
}
