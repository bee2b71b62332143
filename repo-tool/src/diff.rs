//! What publishing would change, for people to read before they sign.

use std::collections::BTreeMap;

use countersign_metadata::uptane::{HardwareId, ImageCustom};
use countersign_metadata::{
    Delegation, Delegations, PathSet, Role, RoleKeys, RoleType, Roles, Root, TargetFile, Targets,
};
use serde::Serialize;

use crate::error::RepoError;
use crate::images::{Visibility, sha256_of};
use crate::repository::Repository;
use crate::sign::short;
use crate::tree::names;

/// The changes of one staged role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoleDiff {
    /// The role.
    pub role: String,
    /// The published version; absent for a new role.
    pub from: Option<u64>,
    /// The staged version.
    pub to: u64,
    /// One entry for each change.
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `+` added, `-` removed, `~` changed.
    pub sign: char,
    /// `target`, `delegation`, `key`, `threshold`, `expires`.
    pub what: &'static str,
    /// Which one.
    pub name: String,
    /// The new state, and where it helps the old one.
    pub detail: String,
}

impl Change {
    fn new(sign: char, what: &'static str, name: impl Into<String>, detail: String) -> Self {
        Self {
            sign,
            what,
            name: name.into(),
            detail,
        }
    }
}

impl Repository {
    /// What is staged against what is published: Root, then the Targets roles.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn diff(&self) -> Result<Vec<RoleDiff>, RepoError> {
        let mut diffs = Vec::new();
        if let Some(staged) = self.drafts.content::<Root>("root")? {
            let published = self.published.root_content()?;
            diffs.push(RoleDiff {
                role: "root".into(),
                from: published.as_ref().map(Role::version),
                to: staged.version(),
                changes: root_changes(published.as_ref(), &staged),
            });
        }
        for role in self.drafts.targets_roles()?.into_iter().rev() {
            if let Some(staged) = self.drafts.content::<Targets>(&role)? {
                let published = self.published.targets_content(&role)?;
                diffs.push(RoleDiff {
                    from: published.as_ref().map(|file| file.version()),
                    to: staged.version(),
                    changes: targets_changes(published.as_deref(), &staged),
                    role,
                });
            }
        }
        Ok(diffs)
    }
}

fn root_changes(published: Option<&Root>, staged: &Root) -> Vec<Change> {
    let mut changes = Vec::new();
    for kind in RoleType::ALL {
        let old = published.and_then(|root| root.roles.get(&kind));
        if let Some(new) = staged.roles.get(&kind) {
            key_changes(kind.name(), old, new, &mut changes);
        }
    }
    date_change(published.map(Role::expires), staged.expires(), &mut changes);
    changes
}

fn key_changes(role: &str, old: Option<&RoleKeys>, new: &RoleKeys, changes: &mut Vec<Change>) {
    let nobody = RoleKeys::new([], 0);
    let old = old.unwrap_or(&nobody);
    for id in old.keyids.iter().filter(|id| !new.keyids.contains(id)) {
        changes.push(Change::new('-', "key", role, short(id)));
    }
    for id in new.keyids.iter().filter(|id| !old.keyids.contains(id)) {
        changes.push(Change::new('+', "key", role, short(id)));
    }
    if old.threshold != new.threshold {
        let detail = match old.threshold {
            0 => new.threshold.to_string(),
            old => format!("{old} -> {}", new.threshold),
        };
        changes.push(Change::new('~', "threshold", role, detail));
    }
}

fn date_change(
    old: Option<countersign_metadata::UtcTime>,
    new: countersign_metadata::UtcTime,
    changes: &mut Vec<Change>,
) {
    if old != Some(new) {
        let detail = match old {
            Some(old) => format!("{old} -> {new}"),
            None => new.to_string(),
        };
        changes.push(Change::new('~', "expires", "", detail));
    }
}

fn targets_changes(published: Option<&Targets>, staged: &Targets) -> Vec<Change> {
    let list = |file: &Targets| -> BTreeMap<String, TargetFile> {
        file.iter()
            .map(|(path, file)| (path.into_owned(), file))
            .collect()
    };
    let (old, new) = (published.map(list).unwrap_or_default(), list(staged));
    let mut changes = Vec::new();
    for (path, file) in old.iter().filter(|(path, _)| !new.contains_key(*path)) {
        changes.push(Change::new('-', "target", path.as_str(), describe(file)));
    }
    for (path, file) in &new {
        match old.get(path) {
            None => changes.push(Change::new('+', "target", path.as_str(), describe(file))),
            Some(before) if before != file => {
                let detail = format!("{} -> {}", describe(before), describe(file));
                changes.push(Change::new('~', "target", path.as_str(), detail));
            }
            Some(_) => {}
        }
    }
    let old = published.and_then(Targets::delegations);
    delegation_changes(old, staged.delegations(), &mut changes);
    date_change(published.map(Role::expires), staged.expires(), &mut changes);
    changes
}

fn describe(file: &TargetFile) -> String {
    let digest: String = sha256_of(file).chars().take(12).collect();
    let custom = match (Visibility::of(file), &file.custom) {
        (Visibility::Confidential, _) => ", confidential",
        (_, Some(_)) => ", with custom data",
        _ => "",
    };
    let vehicles = match ImageCustom::of(file) {
        Ok(image) => format!(
            ", for {}, release counter {}",
            joined(&image.hardware_ids),
            image.release_counter
        ),
        Err(_) => String::new(),
    };
    format!("{} bytes, sha256 {digest}{custom}{vehicles}", file.length)
}

fn joined(ids: &[HardwareId]) -> String {
    let ids: Vec<&str> = ids.iter().map(HardwareId::as_str).collect();
    ids.join(" ")
}

fn delegation_changes(
    old: Option<&Delegations>,
    new: Option<&Delegations>,
    changes: &mut Vec<Change>,
) {
    let (old, new) = (summaries(old), summaries(new));
    for (name, summary) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
        changes.push(Change::new(
            '-',
            "delegation",
            name.as_str(),
            summary.clone(),
        ));
    }
    for (name, summary) in &new {
        match old.get(name) {
            None => changes.push(Change::new(
                '+',
                "delegation",
                name.as_str(),
                summary.clone(),
            )),
            Some(before) if before != summary => {
                let detail = format!("{before} -> {summary}");
                changes.push(Change::new('~', "delegation", name.as_str(), detail));
            }
            Some(_) => {}
        }
    }
}

/// Delegations by name, all bins of one kind as one.
pub(crate) fn summaries(delegations: Option<&Delegations>) -> BTreeMap<String, String> {
    let Some(delegations) = delegations else {
        return BTreeMap::new();
    };
    let keys = |keys: &RoleKeys| {
        let ids: Vec<String> = keys.keyids.iter().map(short).collect();
        format!("{} of {}", keys.threshold, ids.join(", "))
    };
    match &delegations.roles {
        Roles::Succinct(bins) => {
            let count = names(delegations).len();
            let summary = format!("{count} bins, keys {}", keys(&bins.role_keys));
            BTreeMap::from([(format!("{}-*", bins.name_prefix), summary)])
        }
        Roles::Listed(listed) => listed
            .iter()
            .map(|entry| {
                let who = match entry {
                    Delegation::Role(role) => format!("keys {}", keys(&role.role_keys)),
                    Delegation::Multi(multi) => {
                        let roles = multi.roles.iter();
                        let roles = roles.map(|(name, by)| format!("{name} (keys {})", keys(by)));
                        let roles: Vec<String> = roles.collect();
                        let min = multi.min_roles_in_agreement;
                        format!("{min} must agree of {}", roles.join(", "))
                    }
                };
                (
                    entry.name().to_owned(),
                    format!("{}, {who}{}", scope(entry), end(entry)),
                )
            })
            .collect(),
    }
}

/// What a delegation is for.
fn scope(entry: &Delegation) -> String {
    let (kind, list) = match entry.paths() {
        PathSet::Patterns(list) => ("paths", list),
        PathSet::HashPrefixes(list) => ("hash prefixes", list),
    };
    let paths = match list.as_slice() {
        [first, .., last] if list.len() > 8 => format!("{first} ... {last}"),
        all => all.join(" "),
    };
    match entry.hardware_ids() {
        None => format!("{kind} {paths}"),
        Some(ids) => format!("{kind} {paths}, hardware {}", joined(ids)),
    }
}

fn end(entry: &Delegation) -> &'static str {
    match entry.terminating() {
        true => ", terminating",
        false => "",
    }
}
