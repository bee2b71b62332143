//! The policy: what a ceremony is refused for, warned of, or told, each with its source.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use countersign_metadata::{Authority, PublicKey, Role, RoleType, Root, UtcTime};
use countersign_signing::Weakness;
use serde::{Deserialize, Serialize};

use crate::next_root;
use crate::profile::{Accepted, Profile, RepositoryKind, Slot};
use crate::statement::CustodyFacts;

/// The numbers and rules of the Uptane Deployment Best Practices on managing signing keys.
const BEST_PRACTICES: &str = "Uptane Deployment Best Practices, key management";
const HOUSE: &str = "Countersign's own rule";
const DAY: i64 = 86_400;

/// The names of all findings that refuse, which somebody may therefore have to accept.
pub const ACCEPTABLE: [&str; 13] = [
    "key-extractable",
    "key-in-file",
    "key-not-sensitive",
    "offline-role-in-ci",
    "offline-role-online",
    "old-key",
    "online-expiry-long",
    "root-expired",
    "root-expiry-long",
    "root-threshold-low",
    "shared-key",
    "shared-token",
    "snapshot-without-timestamp",
];

/// One thing that the policy has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// A stable name, for `--accept NAME=REASON`.
    pub name: String,
    /// What it leads to.
    pub weight: Weight,
    /// What it is about: a role, or `role/holder`.
    pub subject: String,
    /// What was found and what to do.
    pub text: String,
    /// Where the rule comes from.
    pub source: String,
}

/// What a finding leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The ceremony does not go on unless somebody accepts it with a reason.
    Refuse,
    /// It goes on, and everybody sees it.
    Warn,
    /// Good to know.
    Note,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Refuse => "REFUSED",
            Weight::Warn => "warning",
            Weight::Note => "note",
        };
        write!(
            f,
            "{weight} {} ({}): {} [{}]",
            self.name, self.subject, self.text, self.source
        )
    }
}

impl Finding {
    /// Whether it can be shown among lines of our own.
    pub(crate) fn check(&self) -> Result<(), String> {
        let texts = [&self.name, &self.subject, &self.text, &self.source];
        match texts
            .iter()
            .all(|text| text.len() <= 1000 && !text.contains("  "))
        {
            true => Ok(()),
            false => {
                Err("a finding in it is longer than a finding is, or has runs of spaces".into())
            }
        }
    }

    /// What it is, whatever the words for it.
    pub(crate) fn identity(&self) -> (&str, &str, Weight) {
        (&self.name, &self.subject, self.weight)
    }
}

/// The findings that stop a ceremony: to be refused, and accepted by nobody.
pub fn unaccepted<'a>(findings: &'a [Finding], accepted: &[Accepted]) -> Vec<&'a Finding> {
    let stops = |finding: &&Finding| {
        finding.weight == Weight::Refuse
            && !accepted.iter().any(|entry| entry.finding == finding.name)
    };
    findings.iter().filter(stops).collect()
}

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
            found.push(shared_key(&slot, &other));
        }
    }
    let roles = RoleType::ALL.map(|role| profile.role(role));
    let entries = roles.iter().flat_map(|role| {
        let leaving = role.outgoing.iter().chain(&role.retired);
        role.keys.iter().chain(leaving)
    });
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

fn check_root_threshold(threshold: u32, keys: usize, found: &mut Findings) {
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

fn check_root_span(seconds: i64, found: &mut Findings) {
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

/// What the policy says of a Root that somebody else drew up, at `now`: what its profile would be
/// told, as far as it shows, and what [`check_root`] finds.
pub fn check_foreign_root(previous: Option<&Root>, next: &Root, now: UtcTime) -> Vec<Finding> {
    let mut found = Findings::default();
    let authority = next.claimed_authority(RoleType::Root);
    let threshold = next.roles.get(&RoleType::Root);
    let threshold = threshold.map_or(0, |role| role.threshold);
    check_root_threshold(threshold, authority.public_keys().len(), &mut found);
    check_root_span(next.expires().unix().saturating_sub(now.unix()), &mut found);
    let mut seen: BTreeMap<PublicKey, RoleType> = BTreeMap::new();
    for role in RoleType::ALL {
        for key in next.claimed_authority(role).public_keys() {
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
    for role in RoleType::ALL {
        for key in next.claimed_authority(role).public_keys() {
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
    for role in RoleType::ALL {
        let threshold = |root: &Root| root.roles.get(&role).map_or(1, |role| role.threshold);
        let (before, after) = (threshold(previous), threshold(next));
        if after < before {
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

/// What is wrong with the custody of a key, and with where it was proved.
pub(crate) fn check_custody(slot: &Slot, online: bool, custody: &CustodyFacts) -> Vec<Finding> {
    let mut found = Findings::default();
    let subject = slot.to_string();
    for weakness in &custody.weaknesses {
        let is = |kind: Weakness| weakness == kind.name();
        let text = if is(Weakness::InFile) {
            "the private key is in a file, and nobody can know how many copies there are; make it \
             in a token"
        } else if is(Weakness::Extractable) {
            "the private key can leave its token, or the token does not say that it cannot; make \
             it non-extractable"
        } else if is(Weakness::NotSensitive) {
            "the token shows the plain private key, or does not say that it hides it; make it \
             sensitive"
        } else if is(Weakness::Imported) {
            "the private key was not made in its token, or the token does not say so: it may have \
             been outside once"
        } else {
            "the custody of the private key is weak"
        };
        match is(Weakness::Imported) {
            true => found.warn(weakness, &subject, text, HOUSE),
            false => found.refuse(weakness, &subject, text, BEST_PRACTICES),
        }
    }
    if custody.in_ci && !online {
        found.refuse(
            "offline-role-in-ci",
            &subject,
            "the key of an offline role was proved on a CI machine (the variable CI is set there); \
             offline keys never belong into CI",
            BEST_PRACTICES,
        );
    }
    found.0
}

/// One key in two places.
pub(crate) fn shared_key(slot: &impl fmt::Display, other: &impl fmt::Display) -> Finding {
    Finding {
        name: "shared-key".into(),
        weight: Weight::Refuse,
        subject: slot.to_string(),
        text: format!(
            "this is the key of {other} too, so that one theft would break both; give each role a \
             key of its own"
        ),
        source: format!("{BEST_PRACTICES}: every key unique across roles"),
    }
}

/// A key that was to be replaced, by itself.
pub(crate) fn old_key(slot: &Slot) -> Finding {
    Finding {
        name: "old-key".into(),
        weight: Weight::Refuse,
        subject: slot.to_string(),
        text: "the previous root lists this key for this role, so nothing would be replaced; make \
               a new one, or plan with its keyid if it is to stay"
            .into(),
        source: HOUSE.into(),
    }
}

/// Two Root keys in one device.
pub(crate) fn shared_home(slot: &Slot, other: &Slot, home: &str) -> Finding {
    Finding {
        name: "shared-token".into(),
        weight: Weight::Refuse,
        subject: slot.to_string(),
        text: format!(
            "the key is in the same place as that of {other} ({home}): whoever has it has both, \
             and the threshold means nothing; use a token for each holder"
        ),
        source: HOUSE.into(),
    }
}

/// Fewer than 3,072 bits.
fn is_short(key: &PublicKey) -> bool {
    matches!(key, PublicKey::Rsa { modulus, .. } if modulus.len() < 384)
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, name: &str, weight: Weight, subject: &str, text: String, source: &str) {
        self.0.push(Finding {
            name: name.into(),
            weight,
            subject: subject.into(),
            text,
            source: source.into(),
        });
    }

    fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    fn refuse(&mut self, name: &str, subject: &str, text: impl Into<String>, source: &str) {
        self.add(name, Weight::Refuse, subject, text.into(), source);
    }

    fn warn(&mut self, name: &str, subject: &str, text: impl Into<String>, source: &str) {
        self.add(name, Weight::Warn, subject, text.into(), source);
    }

    fn note(&mut self, name: &str, subject: &str, text: impl Into<String>, source: &str) {
        self.add(name, Weight::Note, subject, text.into(), source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../examples/profile.toml");

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
                "shared-key",
                Weight::Refuse,
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

    #[test]
    fn accepting_is_by_name() {
        let finding = Finding {
            name: "a".into(),
            weight: Weight::Refuse,
            subject: "root".into(),
            text: String::new(),
            source: String::new(),
        };
        let findings = [finding];
        let accept = |name: &str| Accepted {
            finding: name.into(),
            reason: "because".into(),
        };
        assert_eq!(unaccepted(&findings, &[accept("b")]).len(), 1);
        assert_eq!(unaccepted(&findings, &[accept("b"), accept("a")]).len(), 0);
    }
}
