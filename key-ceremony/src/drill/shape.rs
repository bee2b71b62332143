//! The shape of a repository: everything that decides how a compromise goes, and no key.

use std::collections::BTreeMap;
use std::path::PathBuf;

use countersign_metadata::{PathSet, RoleType};
use countersign_repo::policy::{Listing, Policy, RolePolicy, Span, TopLevel};

use super::names;

/// What a sandbox is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The repository that it was read from; none for the example.
    pub like: Option<PathBuf>,
    /// Whether files are published under version and hash prefixes (TUF 6.2).
    pub consistent_snapshot: bool,
    /// The four top-level roles.
    pub roles: BTreeMap<RoleType, RoleShape>,
    /// The roles that Targets delegates to, in their order.
    pub delegations: Vec<DelegationShape>,
    /// What Snapshot states of Targets files.
    pub snapshot_lists: Listing,
    /// What Timestamp states of Snapshot.
    pub timestamp_lists: Listing,
    /// How long outgoing keys sign the way over.
    pub rotation_grace: Span,
    /// What could not be modelled, in words.
    pub remarks: Vec<String>,
}

/// A top-level role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleShape {
    /// How many keys it has.
    pub keys: usize,
    /// How many of them must sign.
    pub threshold: u32,
    /// How long its files are valid.
    pub expires: Span,
}

/// A delegated role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationShape {
    /// Its name.
    pub name: String,
    /// Keys, threshold and validity.
    pub role: RoleShape,
    /// What it is trusted for.
    pub paths: PathSet,
    /// Whether a search ends with it.
    pub terminating: bool,
}

impl Shape {
    /// An example: Root 2 of 3, one key for each other role, one supplier.
    pub fn example() -> Self {
        let role = |keys, threshold, days: i64| RoleShape {
            keys,
            threshold,
            expires: Span::from_seconds(days * 86_400).unwrap_or(Span::MAX),
        };
        let policy = Policy::new(no_keys());
        Self {
            like: None,
            consistent_snapshot: policy.consistent_snapshot,
            roles: BTreeMap::from([
                (RoleType::Root, role(3, 2, 365)),
                (RoleType::Targets, role(1, 1, 90)),
                (RoleType::Snapshot, role(1, 1, 7)),
                (RoleType::Timestamp, role(1, 1, 1)),
            ]),
            delegations: vec![Self::example_supplier()],
            snapshot_lists: policy.snapshot_lists,
            timestamp_lists: policy.timestamp_lists,
            rotation_grace: policy.rotation_grace,
            remarks: Vec::new(),
        }
    }

    pub(super) fn example_supplier() -> DelegationShape {
        DelegationShape {
            name: "supplier".into(),
            role: RoleShape {
                keys: 1,
                threshold: 1,
                expires: Span::from_seconds(90 * 86_400).unwrap_or(Span::MAX),
            },
            paths: PathSet::Patterns(vec!["supplier/*".into()]),
            terminating: false,
        }
    }

    /// A role.
    pub fn role(&self, kind: RoleType) -> RoleShape {
        let one = RoleShape {
            keys: 1,
            threshold: 1,
            expires: Span::MAX,
        };
        self.roles.get(&kind).copied().unwrap_or(one)
    }

    /// The repository's policy, without its keys.
    pub(super) fn policy(&self) -> Policy {
        let mut policy = Policy::new(no_keys());
        policy.snapshot_lists = self.snapshot_lists;
        policy.timestamp_lists = self.timestamp_lists;
        policy.rotation_grace = self.rotation_grace;
        policy.consistent_snapshot = self.consistent_snapshot;
        policy.roles.root.expires = self.role(RoleType::Root).expires;
        policy.roles.targets.expires = self.role(RoleType::Targets).expires;
        policy.roles.snapshot.expires = self.role(RoleType::Snapshot).expires;
        policy.roles.timestamp.expires = self.role(RoleType::Timestamp).expires;
        policy
    }

    /// The delegated role whose key is stolen, with a path that it is trusted for. The first in
    /// order, since no other can answer for its paths before it.
    pub(super) fn supplier(&self) -> Option<(&DelegationShape, String)> {
        self.delegations
            .iter()
            .find_map(|role| Some((role, names::inside(&role.paths, "drill")?)))
    }
}

/// The Root says which keys there are.
fn no_keys() -> TopLevel {
    let role = || RolePolicy {
        threshold: 1,
        keys: Vec::new(),
        expires: Span::MAX,
    };
    TopLevel {
        root: role(),
        targets: role(),
        snapshot: role(),
        timestamp: role(),
    }
}
