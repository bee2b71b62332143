//! The Root in force, and what the rotations before it make a client forget.
//!
//! After a compromise an attacker may have pushed versions far ahead; once the keys are rotated,
//! versions signed with the old ones must no longer be floors (TUF 5.3.11). Which stored files to
//! forget is derived from the Roots since each file was accepted, not remembered in a flag, so a
//! power cut between two writes loses nothing.

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
    fn rotated(self, old: &Root, new: &Root) -> bool {
        self.roles().into_iter().any(|role| {
            let (old, new) = (old.claimed_authority(role), new.claimed_authority(role));
            !old.public_keys().is_subset(&new.public_keys())
        })
    }
}

/// When a key of each group was last taken away, as far back as Roots have been looked at.
#[derive(Debug, Clone)]
pub(crate) struct Rotations {
    /// The oldest Root looked at.
    oldest: Root,
    /// Version of the Root that the store held when the session began.
    started_at: u64,
    online: Option<u64>,
    targets: Option<u64>,
}

impl Rotations {
    pub(crate) fn starting_at(root: &Root) -> Self {
        Self {
            oldest: root.clone(),
            started_at: root.version(),
            online: None,
            targets: None,
        }
    }

    /// Notes the step from one Root to the next newer one.
    pub(crate) fn note(&mut self, old: &Root, new: &Root) {
        for (group, last) in [
            (KeyGroup::Online, &mut self.online),
            (KeyGroup::Targets, &mut self.targets),
        ] {
            if group.rotated(old, new) {
                *last = (*last).max(Some(new.version()));
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

    /// Whether `stored` is still a floor for a role of `group`.
    pub(crate) fn recall(&self, stored: &Stored, group: KeyGroup) -> Recall {
        // A store that does not know loses no floor that it had when this session began.
        let accepted_under = stored.accepted_under.unwrap_or(self.rotations.started_at);
        if self
            .rotations
            .last(group)
            .is_some_and(|rotated| rotated > accepted_under)
        {
            return Recall::Forget;
        }
        match self.rotations.oldest.version() {
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
        let rotations = &mut self.rotations;
        let wanted = rotations.oldest.version().saturating_sub(1);
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
                let newer = core::mem::replace(&mut rotations.oldest, older.content().clone());
                rotations.note(older.content(), &newer);
            }
            None => {
                let gap = Some(rotations.oldest.version());
                rotations.online = rotations.online.max(gap);
                rotations.targets = rotations.targets.max(gap);
                // Nothing older is asked for again: whatever is, was accepted before the gap.
            }
        }
        Ok(())
    }
}
