//! What the policy says of a profile.

use std::collections::{BTreeMap, BTreeSet};

use countersign_metadata::{PublicKey, RoleType, Root};

use super::custody::shared_key;
use super::{BEST_PRACTICES, DAY, Finding, Findings, HOUSE, check_root_span, check_root_threshold};
use crate::next_root;
use crate::profile::{Profile, RepositoryKind, Slot};

/// What the policy says of a profile by itself.
pub fn check_profile(profile: &Profile) -> Vec<Finding> {
    let mut found = Findings::default();
    let root = &profile.roles.root;
    check_root_threshold(root.threshold, root.keys.len(), &mut found);
    check_root_span(root.expires.seconds(), &mut found);
    check_examples(profile, &mut found);
    check_expiry(profile, &mut found);
    let root = RoleType::Root;
    if profile.is_online(root) {
        found.refuse(
            "offline-role-online",
            "root",
            "the profile says that root keys are used by machines; root keys belong offline on \
             both repositories",
            BEST_PRACTICES,
        );
    }
    if profile.is_online(RoleType::Targets) && profile.repository == RepositoryKind::Image {
        found.warn(
            "targets-online",
            "targets",
            "whoever breaks into that machine can sign any image; keep the image repository's \
             targets keys offline, or delegate to keys of limited reach",
            BEST_PRACTICES,
        );
    }
    let mut uris: BTreeMap<&str, Slot> = BTreeMap::new();
    for (_, slot, key) in profile.slots() {
        let Some(uri) = key.uri.as_deref() else {
            continue;
        };
        if let Some(other) = uris.insert(uri, slot.clone()) {
            let text = format!(
                "{other} has the same URI. Where that is the same token, it is the same key, and the \
                 proof will be refused; on machines of their own they are two"
            );
            found.warn("same-uri", &slot.to_string(), text, HOUSE);
        }
    }
    let entries = profile.all_entries().flat_map(|(_, entries)| entries.all());
    let used: BTreeSet<&str> = entries.map(|key| key.holder.as_str()).collect();
    for holder in profile.holders.keys() {
        if !used.contains(holder.as_str()) {
            let text = "this holder is listed but holds no key";
            found.warn("holder-without-key", holder, text, HOUSE);
        }
    }
    found.0
}

/// What the policy says of a profile that follows `previous`.
pub(crate) fn check_plan(profile: &Profile, previous: Option<&Root>) -> Vec<Finding> {
    let mut findings = check_profile(profile);
    let mut seen: BTreeMap<PublicKey, Slot> = BTreeMap::new();
    let kept = previous.map(|root| next_root::kept_keys(profile, root));
    for (slot, key) in kept.unwrap_or_default() {
        let finding = seen.get(&key).map(|other| shared_key(&slot, other));
        // The same URI in two places has been found already.
        let known = |known: &Finding| Some(known) == finding.as_ref();
        if !findings.iter().any(known) {
            findings.extend(finding);
        }
        seen.entry(key).or_insert(slot);
    }
    findings
}

fn check_examples(profile: &Profile, found: &mut Findings) {
    let root = &profile.roles.root;
    let keys = root.keys.len();
    if root.threshold < 5 || keys < 8 {
        let text = format!(
            "{} of {keys}; the best practices give 5 of 8 as an example",
            root.threshold
        );
        found.note("root-threshold-example", "root", text, BEST_PRACTICES);
    }
    let targets = &profile.roles.targets;
    let offline = !profile.is_online(RoleType::Targets);
    if profile.repository == RepositoryKind::Image && offline && targets.threshold < 3 {
        let text = format!(
            "{} of {}; the best practices give 3 of 4 as an example for offline targets keys",
            targets.threshold,
            targets.keys.len()
        );
        found.note("targets-threshold-example", "targets", text, BEST_PRACTICES);
    }
}

fn check_expiry(profile: &Profile, found: &mut Findings) {
    let (online, source) = match profile.repository {
        RepositoryKind::Director => (
            vec![RoleType::Targets, RoleType::Snapshot, RoleType::Timestamp],
            BEST_PRACTICES,
        ),
        RepositoryKind::Image => (vec![RoleType::Timestamp], HOUSE),
    };
    for role in online {
        let seconds = profile.role(role).expires.seconds();
        if seconds > 30 * DAY {
            found.refuse(
                "online-expiry-long",
                role.name(),
                "whoever holds back updates is not noticed for more than 30 days; use about one day",
                source,
            );
        } else if seconds > 7 * DAY {
            let text = "valid for more than a week; about one day is usual";
            found.warn("online-expiry-long", role.name(), text, source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Weight;

    const EXAMPLE: &str = include_str!("../../examples/profile.toml");

    fn names(from: &str, to: &str) -> Vec<(String, Weight)> {
        assert!(EXAMPLE.contains(from), "{from}");
        let profile = Profile::parse(&EXAMPLE.replacen(from, to, 1)).expect("a profile");
        let findings = check_profile(&profile);
        findings.into_iter().map(|f| (f.name, f.weight)).collect()
    }

    #[test]
    fn profiles_are_judged() {
        let honest = names("threshold = 2", "threshold = 2");
        assert!(honest.iter().all(|(_, weight)| *weight == Weight::Note));
        for (from, to, name, weight) in [
            (
                "threshold = 2",
                "threshold = 1",
                "root-threshold-low",
                Weight::Refuse,
            ),
            (
                "threshold = 2",
                "threshold = 3",
                "root-without-spare",
                Weight::Warn,
            ),
            (
                "expires = \"365d\"",
                "expires = \"2y\"",
                "root-expiry-long",
                Weight::Warn,
            ),
            (
                "expires = \"365d\"",
                "expires = \"4y\"",
                "root-expiry-long",
                Weight::Refuse,
            ),
            (
                "expires = \"1d\"",
                "expires = \"8d\"",
                "online-expiry-long",
                Weight::Warn,
            ),
            (
                "expires = \"1d\"",
                "expires = \"31d\"",
                "online-expiry-long",
                Weight::Refuse,
            ),
            (
                "expires = \"365d\"",
                "expires = \"365d\"\nonline = true",
                "offline-role-online",
                Weight::Refuse,
            ),
            (
                "expires = \"90d\"",
                "expires = \"90d\"\nonline = true",
                "targets-online",
                Weight::Warn,
            ),
            (
                "object=timestamp",
                "object=snapshot",
                "same-uri",
                Weight::Warn,
            ),
            (
                "[holders]",
                "[holders]\ndora = \"\"",
                "holder-without-key",
                Weight::Warn,
            ),
            (
                "\"image\"",
                "\"director\"",
                "online-expiry-long",
                Weight::Refuse,
            ),
        ] {
            let found = names(from, to);
            assert!(found.contains(&(name.into(), weight)), "{to}: {found:?}");
        }
    }
}
