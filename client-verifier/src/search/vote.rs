//! A delegation to several roles: enough of them have to say the same (Uptane 5.4.4.8, TAP 3).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use countersign_metadata::MultiRole;
use countersign_metadata::uptane::{Confidentiality, ImageCustom};

use super::walk::Visit;
use crate::image::ListedTarget;
use crate::reject::Reject;

/// A vote under way.
#[derive(Debug)]
pub(super) struct Vote {
    visit: Visit,
    delegation: MultiRole,
    asked: usize,
    /// What roles said, in the order in which the delegation lists them.
    found: Vec<ListedTarget>,
    /// Why the first role that could not be had or believed was not.
    withheld: Option<Reject>,
}

/// What came of it.
pub(super) enum Outcome {
    /// Enough roles agree, and this is what they say.
    Agreed(Box<ListedTarget>),
    /// A role is withheld, and nobody else may answer.
    Ended(Reject),
    /// They do not; the next delegation may, if there is one.
    GoOn,
}

impl Vote {
    pub(super) fn on(visit: Visit, delegation: MultiRole) -> Self {
        Self {
            visit,
            delegation,
            asked: 0,
            found: Vec::new(),
            withheld: None,
        }
    }

    /// The next role to ask.
    pub(super) fn next_voter(&mut self) -> Option<(Visit, String)> {
        let (role, _) = self.delegation.roles.get(self.asked)?;
        self.asked += 1;
        Some((self.visit.clone(), role.clone()))
    }

    /// Takes a role's answer.
    pub(super) fn count(&mut self, answer: Result<ListedTarget, Reject>) {
        match answer {
            Ok(target) => self.found.push(target),
            Err(reject) if reject.cause.is_some() => drop(self.withheld.get_or_insert(reject)),
            Err(_) => {}
        }
    }

    /// The largest-priority group that is large enough: that of the earliest role in the list.
    pub(super) fn decide(self) -> Outcome {
        let needed = self.delegation.min_roles_in_agreement as usize;
        for first in &self.found {
            let group = self.found.iter().filter(|other| agree(first, other));
            let valid_until = group.clone().map(|target| target.valid_until).min();
            if let Some(valid_until) = valid_until.filter(|_| group.count() >= needed) {
                return Outcome::Agreed(Box::new(ListedTarget {
                    valid_until,
                    ..first.clone()
                }));
            }
        }
        // A role that cannot be had or believed is withheld by somebody: as with a single role,
        // nobody less trusted answers in its place. After a terminating delegation there is nobody.
        match self.withheld {
            Some(withheld) => Outcome::Ended(withheld),
            None => Outcome::GoOn,
        }
    }
}

/// 5.4.4.8 step 2.1: the same length and hashes, and the same of what both repositories have to
/// agree on.
fn agree(a: &ListedTarget, b: &ListedTarget) -> bool {
    let matching = |target: &ListedTarget| {
        let mut custom = ImageCustom::of(&target.file).ok()?;
        custom.hardware_ids.sort();
        let confidential = custom.confidentiality == Confidentiality::Required;
        Some((custom.hardware_ids, custom.release_counter, confidential))
    };
    (a.file.length, &a.file.hashes) == (b.file.length, &b.file.hashes) && matching(a) == matching(b)
}
