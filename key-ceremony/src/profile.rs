//! The profile: what a ceremony is to bring about, who takes part, and under which policy.

mod roles;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use countersign_metadata::limits::MAX_ROLE_KEYIDS;
use countersign_metadata::{KeyId, RoleType};
use countersign_repo::keys::redact;
use countersign_repo::policy::Span;
use countersign_repo::visible::is_invisible;
use countersign_signing::Algorithm;
use serde::{Deserialize, Serialize};

pub use self::roles::{Entries, RoleProfile, Roles, TimeProfile};
use crate::error::CeremonyError;
use crate::files;
use crate::policy::ACCEPTABLE;
use crate::portable;
use crate::root_role::RootRole;

/// The largest profile that is read, in bytes: hundreds of keys fit.
pub(crate) const MAX_PROFILE: u64 = 256 << 10;
/// The most that is shown of what is wrong with a profile, in characters: it quotes the line.
const MAX_ERROR: usize = 1000;
/// The longest free text, in bytes.
pub(crate) const MAX_LINE: usize = 200;
/// The most that clocks may be apart, in seconds: a day.
pub(crate) const MAX_CLOCK_TOLERANCE: u32 = 86_400;

/// The content of a profile. A key that is not listed here is refused, so that a misspelt setting
/// is never silently without effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What the ceremony is for, in words.
    pub name: String,
    /// Which of Uptane's repositories the Root is for; a plain TUF repository is an image
    /// repository.
    #[serde(default)]
    pub repository: RepositoryKind,
    /// Whether files are published under version and hash prefixes (TUF 6.2). Default: yes.
    #[serde(default = "yes")]
    pub consistent_snapshot: bool,
    /// The people and services that hold keys: a short name, and who that is.
    pub holders: BTreeMap<String, String>,
    /// Who signs what.
    pub roles: Roles,
    /// How strict the ceremony is.
    #[serde(default)]
    pub policy: Settings,
}

/// Which repository, as the Uptane Standard 5.2 tells them apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RepositoryKind {
    /// The image repository, or a plain TUF repository.
    #[default]
    Image,
    /// The Director repository.
    Director,
}

/// One key: a new one, or (with `keyid`) one that the previous Root lists and that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyProfile {
    /// Who holds it.
    pub holder: String,
    /// What kind of key to generate: `ed25519`, `ecdsa-p256`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// Where the holder's machine finds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The id under which the previous Root lists it, or the beginning of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyid: Option<String>,
}

/// How strict the ceremony is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How far the clocks of two machines may be apart.
    pub clock_tolerance: Span,
    /// How many participants sign the sealed transcript.
    pub seal_signatures: u32,
    /// Findings of the policy that are accepted, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<Accepted>,
}

/// A finding that somebody takes responsibility for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The finding's name.
    pub finding: String,
    /// Why it is acceptable here, for the transcript.
    pub reason: String,
}

/// The place of one key: a role and who holds the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// The role's name.
    pub role: String,
    /// The holder's short name.
    pub holder: String,
}

impl Slot {
    pub(crate) fn new(role: RootRole, holder: &str) -> Self {
        Self {
            role: role.name().into(),
            holder: holder.into(),
        }
    }

    /// `anna-root`, as file names have it.
    pub fn file_name(&self) -> String {
        format!("{}-{}", self.holder, self.role)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.role, self.holder)
    }
}

impl Default for Settings {
    /// Ten minutes, one signature, nothing accepted.
    fn default() -> Self {
        Self {
            clock_tolerance: Span::from_seconds(600).unwrap_or(Span::MAX),
            seal_signatures: 1,
            accept: Vec::new(),
        }
    }
}

impl Accepted {
    /// `FINDING=REASON`, as flags have it.
    ///
    /// # Errors
    /// [`CeremonyError::Usage`] when there is no reason.
    pub fn parse(text: &str) -> Result<Self, CeremonyError> {
        match text.split_once('=') {
            Some((finding, reason)) if !reason.trim().is_empty() => Ok(Self {
                finding: finding.trim().into(),
                reason: reason.trim().into(),
            }),
            _ => Err(CeremonyError::Usage(format!(
                "--accept {text:?} gives no reason; write --accept {}=\"why this is acceptable \
                 here\"",
                text.trim_end_matches('=')
            ))),
        }
        .and_then(|accepted| {
            let usage = |why| CeremonyError::Usage(format!("--accept {text:?}: {why}"));
            accepted.check().map_err(usage)?;
            Ok(accepted)
        })
    }

    /// Whether it names something that can be accepted, and gives a reason that can be shown.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !ACCEPTABLE.contains(&self.finding.as_str()) {
            return Err(format!(
                "{:?} is nothing that can be accepted; these are: {}",
                self.finding,
                ACCEPTABLE.join(", ")
            ));
        }
        if self.reason.trim().is_empty() {
            return Err(format!("{:?} needs a reason", self.finding));
        }
        check_line(&self.reason).map_err(|why| format!("the reason for {:?} {why}", self.finding))
    }
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// [`CeremonyError::Profile`]
    pub fn load(path: &Path) -> Result<(Self, String), CeremonyError> {
        let bytes = files::read(path, MAX_PROFILE)?;
        let fail = |why: String| CeremonyError::Profile {
            path: path.into(),
            why,
        };
        let text = String::from_utf8(bytes).map_err(|_| fail("it is not UTF-8".into()))?;
        let profile = Self::parse(&text).map_err(fail)?;
        Ok((profile, text))
    }

    /// Reads a profile's text; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() as u64 > MAX_PROFILE {
            return Err(format!("it has more than {MAX_PROFILE} bytes"));
        }
        let profile: Self = toml::from_str(text).map_err(|error| {
            let told: String = error.to_string().chars().take(MAX_ERROR).collect();
            redact(&told)
        })?;
        profile.check()?;
        Ok(profile)
    }

    /// Every place of a key, with its entry.
    pub fn slots(&self) -> impl Iterator<Item = (RootRole, Slot, &KeyProfile)> {
        self.all_entries().flat_map(|(role, entries)| {
            let keys = entries.keys.iter();
            keys.map(move |key| (role, Slot::new(role, &key.holder), key))
        })
    }

    /// As a file.
    pub fn to_text(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    fn check(&self) -> Result<(), String> {
        if self.name.trim().is_empty() {
            return Err("name is empty; say what the ceremony is for".into());
        }
        check_line(&self.name).map_err(|why| format!("name {why}"))?;
        for (holder, who) in &self.holders {
            check_holder(holder)?;
            check_line(who).map_err(|why| format!("holders.{holder} {why}"))?;
        }
        let settings = &self.policy;
        if settings.seal_signatures == 0 {
            return Err(
                "policy.seal_signatures is at least 1: a transcript that nobody signs \
                        proves nothing"
                    .into(),
            );
        }
        if settings.clock_tolerance.seconds() > i64::from(MAX_CLOCK_TOLERANCE) {
            return Err("policy.clock_tolerance is at most 1d".into());
        }
        for entry in &settings.accept {
            entry
                .check()
                .map_err(|why| format!("policy.accept: {why}"))?;
        }
        self.check_further()?;
        for (role, entries) in self.all_entries() {
            self.check_role(role, entries)?;
        }
        self.check_places()?;
        // Who has signed can vouch; of more, some might not come, with the root signed already.
        let signers = self.roles.root.threshold;
        if settings.seal_signatures > signers {
            return Err(format!(
                "policy.seal_signatures is {}, but {signers} signatures are enough for the root: it \
                 could be signed and never sealed; use at most {signers}",
                settings.seal_signatures
            ));
        }
        Ok(())
    }

    fn check_further(&self) -> Result<(), String> {
        let mut further = RootRole::FURTHER.into_iter();
        let found = further.find(|role| self.entries(*role).is_some());
        if let Some(role) = found.filter(|_| self.repository != RepositoryKind::Director) {
            return Err(format!(
                "roles.{role}: only the root of a Director names such keys; take it out, or set \
                 repository = \"director\""
            ));
        }
        match (&self.roles.offline_snapshot, &self.roles.offline_targets) {
            (Some(_), None) | (None, Some(_)) => Err(
                "roles: offline-snapshot and offline-targets come together, since a root names \
                 both or none"
                    .into(),
            ),
            _ => Ok(()),
        }
    }

    /// Some names of roles have a dash, as those of holders may: two places could get one file.
    fn check_places(&self) -> Result<(), String> {
        let mut places = BTreeMap::new();
        for (_, slot, _) in self.slots() {
            if let Some(other) = places.insert(slot.file_name(), slot.clone()) {
                return Err(format!(
                    "holders: the files of {other} and {slot} would both be named {}; give one of \
                     the holders another short name",
                    slot.file_name()
                ));
            }
        }
        Ok(())
    }

    fn check_role(&self, kind: RootRole, role: Entries<'_>) -> Result<(), String> {
        let (keys, name) = (role.keys.len(), kind.name());
        let entries = role.all().count();
        if entries > MAX_ROLE_KEYIDS {
            return Err(format!(
                "roles.{name} has {entries} keys, with those that leave; a role has at most \
                 {MAX_ROLE_KEYIDS}"
            ));
        }
        match role.threshold as usize {
            0 => return Err(format!("roles.{name}.threshold is at least 1")),
            threshold if threshold > keys => {
                return Err(format!(
                    "roles.{name}.threshold is {threshold}, but it has {keys} keys: nobody could \
                     ever sign it; add keys or lower the threshold"
                ));
            }
            _ => {}
        }
        if kind != RootRole::Top(RoleType::Root) && !role.outgoing.is_empty() {
            return Err(format!(
                "roles.{name}.outgoing: only root has outgoing keys"
            ));
        }
        let mut holders = BTreeSet::new();
        for key in role.keys {
            if !holders.insert(&key.holder) {
                return Err(format!(
                    "roles.{name}.keys: {} holds two keys of one role, so one person would count \
                     twice; give each key a holder of its own",
                    key.holder
                ));
            }
        }
        for key in role.all() {
            self.check_key(name, key)?;
        }
        if let Some(key) = role.leaving().find(|key| key.keyid.is_none()) {
            return Err(format!(
                "roles.{name}: the key of {} leaves and needs its keyid in the previous root",
                key.holder
            ));
        }
        Ok(())
    }

    fn check_key(&self, role: &str, key: &KeyProfile) -> Result<(), String> {
        let fail = |why: String| Err(format!("roles.{role}: the key of {}: {why}", key.holder));
        if !self.holders.contains_key(&key.holder) {
            return fail("this holder is not listed under [holders]".into());
        }
        if let Some(name) = &key.algorithm
            && let Err(error) = name.parse::<Algorithm>()
        {
            return fail(error.to_string());
        }
        if let Some(uri) = &key.uri
            && let Err(why) = portable::check(uri)
        {
            return fail(why);
        }
        if let Err(why) = check_line(key.uri.as_deref().unwrap_or_default()) {
            return fail(format!("uri {why}"));
        }
        match &key.keyid {
            Some(id) if id.len() < 8 || KeyId::new(id.as_str()).is_err() => {
                fail("keyid is the key's id in the previous root, at least 8 characters".into())
            }
            Some(_) if key.algorithm.is_some() => {
                fail("a key with a keyid exists already; leave algorithm out".into())
            }
            _ => Ok(()),
        }
    }
}

/// Whether a text is one line that can be shown among others without passing for several: a run of
/// spaces could push what follows to where a line of its own would begin.
pub(crate) fn check_line(text: &str) -> Result<(), String> {
    let fine = text.len() <= MAX_LINE && is_plain(text) && !text.contains("  ");
    match fine {
        true => Ok(()),
        false => Err(format!(
            "is one line of at most {MAX_LINE} bytes, without control or invisible characters \
             and without two spaces in a row"
        )),
    }
}

/// Whether a text shows all that is in it.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.chars().any(is_invisible)
}

/// Names of holders stand in file names and are read aloud.
pub(crate) fn check_holder(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match (1..=32).contains(&name.len()) && name.bytes().all(plain) {
        true => Ok(()),
        false => Err(format!(
            "holders: {name:?} is not a short name; use 1 to 32 of a-z, 0-9 and -"
        )),
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const EXAMPLE: &str = include_str!("../examples/profile.toml");

    #[test]
    fn the_example_is_a_profile() {
        let profile = Profile::parse(EXAMPLE).expect("a profile");
        assert_eq!(profile.slots().count(), 6);
        assert_eq!(Profile::parse(&profile.to_text()).as_ref(), Ok(&profile));
        assert!(!profile.is_online(RoleType::Targets) && profile.is_online(RoleType::Timestamp));
    }

    #[test]
    fn mistakes_are_named() {
        let change = |from: &str, to: &str| {
            assert!(EXAMPLE.contains(from), "{from}");
            Profile::parse(&EXAMPLE.replacen(from, to, 1)).expect_err(to)
        };
        for (from, to, problem) in [
            ("threshold = 2", "threshold = 4", "nobody could ever sign"),
            ("threshold = 2", "threshold = 0", "at least 1"),
            ("threshold = 2", "treshold = 2", "treshold"),
            (
                "holder = \"anna\"",
                "holder = \"ben\"",
                "two keys of one role",
            ),
            ("holder = \"anna\"", "holder = \"anne\"", "not listed under"),
            ("\"ecdsa-p256\"", "\"ecdsa-p512\"", "unknown algorithm"),
            ("uri = \"pkcs11:", "uri = \"pkcs12:", "unknown scheme"),
            ("ben = ", "\"Ben B\" = ", "not a short name"),
            ("name = ", "name = \"\" #", "name is empty"),
            (
                "[roles.root]",
                "[policy]\nseal_signatures = 3\n[roles.root]",
                "never sealed",
            ),
            ("name = ", "name = \"a   b\" #", "name is one line"),
        ] {
            let error = change(from, to);
            assert!(error.contains(problem), "{from} -> {to}: {error}");
        }
        let error = change("object=root\"", "object=root?pin-value=4321\"");
        assert!(!error.contains("4321"), "{error}");
    }

    #[test]
    fn acceptance_needs_a_reason() {
        assert!(Accepted::parse("key-in-file").is_err());
        assert!(Accepted::parse("key-in-file= ").is_err());
        let accepted = Accepted::parse("key-in-file=a rehearsal = fine").expect("accepted");
        assert_eq!(accepted.reason, "a rehearsal = fine");
    }
}
