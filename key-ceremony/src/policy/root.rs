//! What the policy says of a Root.

use std::collections::{BTreeMap, BTreeSet};

use countersign_metadata::{Authority, PublicKey, Role, RoleType, Root, UtcTime};

use super::custody::shared_key;
use super::{BEST_PRACTICES, DAY, Finding, Findings, HOUSE};
use crate::root_role::RootRole;

/// What the policy says of a Root that somebody else drew up, at `now`: what its profile would be
/// told, as far as it shows, and what [`check_root`] finds.
pub fn check_foreign_root(previous: Option<&Root>, next: &Root, now: UtcTime) -> Vec<Finding> {
    let mut found = Findings::default();
    let authority = next.claimed_authority(RoleType::Root);
    let threshold = next.roles.get(&RoleType::Root);
    let threshold = threshold.map_or(0, |role| role.threshold);
    check_root_threshold(threshold, authority.public_keys().len(), &mut found);
    check_root_span(next.expires().unix().saturating_sub(now.unix()), &mut found);
    let mut seen: BTreeMap<PublicKey, RootRole> = BTreeMap::new();
    for role in RootRole::all() {
        for key in role.authority(next).public_keys() {
            match seen.get(key).filter(|other| **other != role) {
                Some(other) => found.push(shared_key(&role, other)),
                None => {
                    seen.insert(key.clone(), role);
                }
            }
        }
    }
    found.0.extend(check_root(previous, next, now));
    found.0
}

/// What the policy says of the next Root against the one before it, at `now`.
pub fn check_root(previous: Option<&Root>, next: &Root, now: UtcTime) -> Vec<Finding> {
    let mut found = Findings::default();
    for role in RootRole::all() {
        for key in role.authority(next).public_keys() {
            if is_short(key) {
                found.warn(
                    "rsa-short",
                    role.name(),
                    "an RSA key of less than 3,072 bits is not strong enough beyond 2030",
                    "NIST SP 800-57 part 1",
                );
            }
        }
    }
    if next.expires() <= now {
        let text = format!(
            "the new root expired at {}, before anybody could use it: its time began with the last \
             proof; plan again",
            next.expires()
        );
        found.refuse("root-expired", "root", text, "TUF 5.3.10");
    }
    let Some(previous) = previous else {
        return found.0;
    };
    if previous.expires() <= now {
        let text = format!(
            "the previous root expired at {}; clients accept nothing until this one is published",
            previous.expires()
        );
        found.warn("previous-root-expired", "root", text, "TUF 5.3.10");
    }
    if next.expires() < previous.expires() {
        let text = "the new root expires before the old one";
        found.warn("expiry-shortened", "root", text, HOUSE);
    }
    for role in RootRole::all() {
        let threshold = |root: &Root| Some(role.listed_in(root)?.role.threshold);
        if let (Some(before), Some(after)) = (threshold(previous), threshold(next))
            && after < before
        {
            let text = format!("the threshold goes down from {before} to {after}");
            found.warn("threshold-lowered", role.name(), text, HOUSE);
        }
    }
    check_removals(previous, next, &mut found);
    found.0
}

fn check_removals(previous: &Root, next: &Root, found: &mut Findings) {
    let removed = |role| {
        let (before, after) = (
            previous.claimed_authority(role),
            next.claimed_authority(role),
        );
        let after = after.public_keys();
        before.public_keys().iter().any(|key| !after.contains(*key))
    };
    if removed(RoleType::Snapshot) && !removed(RoleType::Timestamp) {
        found.refuse(
            "snapshot-without-timestamp",
            "timestamp",
            "a snapshot key is replaced but no timestamp key: whoever stole the snapshot key can \
             go on serving a timestamp of that time, which names a snapshot version that honest \
             files do not reach; replace a timestamp key as well",
            "TUF 5.3.11 and 5.4.3.2",
        );
    }
    if removed(RoleType::Targets) && !removed(RoleType::Snapshot) {
        found.warn(
            "targets-without-snapshot",
            "snapshot",
            "a targets key is replaced but no snapshot key: if the old one was stolen and used to \
             push the version far ahead, devices accept low versions again only after a snapshot \
             key was replaced too",
            "TUF 5.3.11 and 5.5.5",
        );
    }
    let keys = |root: &Root| -> BTreeSet<PublicKey> {
        let authority: Authority = root.claimed_authority(RoleType::Root);
        authority.public_keys().into_iter().cloned().collect()
    };
    if keys(previous).is_disjoint(&keys(next)) {
        let text = "every root key is replaced at once; the old ones must all still be at hand to \
                    sign";
        found.warn("all-root-keys-replaced", "root", text, HOUSE);
    }
}

pub(super) fn check_root_threshold(threshold: u32, keys: usize, found: &mut Findings) {
    if threshold < 2 {
        found.refuse(
            "root-threshold-low",
            "root",
            "one stolen key would be enough to take over every device for good; use a threshold of \
             2 or more",
            BEST_PRACTICES,
        );
    }
    if threshold as usize == keys {
        found.warn(
            "root-without-spare",
            "root",
            format!(
                "all {keys} keys must sign, so the loss of one of them ends the chain of roots; add \
                 a spare key"
            ),
            HOUSE,
        );
    }
}

pub(super) fn check_root_span(seconds: i64, found: &mut Findings) {
    if seconds > 3 * 366 * DAY {
        found.refuse(
            "root-expiry-long",
            "root",
            "a root that is valid for more than three years leaves a device with stolen keys for \
             that long; use about one year",
            BEST_PRACTICES,
        );
    } else if seconds > 366 * DAY {
        let text = "valid for more than about one year";
        found.warn("root-expiry-long", "root", text, BEST_PRACTICES);
    }
}

/// Fewer than 3,072 bits.
fn is_short(key: &PublicKey) -> bool {
    matches!(key, PublicKey::Rsa { modulus, .. } if modulus.len() < 384)
}
