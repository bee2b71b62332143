//! The roles of a profile.

use countersign_metadata::RoleType;
use countersign_repo::policy::Span;
use serde::{Deserialize, Serialize};

use super::{KeyProfile, Profile, RepositoryKind};
use crate::root_role::RootRole;

/// The four top-level roles, and those that only a Director's Root names. What is left out of
/// these stays as it is in the previous Root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// Root.
    pub root: RoleProfile,
    /// Targets.
    pub targets: RoleProfile,
    /// Snapshot.
    pub snapshot: RoleProfile,
    /// Timestamp.
    pub timestamp: RoleProfile,
    /// The Director's time server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeProfile>,
    /// The Director's Offline Snapshot (PURE-2).
    #[serde(
        default,
        rename = "offline-snapshot",
        skip_serializing_if = "Option::is_none"
    )]
    pub offline_snapshot: Option<RoleProfile>,
    /// The Director's Offline Targets (PURE-2).
    #[serde(
        default,
        rename = "offline-targets",
        skip_serializing_if = "Option::is_none"
    )]
    pub offline_targets: Option<RoleProfile>,
}

/// One role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleProfile {
    /// How many of the keys must sign.
    pub threshold: u32,
    /// How long a file of this role is to be valid. For Root this is what gets signed; for the
    /// others it is checked and belongs into the repository's policy.
    pub expires: Span,
    /// Whether the keys are used by machines without a person present. Default: Snapshot and
    /// Timestamp, and the Director's Targets (Uptane 5.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    /// The keys.
    pub keys: Vec<KeyProfile>,
    /// Root only: keys of the previous Root that leave with this ceremony and still sign it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outgoing: Vec<KeyProfile>,
    /// Keys of the previous Root that leave and do not sign any more. Listed so that the review
    /// can say whose they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<KeyProfile>,
}

/// The time server. Time attestations answer a nonce and do not expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeProfile {
    /// As for other roles.
    pub threshold: u32,
    /// As for other roles. Default: yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    /// As for other roles.
    pub keys: Vec<KeyProfile>,
    /// As for other roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<KeyProfile>,
}

/// The keys of a role, whichever it is.
#[derive(Debug, Clone, Copy)]
pub struct Entries<'a> {
    /// How many of the keys must sign.
    pub threshold: u32,
    /// The keys.
    pub keys: &'a [KeyProfile],
    /// Those that leave and still sign.
    pub outgoing: &'a [KeyProfile],
    /// Those that leave and do not.
    pub retired: &'a [KeyProfile],
    online: Option<bool>,
}

/// The same, to be changed.
pub(crate) struct EntriesMut<'a> {
    pub(crate) threshold: &'a mut u32,
    pub(crate) keys: &'a mut Vec<KeyProfile>,
    pub(crate) retired: &'a mut Vec<KeyProfile>,
}

impl<'a> Entries<'a> {
    /// The keys that leave.
    pub fn leaving(self) -> impl Iterator<Item = &'a KeyProfile> {
        self.outgoing.iter().chain(self.retired)
    }

    /// All keys, with those that leave.
    pub fn all(self) -> impl Iterator<Item = &'a KeyProfile> {
        self.keys.iter().chain(self.leaving())
    }
}

impl RoleProfile {
    fn entries(&self) -> Entries<'_> {
        Entries {
            threshold: self.threshold,
            keys: &self.keys,
            outgoing: &self.outgoing,
            retired: &self.retired,
            online: self.online,
        }
    }

    fn entries_mut(&mut self) -> EntriesMut<'_> {
        EntriesMut {
            threshold: &mut self.threshold,
            keys: &mut self.keys,
            retired: &mut self.retired,
        }
    }
}

impl TimeProfile {
    fn entries(&self) -> Entries<'_> {
        Entries {
            threshold: self.threshold,
            keys: &self.keys,
            outgoing: &[],
            retired: &self.retired,
            online: self.online,
        }
    }

    fn entries_mut(&mut self) -> EntriesMut<'_> {
        EntriesMut {
            threshold: &mut self.threshold,
            keys: &mut self.keys,
            retired: &mut self.retired,
        }
    }
}

impl Profile {
    /// The profile of a top-level role.
    pub fn role(&self, role: RoleType) -> &RoleProfile {
        match role {
            RoleType::Root => &self.roles.root,
            RoleType::Targets => &self.roles.targets,
            RoleType::Snapshot => &self.roles.snapshot,
            RoleType::Timestamp => &self.roles.timestamp,
        }
    }

    /// The keys of a role; `None` where the profile says nothing of it.
    pub fn entries(&self, role: RootRole) -> Option<Entries<'_>> {
        let roles = &self.roles;
        let role = match role {
            RootRole::Top(role) => Some(self.role(role)),
            RootRole::Time => return roles.time.as_ref().map(TimeProfile::entries),
            RootRole::OfflineSnapshot => roles.offline_snapshot.as_ref(),
            RootRole::OfflineTargets => roles.offline_targets.as_ref(),
        };
        role.map(RoleProfile::entries)
    }

    /// The same, to be changed.
    pub(crate) fn entries_mut(&mut self, role: RootRole) -> Option<EntriesMut<'_>> {
        let roles = &mut self.roles;
        let role = match role {
            RootRole::Top(RoleType::Root) => Some(&mut roles.root),
            RootRole::Top(RoleType::Targets) => Some(&mut roles.targets),
            RootRole::Top(RoleType::Snapshot) => Some(&mut roles.snapshot),
            RootRole::Top(RoleType::Timestamp) => Some(&mut roles.timestamp),
            RootRole::Time => return roles.time.as_mut().map(TimeProfile::entries_mut),
            RootRole::OfflineSnapshot => roles.offline_snapshot.as_mut(),
            RootRole::OfflineTargets => roles.offline_targets.as_mut(),
        };
        role.map(RoleProfile::entries_mut)
    }

    /// Every role that the profile speaks of, with its keys.
    pub fn all_entries(&self) -> impl Iterator<Item = (RootRole, Entries<'_>)> {
        RootRole::all().filter_map(|role| Some((role, self.entries(role)?)))
    }

    /// Whether machines use a role's keys without a person present.
    pub fn is_online(&self, role: impl Into<RootRole>) -> bool {
        let role = role.into();
        let usual = match role {
            RootRole::Top(RoleType::Root) => false,
            RootRole::Top(RoleType::Targets) => self.repository == RepositoryKind::Director,
            RootRole::Top(RoleType::Snapshot | RoleType::Timestamp) | RootRole::Time => true,
            RootRole::OfflineSnapshot | RootRole::OfflineTargets => false,
        };
        let said = self.entries(role).and_then(|entries| entries.online);
        said.unwrap_or(usual)
    }
}
