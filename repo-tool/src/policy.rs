//! `repo.toml`: the policy. Who signs each role, how many of them, for how long, and where the
//! repository is published.

mod span;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use countersign_metadata::RoleType;
use serde::{Deserialize, Serialize};

pub use self::span::Span;

use crate::error::RepoError;
use crate::files;
use crate::keys::{check_entry, redact};

/// The policy's file name in the repository's folder.
pub const POLICY_FILE: &str = "repo.toml";

/// The content of `repo.toml`. A key that is not listed here is refused, so that a misspelt
/// setting is never silently without effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Whether files are published under version and hash prefixes (TUF 6.2). Default: yes.
    #[serde(default = "yes")]
    pub consistent_snapshot: bool,
    /// The folder that gets `metadata/` and `targets/`, relative to the repository's folder.
    #[serde(default = "default_destination")]
    pub destination: PathBuf,
    /// Timestamp and Snapshot are renewed by `refresh` when they expire within this time, or
    /// when half of their life is over, whichever comes later.
    #[serde(default = "default_refresh_before")]
    pub refresh_before: Span,
    /// How long after a new Root the files still carry the signatures of outgoing keys too, for
    /// clients that asked for the next Root just before it was there. Above what a client may take
    /// from there to Timestamp (minutes), and what a cache between keeps that answer for.
    #[serde(default = "default_rotation_grace")]
    pub rotation_grace: Span,
    /// What Snapshot states of each Targets file.
    #[serde(default)]
    pub snapshot_lists: Listing,
    /// What Timestamp states of the Snapshot file. Vehicles take nothing less than hashes
    /// (Uptane 5.2.5).
    #[serde(default)]
    pub timestamp_lists: Listing,
    /// Keys that have been taken out of their roles. They are needed to sign the way over to a new
    /// Root, and wherever the published state asks for them until a change of keys is published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired_keys: Vec<String>,
    /// The four top-level roles.
    pub roles: TopLevel,
    /// Delegated roles by name. Bins share one entry under their name's prefix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub delegations: BTreeMap<String, DelegatedPolicy>,
}

/// The policy of the four top-level roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopLevel {
    /// Root.
    pub root: RolePolicy,
    /// Targets.
    pub targets: RolePolicy,
    /// Snapshot.
    pub snapshot: RolePolicy,
    /// Timestamp.
    pub timestamp: RolePolicy,
}

/// The policy of one top-level role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolePolicy {
    /// How many of the keys must sign.
    pub threshold: u32,
    /// Key URIs (`file:`, `pkcs11:`) of keys that can sign here, or paths of public key files
    /// for keys that sign elsewhere.
    pub keys: Vec<String>,
    /// How long a signed file is valid.
    pub expires: Span,
}

/// What this machine knows of a delegated role. Its threshold and paths stand in the metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegatedPolicy {
    /// As in [`RolePolicy`].
    pub keys: Vec<String>,
    /// How long a signed file is valid.
    pub expires: Span,
}

/// What one metadata file states of another (TUF 4.4: length and hashes are optional).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listing {
    /// Version, length and hashes: a mirror cannot serve other bytes, even signed ones.
    #[default]
    Hashes,
    /// Version and length.
    Lengths,
    /// The version alone: the smallest Snapshot.
    Versions,
}

impl Policy {
    /// These roles, and the defaults for everything else.
    pub fn new(roles: TopLevel) -> Self {
        Self {
            consistent_snapshot: yes(),
            destination: default_destination(),
            refresh_before: default_refresh_before(),
            rotation_grace: default_rotation_grace(),
            snapshot_lists: Listing::default(),
            timestamp_lists: Listing::default(),
            retired_keys: Vec::new(),
            roles,
            delegations: BTreeMap::new(),
        }
    }

    /// Reads and checks the policy of the repository in `folder`.
    ///
    /// # Errors
    /// [`RepoError::NotARepository`] without the file, [`RepoError::Policy`] with the line of
    /// what is wrong in it.
    pub fn load(folder: &Path) -> Result<Self, RepoError> {
        let path = folder.join(POLICY_FILE);
        let not_a_repository = || RepoError::NotARepository {
            folder: folder.to_owned(),
        };
        let bytes = files::read(&path)?.ok_or_else(not_a_repository)?;
        let text = String::from_utf8(bytes).map_err(|_| RepoError::Policy {
            path: path.clone(),
            what: "is not UTF-8".into(),
        })?;
        Self::parse(&text, &path)
    }

    /// Reads and checks a policy; `path` is for messages only.
    ///
    /// # Errors
    /// [`RepoError::Policy`]
    pub fn parse(text: &str, path: &Path) -> Result<Self, RepoError> {
        let fail = |what: String| RepoError::Policy {
            path: path.to_owned(),
            what,
        };
        let policy: Self =
            toml::from_str(text).map_err(|error| fail(redact(&error.to_string())))?;
        policy.check().map_err(fail)?;
        Ok(policy)
    }

    /// As the text of a new `repo.toml`.
    pub fn to_text(&self) -> String {
        // Nothing in this type can fail to serialise: string keys, no empty enums.
        toml::to_string(self).unwrap_or_default()
    }

    /// The policy of a top-level role.
    pub fn role(&self, role: RoleType) -> &RolePolicy {
        match role {
            RoleType::Root => &self.roles.root,
            RoleType::Targets => &self.roles.targets,
            RoleType::Snapshot => &self.roles.snapshot,
            RoleType::Timestamp => &self.roles.timestamp,
        }
    }

    pub(crate) fn role_mut(&mut self, role: RoleType) -> &mut RolePolicy {
        match role {
            RoleType::Root => &mut self.roles.root,
            RoleType::Targets => &mut self.roles.targets,
            RoleType::Snapshot => &mut self.roles.snapshot,
            RoleType::Timestamp => &mut self.roles.timestamp,
        }
    }

    /// How long a file of `role` is valid. A delegated role without an entry of its own, nor of
    /// its bins' prefix, is valid as long as Targets.
    pub fn expires(&self, role: &str) -> Span {
        if let Some(kind) = RoleType::from_name(role) {
            return self.role(kind).expires;
        }
        let shared = || role.rsplit_once('-').map(|(prefix, _)| prefix);
        let entry = self.delegations.get(role);
        let entry = entry.or_else(|| self.delegations.get(shared()?));
        entry.map_or(self.roles.targets.expires, |entry| entry.expires)
    }

    /// All entries under any `keys`, and the retired ones.
    pub fn all_keys(&self) -> impl Iterator<Item = &str> {
        let top = RoleType::ALL
            .into_iter()
            .flat_map(|role| &self.role(role).keys);
        let delegated = self.delegations.values().flat_map(|role| &role.keys);
        top.chain(delegated)
            .chain(&self.retired_keys)
            .map(String::as_str)
    }

    fn check(&self) -> Result<(), String> {
        for role in RoleType::ALL {
            let RolePolicy {
                threshold, keys, ..
            } = self.role(role);
            if *threshold == 0 {
                return Err(format!("roles.{role}.threshold must be at least 1"));
            }
            if *threshold as usize > keys.len() {
                return Err(format!(
                    "roles.{role}.threshold is {threshold}, but only {} keys are listed; \
                     list more keys or lower the threshold",
                    keys.len()
                ));
            }
        }
        let top = RoleType::ALL
            .into_iter()
            .map(|role| (format!("roles.{role}.keys"), &self.role(role).keys));
        let delegated = self.delegations.iter();
        let delegated = delegated.map(|(role, of)| (format!("delegations.{role}.keys"), &of.keys));
        let retired = [("retired_keys".to_owned(), &self.retired_keys)];
        for (at, keys) in top.chain(delegated).chain(retired) {
            for key in keys {
                check_entry(key).map_err(|error| format!("{at}: {error}"))?;
            }
        }
        if self.destination.as_os_str().is_empty() {
            return Err("destination must name a folder".into());
        }
        Ok(())
    }
}

fn yes() -> bool {
    true
}

fn default_destination() -> PathBuf {
    "published".into()
}

fn default_refresh_before() -> Span {
    Span(7 * 86_400)
}

fn default_rotation_grace() -> Span {
    Span(3_600)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        refresh_before = "12h"
        [roles.root]
        threshold = 2
        keys = ["file:a", "file:b", "keys/c.pub"]
        expires = "1y"
        [roles.targets]
        threshold = 1
        keys = ["file:t"]
        expires = "90d"
        [roles.snapshot]
        threshold = 1
        keys = ["file:s"]
        expires = "7d"
        [roles.timestamp]
        threshold = 1
        keys = ["file:s"]
        expires = "1d"
        [delegations.bin]
        keys = ["file:t"]
        expires = "30d"
    "#;

    fn refusal(text: &str) -> String {
        Policy::parse(text, Path::new("repo.toml"))
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn a_policy_reads_what_it_writes() -> Result<(), RepoError> {
        let policy = Policy::parse(GOOD, Path::new("repo.toml"))?;
        assert!(policy.consistent_snapshot);
        assert_eq!(policy.refresh_before.seconds(), 43_200);
        assert_eq!(policy.expires("bin-1f").to_string(), "30d");
        assert_eq!(policy.expires("other").to_string(), "90d");
        assert_eq!(policy.all_keys().count(), 7);
        assert_eq!(Policy::parse(&policy.to_text(), Path::new("x"))?, policy);
        Ok(())
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let message = refusal(&format!("consistent_snapshots = true\n{GOOD}"));
        assert!(message.contains("consistent_snapshots"), "{message}");
        assert!(message.contains("line 1"), "{message}");
        let message = refusal(&GOOD.replacen("threshold", "treshold", 1));
        assert!(
            message.contains("treshold") && message.contains("line 4"),
            "{message}"
        );
    }

    #[test]
    fn thresholds_that_nobody_can_reach_are_refused() {
        let message = refusal(&GOOD.replacen("threshold = 2", "threshold = 4", 1));
        assert!(message.contains("roles.root.threshold is 4"), "{message}");
        let message = refusal(&GOOD.replacen("threshold = 2", "threshold = 0", 1));
        assert!(message.contains("at least 1"), "{message}");
        refusal(&GOOD.replacen("threshold = 2", "threshold = -1", 1));
    }
}
