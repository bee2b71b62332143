//! Delegating to other roles, and taking it back.

use std::collections::{BTreeMap, BTreeSet};

use countersign_metadata::json::Object;
use countersign_metadata::limits::MAX_AGREEING_ROLES;
use countersign_metadata::uptane::HardwareId;
use countersign_metadata::{
    DelegatedRole, Delegation, Delegations, Key, KeyId, MultiRole, PathSet, RoleKeys, Roles,
    TargetFile, TargetPath, TargetsBuilder,
};

use crate::batch::Batch;
use crate::error::RepoError;
use crate::policy::Span;
use crate::policy_edit;
use crate::repository::Repository;
use crate::tree::{TOP, check_role_name, entry_of, names};

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
    pub scope: Scope,
}

/// What a delegation is for.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Which target names.
    pub paths: PathSet,
    /// Which hardware; any, if `None`.
    pub hardware_ids: Option<Vec<HardwareId>>,
    /// Whether the search ends with it when it matches.
    pub terminating: bool,
}

/// A delegation to several roles, of which some must agree.
#[derive(Debug, Clone)]
pub struct NewMultiDelegation {
    /// What they are called together.
    pub name: String,
    /// The delegating role.
    pub from: String,
    /// The new roles and who signs them, most trusted first.
    pub roles: Vec<(String, DelegatedKeys)>,
    /// How many must agree.
    pub min: u32,
    /// What they are trusted for.
    pub scope: Scope,
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
    /// New hardware identifiers.
    pub hardware_ids: Option<Vec<HardwareId>>,
}

impl Repository {
    /// Stages a delegation and the first version of the new role.
    ///
    /// # Errors
    /// [`RepoError::RoleName`], [`RepoError::RoleExists`], [`RepoError::NoSuchRole`],
    /// [`RepoError::Delegation`], or what is wrong with a key.
    pub fn add_delegation(&mut self, new: NewDelegation) -> Result<(), RepoError> {
        check_paths(&new.from, &new.scope.paths)?;
        self.check_delegator(&new.from)?;
        self.check_new_name(&new.role)?;
        let (role_keys, keys) = self.delegated_keys(&new.from, &new.signers)?;
        let role = DelegatedRole {
            name: new.role.clone(),
            role_keys,
            paths: new.scope.paths,
            hardware_ids: new.scope.hardware_ids,
            terminating: new.scope.terminating,
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

    /// Stages a delegation to several roles, and the first version of each.
    ///
    /// # Errors
    /// As [`Repository::add_delegation`].
    pub fn add_multi_delegation(&mut self, new: NewMultiDelegation) -> Result<(), RepoError> {
        check_paths(&new.from, &new.scope.paths)?;
        self.check_delegator(&new.from)?;
        check_agreement(&new)?;
        self.check_new_name(&new.name)?;
        let (mut roles, mut keys) = (Vec::new(), BTreeMap::new());
        for (role, signers) in &new.roles {
            self.check_new_name(role)?;
            let (role_keys, more) = self.delegated_keys(&new.from, signers)?;
            roles.push((role.clone(), role_keys));
            keys.extend(more);
        }
        let entry = MultiRole {
            name: new.name,
            roles,
            min_roles_in_agreement: new.min,
            paths: new.scope.paths,
            hardware_ids: new.scope.hardware_ids,
            terminating: new.scope.terminating,
            extra: Object::new(),
        };
        if let Some(delegations) = &mut self.draft_of(&new.from)?.delegations {
            listed(&new.from, delegations)?;
        }
        // As with one role: the files come before the delegation to them.
        for (role, signers) in &new.roles {
            self.remember_delegation(role, signers)?;
            self.stage_first(role, Images::new())?;
        }
        self.edit(&new.from, |draft| {
            let delegations = draft.delegations.get_or_insert_with(Delegations::empty);
            delegations.keys.extend(keys);
            listed(&new.from, delegations)?.push(entry.into());
            Ok(())
        })?;
        Ok(())
    }

    /// Changes the keys, threshold, paths or hardware of a delegated role, and stages its next
    /// version where new keys have to sign it. Of roles that must agree, each has its own keys
    /// and threshold, and they share the rest.
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
        // As with a new role, `repo.toml` comes first: it then knows the keys of both states.
        if let Some(keys) = &change.keys {
            let entry = self.entry_in_policy(&from, role)?;
            let expires = self.policy.expires(role);
            self.edit_policy(|policy| policy_edit::set_delegation(policy, &entry, keys, expires))?;
        }
        self.edit(&from, |draft| {
            let Some(delegations) = &mut draft.delegations else {
                return Err(missing());
            };
            let entry = match &mut delegations.roles {
                Roles::Succinct(bins) => &mut bins.role_keys,
                Roles::Listed(roles) => {
                    let entry = roles
                        .iter_mut()
                        .find(|entry| entry.roles().any(|(name, _)| name == role))
                        .ok_or_else(missing)?;
                    let (paths, hardware_ids) = match entry {
                        Delegation::Role(role) => (&mut role.paths, &mut role.hardware_ids),
                        Delegation::Multi(multi) => (&mut multi.paths, &mut multi.hardware_ids),
                    };
                    if let Some(new) = change.paths {
                        *paths = new;
                    }
                    if let Some(new) = change.hardware_ids {
                        *hardware_ids = Some(new);
                    }
                    entry.role_keys_mut(role).ok_or_else(missing)?
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
        Ok(())
    }

    /// Under which name `repo.toml` has the keys of a role: succinct bins share one entry.
    fn entry_in_policy(&self, from: &str, role: &str) -> Result<String, RepoError> {
        let content = self.tree().role(from)?;
        let delegations = content.as_ref().and_then(|content| content.delegations());
        Ok(match delegations.map(|all| &all.roles) {
            Some(Roles::Succinct(bins)) => bins.name_prefix.clone(),
            _ => role.to_owned(),
        })
    }

    /// Stages the end of a delegation. The role's published file stays where it is, and Snapshot
    /// goes on listing it (TUF 5.5.5). Roles that must agree go together, by what they are called
    /// together.
    ///
    /// # Errors
    /// [`RepoError::NoSuchRole`], [`RepoError::Delegation`]
    pub fn remove_delegation(&mut self, role: &str) -> Result<(), RepoError> {
        let missing = || RepoError::NoSuchRole { role: role.into() };
        let from = match self.tree().delegation(role)? {
            Some(delegation) => delegation.delegator,
            None => self
                .tree()
                .delegator_of_several(role)?
                .ok_or_else(missing)?,
        };
        let mut gone = Vec::new();
        for top in self.roles_called(&from, role)? {
            let below = self.tree().below(&top)?.into_iter();
            gone.extend(below.map(|(name, _)| name));
            gone.push(top);
        }
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
        for gone in gone {
            if self.tree().delegation(&gone)?.is_none() {
                self.drafts.remove(&gone)?;
            }
        }
        Ok(())
    }

    /// The roles that the entry `name` of `from` delegates to.
    fn roles_called(&self, from: &str, name: &str) -> Result<Vec<String>, RepoError> {
        let content = self.tree().role(from)?;
        let delegations = content.as_ref().and_then(|content| content.delegations());
        match delegations.and_then(|delegations| entry_of(delegations, name)) {
            Some(Delegation::Multi(multi)) => Err(RepoError::Delegation {
                role: from.into(),
                why: format!(
                    "'{name}' must agree with others and cannot go alone; remove '{}', which \
                     is what they are called together",
                    multi.name
                ),
            }),
            Some(Delegation::Role(_)) => Ok(vec![name.into()]),
            None => {
                let Some(Roles::Listed(listed)) = delegations.map(|all| &all.roles) else {
                    return Ok(vec![name.into()]);
                };
                let entry = listed.iter().find(|entry| entry.name() == name);
                let roles = entry.into_iter().flat_map(Delegation::roles);
                Ok(roles.map(|(role, _)| role.to_owned()).collect())
            }
        }
    }

    /// A name that a role, or several together, can take.
    fn check_new_name(&self, name: &str) -> Result<(), RepoError> {
        check_role_name(name)?;
        let tree = self.tree();
        match tree.delegation(name)?.is_some() || tree.delegator_of_several(name)?.is_some() {
            true => Err(RepoError::RoleExists { role: name.into() }),
            false => Ok(()),
        }
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
        let mut batch = Batch::new(self.home.unfinished());
        self.stage_first_in(&mut batch, role, targets)?;
        batch.finish()
    }

    /// As [`Repository::stage_first`], with others: the draft is there once `batch` is finished.
    pub(crate) fn stage_first_in(
        &mut self,
        batch: &mut Batch,
        role: &str,
        targets: Images,
    ) -> Result<(), RepoError> {
        let mut first = TargetsBuilder::new(self.policy.expires(role).after(self.now));
        first.header.version = self.published.version_of(role) + 1;
        first.targets = targets;
        self.drafts.stage_in(batch, role, first.to_payload())
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

/// Different names, and a number of them that can agree.
fn check_agreement(new: &NewMultiDelegation) -> Result<(), RepoError> {
    let names = new.roles.iter().map(|(role, _)| role);
    let names: BTreeSet<&String> = names.chain([&new.name]).collect();
    let why = if names.len() <= new.roles.len() {
        "the roles, and what they are called together, need different names".into()
    } else if !(2..=MAX_AGREEING_ROLES).contains(&new.roles.len()) {
        format!(
            "name 2 to {MAX_AGREEING_ROLES} roles that are to agree; for one, use 'delegation add'"
        )
    } else if !(1..=new.roles.len()).contains(&(new.min as usize)) {
        format!(
            "{} roles can never agree out of {}",
            new.min,
            new.roles.len()
        )
    } else {
        return Ok(());
    };
    Err(RepoError::Delegation {
        role: new.from.clone(),
        why,
    })
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
