//! `repo.toml` follows a Root that was made elsewhere: which keys each role has, and how many of
//! them must sign.

use std::collections::BTreeMap;

use countersign_metadata::{Key, PublicKey, RoleType, Root};

use crate::error::RepoError;
use crate::files;
use crate::home::Home;
use crate::keys::{KeyJson, is_uri, redact};
use crate::policy_edit;
use crate::repository::Repository;

/// Where public halves of keys that sign elsewhere are kept.
const KEYS: &str = "keys";

/// Keys that somebody names for the roles of a Root: key URIs, or public key files.
pub type NamedKeys = BTreeMap<RoleType, Vec<String>>;

impl Repository {
    /// Makes `repo.toml` say of the four roles what `root` says. `named` keys come first, then
    /// those that `repo.toml` knew; for a key that neither names, a public key file is written.
    /// Keys that a role loses are kept among the retired ones: they may sign the way over.
    ///
    /// # Errors
    /// [`RepoError::RootImport`] for a named key that the Root does not give to the role.
    pub(crate) fn adopt(
        &mut self,
        root: &Root,
        file: &str,
        named: &NamedKeys,
    ) -> Result<(), RepoError> {
        let mut roles = BTreeMap::new();
        for kind in RoleType::ALL {
            let entries = self.entries_for(root, kind, file, named)?;
            let threshold = root.roles.get(&kind).map_or(1, |role| role.threshold);
            roles.insert(kind, (entries, threshold));
        }
        let in_use = |entry: &String| roles.values().any(|(entries, _)| entries.contains(entry));
        let before = RoleType::ALL
            .into_iter()
            .flat_map(|kind| self.policy.role(kind).keys.clone());
        let mut retired: Vec<String> = Vec::new();
        for entry in self.policy.retired_keys.iter().cloned().chain(before) {
            if is_uri(&entry) && !in_use(&entry) && !retired.contains(&entry) {
                retired.push(entry);
            }
        }
        self.edit_policy(|policy| {
            for (kind, (entries, threshold)) in &roles {
                policy_edit::set_keys(policy, *kind, entries);
                policy_edit::set_threshold(policy, *kind, *threshold);
            }
            policy_edit::set_retired(policy, &retired);
        })
    }

    /// One entry for each usable key that the Root gives to a role.
    fn entries_for(
        &mut self,
        root: &Root,
        kind: RoleType,
        file: &str,
        named: &NamedKeys,
    ) -> Result<Vec<String>, RepoError> {
        let authority = root.claimed_authority(kind);
        let mut open: Vec<PublicKey> = authority.public_keys().into_iter().cloned().collect();
        let mut entries = Vec::new();
        for entry in named.get(&kind).into_iter().flatten() {
            let key = self.keys.resolve(&self.home, entry)?;
            if !open.contains(&key) {
                let entry = redact(entry);
                let id = Key::new(&key).id();
                return Err(RepoError::RootImport {
                    file: file.into(),
                    why: format!(
                        "it does not give {kind} the key {entry} ({id}), or {kind} has it twice; \
                         'repo-tool key show' shows a key's id"
                    ),
                });
            }
            open.retain(|other| *other != key);
            entries.push(entry.clone());
        }
        let mut known: Vec<String> = self.policy.role(kind).keys.clone();
        known.extend(self.policy.all_keys().map(str::to_owned));
        for entry in known {
            let Some(key) = self.keys.recall(&self.home, &entry) else {
                continue;
            };
            if open.contains(&key) {
                open.retain(|other| *other != key);
                entries.push(entry);
            }
        }
        for key in open {
            entries.push(public_key_file(&self.home, &key)?);
        }
        Ok(entries)
    }
}

/// Writes the public half of a key that signs elsewhere; returns the entry for it.
pub(crate) fn public_key_file(home: &Home, key: &PublicKey) -> Result<String, RepoError> {
    let id = Key::new(key).id();
    let short: String = id.as_str().chars().take(16).collect();
    let entry = format!("{KEYS}/{short}.json");
    let path = home.folder().join(&entry);
    let mut text = serde_json::to_string_pretty(&KeyJson::new(key)).unwrap_or_default();
    text.push('\n');
    match files::read(&path)? {
        Some(there) if there == text.as_bytes() => {}
        Some(_) => return Err(RepoError::AlreadyExists { path }),
        None => home.write(&path, text.as_bytes())?,
    }
    Ok(entry)
}
