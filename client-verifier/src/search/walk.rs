//! One pre-order walk through delegations.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use countersign_metadata::uptane::HardwareId;
use countersign_metadata::{Matching, MultiRole, TargetPath, UtcTime};

use crate::listing::Listing;

/// Where a walk stands.
#[derive(Debug)]
pub(super) struct Walk {
    /// Delegations still to follow, the next one last.
    to_visit: Vec<(Visit, To)>,
    /// Names of the roles visited, here and on the way to here.
    visited: BTreeSet<String>,
}

/// Who delegates.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) delegator: Arc<Listing>,
    /// When the first of the files that lead to the delegator, itself included, expires.
    pub(super) valid_until: UtcTime,
}

/// To whom.
#[derive(Debug)]
pub(super) enum To {
    /// One role.
    Role(String),
    /// Several, enough of whom have to say the same.
    Several(MultiRole),
}

impl Walk {
    pub(super) fn new() -> Self {
        Self::after(BTreeSet::new())
    }

    /// One that does not go back to roles already visited.
    pub(super) fn after(visited: BTreeSet<String>) -> Self {
        Self {
            to_visit: Vec::new(),
            visited,
        }
    }

    pub(super) fn visited(&self) -> BTreeSet<String> {
        self.visited.clone()
    }

    /// Notes what `role` delegates, to be followed before everything else.
    pub(super) fn enter(
        &mut self,
        role: String,
        file: &Arc<Listing>,
        path: &TargetPath,
        hardware_id: Option<&HardwareId>,
        valid_until: UtcTime,
    ) {
        self.visited.insert(role);
        let Some(delegations) = file.delegations() else {
            return;
        };
        let matching = delegations.matching(path, hardware_id);
        // TUF 5.6.7.2.1: after a terminating delegation nothing else may answer.
        if matching.last().is_some_and(Matching::is_terminating) {
            self.to_visit.clear();
        }
        let visit = Visit {
            delegator: Arc::clone(file),
            valid_until,
        };
        let to = matching.into_iter().rev().map(|matching| match matching {
            Matching::Role { name, .. } => To::Role(name.into_owned()),
            Matching::Multi(delegation) => To::Several(delegation.clone()),
        });
        self.to_visit.extend(to.map(|to| (visit.clone(), to)));
    }

    /// The next delegation that leads to a role not visited before.
    pub(super) fn next(&mut self) -> Option<(Visit, To)> {
        loop {
            match self.to_visit.pop()? {
                (_, To::Role(role)) if self.visited.contains(&role) => {}
                next => return Some(next),
            }
        }
    }
}
