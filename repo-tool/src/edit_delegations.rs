//! Delegating to other roles, and taking it back.

use std::collections::BTreeMap;

use countersign_metadata::json::Object;
use countersign_metadata::{
    DelegatedRole, Delegation, Delegations, Key, KeyId, PathSet, RoleKeys, Roles, TargetFile,
    TargetPath, TargetsBuilder,
};

use crate::error::RepoError;
use crate::policy::Span;
use crate::policy_edit;
use crate::repository::Repository;
use crate::tree::{TOP, check_role_name, names};

pub(crate) type Images = BTreeMap<TargetPath, TargetFile>;

/// Who signs a delegated role and for how long.
#[derive(Debug, Clone)]
pub struct DelegatedKeys {
    /// Key URIs or public key files, as in `repo.toml`.
    pub keys: Vec<String>,
    /// How many of them must sign.
    pub threshold: u32,
    /// How long a file is valid; as Targets, if not given.
    pub expires: Option<Span>,
}

/// A delegation to add.
#[derive(Debug, Clone)]
pub struct NewDelegation {
    /// The new role's name.
    pub role: String,
    /// The delegating role.
    pub from: String,
    /// Who signs.
    pub signers: DelegatedKeys,
    /// What it is trusted for.
    pub paths: PathSet,
    /// Whether the search ends with it.
    pub terminating: bool,
}

/// What changes in a delegation; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct DelegationChange {
    /// New keys, in place of all old ones.
    pub keys: Option<Vec<String>>,
    /// A new threshold.
    pub threshold: Option<u32>,
    /// New paths.
    pub paths: Option<PathSet>,
}

impl Repository {
    /// Stages a delegation and the first version of the new role.
    ///
    /// # Errors
    /// [`RepoError::RoleName`], [`RepoError::RoleExists`], [`RepoError::NoSuchRole`],
    /// [`RepoError::Delegation`], or what is wrong with a key.
    pub fn add_delegation(&mut self, new: NewDelegation) -> Result<(), RepoError> {
        check_role_name(&new.role)?;
        check_paths(&new.from, &new.paths)?;
        self.check_delegator(&new.from)?;
        if self.tree().delegation(&new.role)?.is_some() {
            return Err(RepoError::RoleExists { role: new.role });
        }
        let (role_keys, keys) = self.delegated_keys(&new.from, &new.signers)?;
        let role = DelegatedRole {
            name: new.role.clone(),
            role_keys,
            paths: new.paths,
            hardware_ids: None,
            terminating: new.terminating,
            extra: Object::new(),
        };
        if let Some(delegations) = &mut self.draft_of(&new.from)?.delegations {
            listed(&new.from, delegations)?;
        }
        // The new role's file comes before the delegation to it, so that a run that is killed in
        // between leaves no delegation to a role without a file.
        self.remember_delegation(&new.role, &new.signers)?;
        self.stage_first(&new.role, Images::new())?;
        self.edit(&new.from, |draft| {
            let delegations = draft.delegations.get_or_insert_with(Delegations::empty);
            delegations.keys.extend(keys);
            listed(&new.from, delegations)?.push(role.into());
            Ok(())
        })?;
        Ok(())
    }

    /// Changes the keys, threshold or paths of a delegated role, and stages its next version
    /// where new keys have to sign it.
    ///
    /// # Errors
    /// As [`Repository::add_delegation`].
    pub fn change_delegation(
        &mut self,
        role: &str,
        change: DelegationChange,
    ) -> Result<(), RepoError> {
        let missing = || RepoError::NoSuchRole { role: role.into() };
        let found = self.tree().delegation(role)?.ok_or_else(missing)?;
        let from = found.delegator;
        if let Some(paths) = &change.paths {
            check_paths(&from, paths)?;
        }
        let new_keys = match &change.keys {
            Some(keys) => Some(self.public_keys(keys)?),
            None => None,
        };
        let threshold = change.threshold.unwrap_or(found.role_keys.threshold);
        let count = new_keys
            .as_ref()
            .map_or(found.role_keys.keyids.len(), BTreeMap::len);
        check_threshold(&from, threshold, count)?;
        let mut entry_in_policy = role.to_owned();
        self.edit(&from, |draft| {
            let Some(delegations) = &mut draft.delegations else {
                return Err(missing());
            };
            let entry = match &mut delegations.roles {
                Roles::Succinct(bins) => {
                    entry_in_policy.clone_from(&bins.name_prefix);
                    &mut bins.role_keys
                }
                Roles::Listed(roles) => {
                    let entry = roles.iter_mut().find_map(|entry| match entry {
                        Delegation::Role(entry) => (entry.name == role).then_some(entry),
                        Delegation::Multi(_) => None,
                    });
                    let entry = entry.ok_or_else(missing)?;
                    if let Some(paths) = change.paths {
                        entry.paths = paths;
                    }
                    &mut entry.role_keys
                }
            };
            entry.threshold = threshold;
            if let Some(keys) = new_keys {
                entry.keyids = keys.keys().cloned().collect();
                delegations.keys.extend(keys);
                drop_unused_keys(delegations);
            }
            Ok(())
        })?;
        if let Some(keys) = change.keys {
            let expires = self.policy.expires(role);
            self.edit_policy(|policy| {
                policy_edit::set_delegation(policy, &entry_in_policy, &keys, expires);
            })?;
        }
        Ok(())
    }

    /// Stages the end of a delegation. The role's published file stays where it is, and Snapshot
    /// goes on listing it (TUF 5.5.5).
    ///
    /// # Errors
    /// [`RepoError::NoSuchRole`]
    pub fn remove_delegation(&mut self, role: &str) -> Result<(), RepoError> {
        let missing = || RepoError::NoSuchRole { role: role.into() };
        let from = self.tree().delegation(role)?.ok_or_else(missing)?.delegator;
        let gone: Vec<String> = self
            .tree()
            .below(role)?
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        self.edit(&from, |draft| {
            let Some(delegations) = &mut draft.delegations else {
                return Err(missing());
            };
            match &mut delegations.roles {
                Roles::Succinct(_) => {
                    return Err(RepoError::Delegation {
                        role: from.clone(),
                        why: "its bins belong together; one of them cannot be removed".into(),
                    });
                }
                Roles::Listed(roles) => roles.retain(|entry| entry.name() != role),
            }
            drop_unused_keys(delegations);
            let empty = names(delegations).is_empty() && delegations.extra.is_empty();
            if empty {
                draft.delegations = None;
            }
            Ok(())
        })?;
        for gone in gone.iter().map(String::as_str).chain([role]) {
            if self.tree().delegation(gone)?.is_none() {
                self.drafts.remove(gone)?;
            }
        }
        Ok(())
    }

    pub(crate) fn check_delegator(&self, from: &str) -> Result<(), RepoError> {
        match from == TOP || self.tree().delegation(from)?.is_some() {
            true => Ok(()),
            false => Err(RepoError::NoSuchRole { role: from.into() }),
        }
    }

    pub(crate) fn delegated_keys(
        &mut self,
        from: &str,
        signers: &DelegatedKeys,
    ) -> Result<(RoleKeys, BTreeMap<KeyId, Key>), RepoError> {
        let keys = self.public_keys(&signers.keys)?;
        check_threshold(from, signers.threshold, keys.len())?;
        Ok((RoleKeys::new(keys.keys().cloned(), signers.threshold), keys))
    }

    pub(crate) fn remember_delegation(
        &mut self,
        role: &str,
        signers: &DelegatedKeys,
    ) -> Result<(), RepoError> {
        let expires = signers.expires.unwrap_or(self.policy.roles.targets.expires);
        self.edit_policy(|policy| policy_edit::set_delegation(policy, role, &signers.keys, expires))
    }

    /// A delegated role needs a file, or every search that it matches would end there. A role
    /// that was there once begins anew, but with the version after its last one (TUF 5.5.5).
    pub(crate) fn stage_first(&mut self, role: &str, targets: Images) -> Result<(), RepoError> {
        let mut first = TargetsBuilder::new(self.policy.expires(role).after(self.now));
        first.header.version = self.published.version_of(role) + 1;
        first.targets = targets;
        self.drafts.stage(role, first.to_payload())
    }

    /// The public keys of entries as in `repo.toml`, by id.
    pub(crate) fn public_keys(
        &mut self,
        entries: &[String],
    ) -> Result<BTreeMap<KeyId, Key>, RepoError> {
        let mut keys = BTreeMap::new();
        for entry in entries {
            let key = Key::new(&self.keys.resolve(&self.home, entry)?);
            keys.insert(key.id(), key);
        }
        Ok(keys)
    }
}

pub(crate) fn listed<'a>(
    from: &str,
    delegations: &'a mut Delegations,
) -> Result<&'a mut Vec<Delegation>, RepoError> {
    match &mut delegations.roles {
        Roles::Listed(roles) => Ok(roles),
        Roles::Succinct(_) => Err(RepoError::Delegation {
            role: from.into(),
            why: "it has succinct bins, and then nothing else can stand beside them (TAP 15)"
                .into(),
        }),
    }
}

fn drop_unused_keys(delegations: &mut Delegations) {
    let used: Vec<KeyId> = match &delegations.roles {
        Roles::Listed(roles) => roles
            .iter()
            .flat_map(Delegation::roles)
            .flat_map(|(_, role_keys)| role_keys.keyids.clone())
            .collect(),
        Roles::Succinct(bins) => bins.role_keys.keyids.clone(),
    };
    delegations.keys.retain(|id, _| used.contains(id));
}

fn check_threshold(from: &str, threshold: u32, keys: usize) -> Result<(), RepoError> {
    match (1..=keys).contains(&(threshold as usize)) {
        true => Ok(()),
        false => Err(RepoError::Delegation {
            role: from.into(),
            why: format!("the threshold is {threshold}, with {keys} different keys"),
        }),
    }
}

fn check_paths(from: &str, paths: &PathSet) -> Result<(), RepoError> {
    let hex = |text: &String| {
        !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let why = match paths {
        PathSet::Patterns(list) | PathSet::HashPrefixes(list) if list.is_empty() => {
            "name at least one path, or the role would be trusted for nothing"
        }
        PathSet::HashPrefixes(list) if !list.iter().all(hex) => {
            "hash prefixes are 1 to 64 digits 0-9a-f"
        }
        PathSet::Patterns(list)
            if list
                .iter()
                .any(|path| path.is_empty() || path.starts_with('/')) =>
        {
            "paths are relative, such as 'firmware/*'"
        }
        _ => return Ok(()),
    };
    Err(RepoError::Delegation {
        role: from.into(),
        why: why.into(),
    })
}
