//! The tree of Targets roles as it will be once everything staged is published.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use countersign_metadata::uptane::HardwareId;
use countersign_metadata::{
    Delegation as Listed, Delegations, Key, KeyId, PathSet, PublicKey, RoleKeys, RoleType, Roles,
    TargetPath, Targets, sha256,
};
use unicode_normalization::UnicodeNormalization;

use crate::drafts::Drafts;
use crate::error::RepoError;
use crate::published::Published;

/// The name of the top-level role.
pub(crate) const TOP: &str = "targets";

/// Bytes in the last segment of a target's name: file systems take 255, and the file is published
/// as `SHA512.NAME` too.
const MAX_FILE_NAME: usize = 255 - 128 - 1;

/// Reads roles when they are asked for and no others, each once.
pub(crate) struct Tree<'a> {
    drafts: Option<&'a Drafts>,
    published: &'a Published,
    read: RefCell<BTreeMap<String, Option<Arc<Targets>>>>,
}

/// Who delegates to a role, and to whom.
#[derive(Debug, Clone)]
pub(crate) struct Delegation {
    pub(crate) delegator: String,
    pub(crate) role_keys: RoleKeys,
    pub(crate) keys: BTreeMap<KeyId, Key>,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(drafts: &'a Drafts, published: &'a Published) -> Self {
        Self {
            drafts: Some(drafts),
            published,
            read: RefCell::default(),
        }
    }

    /// The tree as it is published.
    pub(crate) fn published(published: &'a Published) -> Self {
        Self {
            drafts: None,
            published,
            read: RefCell::default(),
        }
    }

    /// What a role says: its draft, or else its published file.
    pub(crate) fn role(&self, role: &str) -> Result<Option<Arc<Targets>>, RepoError> {
        if let Some(known) = self.read.borrow().get(role) {
            return Ok(known.clone());
        }
        let draft = match self.drafts {
            Some(drafts) => drafts.content(role)?,
            None => None,
        };
        let content = match draft {
            Some(draft) => Some(draft),
            None => self.published.targets_content(role)?,
        };
        // Bins are many and looked at once; everything else is small in number.
        self.read.borrow_mut().insert(role.into(), content.clone());
        Ok(content)
    }

    /// Forgets a role that was only needed once.
    pub(crate) fn forget(&self, role: &str) {
        self.read.borrow_mut().remove(role);
    }

    /// Forgets a role that delegates to nobody.
    pub(crate) fn forget_bin(&self, role: &str) {
        let delegates = |content: &Targets| content.delegations().is_some();
        let mut read = self.read.borrow_mut();
        if let Some(Some(content)) = read.get(role)
            && !delegates(content)
        {
            read.remove(role);
        }
    }

    /// Who delegates to `role`.
    pub(crate) fn delegation(&self, role: &str) -> Result<Option<Delegation>, RepoError> {
        self.find(|delegator, delegations| {
            Some(Delegation {
                delegator: delegator.into(),
                role_keys: delegations.role_keys(role)?.clone(),
                keys: delegations.keys.clone(),
            })
        })
    }

    /// Who delegates to several roles that must agree, under this name.
    pub(crate) fn delegator_of_several(&self, name: &str) -> Result<Option<String>, RepoError> {
        self.find(|delegator, delegations| {
            let Roles::Listed(listed) = &delegations.roles else {
                return None;
            };
            let several =
                |entry: &Listed| matches!(entry, Listed::Multi(_)) && entry.name() == name;
            listed.iter().any(several).then(|| delegator.into())
        })
    }

    /// The keys of all delegated roles.
    pub(crate) fn delegated_keys(&self) -> Result<Vec<PublicKey>, RepoError> {
        let mut keys = Vec::new();
        self.find(|_, delegations| {
            keys.extend(delegations.keys.values().filter_map(Key::public));
            None::<()>
        })?;
        Ok(keys)
    }

    /// Looks through the tree from the top without opening bins, which delegate to nobody.
    fn find<T>(
        &self,
        mut look: impl FnMut(&str, &Delegations) -> Option<T>,
    ) -> Result<Option<T>, RepoError> {
        let mut to_visit = VecDeque::from([TOP.to_owned()]);
        let mut seen = BTreeSet::new();
        while let Some(delegator) = to_visit.pop_front() {
            if !seen.insert(delegator.clone()) {
                continue;
            }
            let Some(content) = self.role(&delegator)? else {
                continue;
            };
            let Some(delegations) = content.delegations() else {
                continue;
            };
            if let Some(found) = look(&delegator, delegations) {
                return Ok(Some(found));
            }
            to_visit.extend(branches(delegations));
        }
        Ok(None)
    }

    /// All roles below `top`, bins included, each with its delegator, parents first.
    pub(crate) fn below(&self, top: &str) -> Result<Vec<(String, String)>, RepoError> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::from([top.to_owned()]);
        let mut to_visit = VecDeque::from([top.to_owned()]);
        while let Some(delegator) = to_visit.pop_front() {
            let Some(content) = self.role(&delegator)? else {
                continue;
            };
            let Some(delegations) = content.delegations() else {
                continue;
            };
            to_visit.extend(branches(delegations));
            for role in names(delegations) {
                if seen.insert(role.clone()) {
                    found.push((role, delegator.clone()));
                }
            }
        }
        Ok(found)
    }

    /// The role that is to list `path`: `start`, or the bin below it that `path` falls in.
    pub(crate) fn role_for(&self, path: &TargetPath, start: &str) -> Result<String, RepoError> {
        let mut role = start.to_owned();
        let mut seen = BTreeSet::new();
        while seen.insert(role.clone()) {
            let content = self.role(&role)?;
            let bin = content
                .as_ref()
                .and_then(|content| bin_for(content.delegations()?, path));
            match bin {
                Some(bin) => role = bin,
                None => break,
            }
        }
        Ok(role)
    }

    /// Whether `role` is one of many bins of `delegator`.
    pub(crate) fn is_bin(&self, role: &str, delegator: &str) -> Result<bool, RepoError> {
        let content = self.role(delegator)?;
        let delegations = content.as_ref().and_then(|content| content.delegations());
        Ok(
            delegations.is_some_and(|delegations| match &delegations.roles {
                Roles::Succinct(bins) => bins.is_bin(role),
                Roles::Listed(_) => entry_of(delegations, role).is_some_and(is_bin),
            }),
        )
    }

    /// Checks that every delegation on the way to `role` covers `path`, and the hardware that the
    /// image is for.
    pub(crate) fn check_trusted(
        &self,
        role: &str,
        path: &TargetPath,
        hardware: &[HardwareId],
    ) -> Result<(), RepoError> {
        let mut role = role.to_owned();
        let mut seen = BTreeSet::new();
        while role != TOP && seen.insert(role.clone()) {
            let no_role = || RepoError::NoSuchRole { role: role.clone() };
            let delegator = self.delegation(&role)?.ok_or_else(no_role)?.delegator;
            let content = self.role(&delegator)?;
            let trusted = content
                .as_ref()
                .and_then(|content| content.delegations())
                .is_some_and(|delegations| covers(delegations, &role, path));
            if !trusted {
                return Err(RepoError::NotDelegated {
                    role,
                    name: path.to_string(),
                    by: delegator,
                });
            }
            let delegations = content.as_ref().and_then(|content| content.delegations());
            let listed = delegations
                .and_then(|all| entry_of(all, &role))
                .and_then(Listed::hardware_ids);
            let other = |listed: &[HardwareId]| hardware.iter().find(|id| !listed.contains(id));
            if let Some(other) = listed.and_then(other) {
                return Err(RepoError::NotForHardware {
                    role,
                    name: path.to_string(),
                    hardware: other.to_string(),
                    by: delegator,
                });
            }
            role = delegator;
        }
        Ok(())
    }
}

/// The names of all roles that `delegations` lists.
pub(crate) fn names(delegations: &Delegations) -> Vec<String> {
    match &delegations.roles {
        Roles::Listed(listed) => {
            let roles = listed.iter().flat_map(Listed::roles);
            roles.map(|(name, _)| name.to_owned()).collect()
        }
        Roles::Succinct(bins) => bins.bin_names().collect(),
    }
}

/// The roles that may delegate further: all but bins.
fn branches(delegations: &Delegations) -> Vec<String> {
    match &delegations.roles {
        Roles::Succinct(_) => Vec::new(),
        Roles::Listed(listed) => {
            let roles = listed.iter().filter(|entry| !is_bin(entry));
            let roles = roles.flat_map(Listed::roles);
            roles.map(|(name, _)| name.to_owned()).collect()
        }
    }
}

/// A bin is for whatever falls into it. Roles that must agree, or are for some hardware only, are
/// chosen by people.
fn is_bin(entry: &Listed) -> bool {
    matches!(entry, Listed::Role(_))
        && matches!(entry.paths(), PathSet::HashPrefixes(_))
        && entry.hardware_ids().is_none()
}

fn bin_for(delegations: &Delegations, path: &TargetPath) -> Option<String> {
    match &delegations.roles {
        Roles::Succinct(bins) => Some(bins.bin_of(path)),
        Roles::Listed(listed) => {
            // Once for all bins.
            let hash = hex::encode(sha256(path.as_str().as_bytes()));
            let takes = |entry: &&Listed| match entry.paths() {
                PathSet::HashPrefixes(prefixes) => {
                    prefixes.iter().any(|prefix| hash.starts_with(prefix))
                }
                PathSet::Patterns(_) => false,
            };
            let bin = listed.iter().find(|entry| takes(entry) && is_bin(entry));
            bin.map(|entry| entry.name().to_owned())
        }
    }
}

/// The entry of `delegations` that makes `role` a delegated role.
pub(crate) fn entry_of<'a>(delegations: &'a Delegations, role: &str) -> Option<&'a Listed> {
    match &delegations.roles {
        Roles::Succinct(_) => None,
        Roles::Listed(listed) => listed
            .iter()
            .find(|entry| entry.roles().any(|(name, _)| name == role)),
    }
}

fn covers(delegations: &Delegations, role: &str, path: &TargetPath) -> bool {
    match &delegations.roles {
        Roles::Succinct(bins) => bins.bin_of(path) == role,
        Roles::Listed(_) => {
            entry_of(delegations, role).is_some_and(|entry| entry.paths().contains(path))
        }
    }
}

/// A target's name: safe as a path everywhere, and in the one spelling that Unicode calls normal.
///
/// # Errors
/// [`RepoError::UnsafeName`], [`RepoError::NameTooLong`], [`RepoError::NotNfc`]
pub fn check_target_name(name: &str) -> Result<TargetPath, RepoError> {
    let path = TargetPath::new(name)?;
    let longest = name.rsplit('/').next().unwrap_or(name);
    if longest.len() > MAX_FILE_NAME {
        return Err(RepoError::NameTooLong { name: name.into() });
    }
    let nfc: String = name.nfc().collect();
    match nfc == name {
        true => Ok(path),
        false => Err(RepoError::NotNfc {
            name: name.into(),
            nfc,
        }),
    }
}

/// A delegated role's name: it becomes a file name, beside `VERSION.NAME.json` of every other.
///
/// # Errors
/// [`RepoError::RoleName`]
pub fn check_role_name(name: &str) -> Result<(), RepoError> {
    let digits = name.trim_start_matches(|c: char| c.is_ascii_digit());
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let why = if name.is_empty() || name.len() > 100 {
        "it must have 1 to 100 characters"
    } else if !name.chars().all(allowed) {
        "only letters A-Z a-z, digits, '.', '_' and '-' are allowed"
    } else if name.starts_with('.') {
        "it must not begin with '.'"
    } else if digits.len() < name.len() && digits.starts_with('.') {
        "it must not begin with digits and '.', like the file names of versions"
    } else if RoleType::from_name(name).is_some() || name == "mirrors" {
        "it is the name of a top-level role"
    } else {
        return Ok(());
    };
    Err(RepoError::RoleName {
        name: name.into(),
        why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_roles_are_file_names() {
        for name in ["fw", "a.b-c_D9", "9", "9a.b", "v1.2"] {
            assert!(check_role_name(name).is_ok(), "{name}");
        }
        let long = "a".repeat(101);
        for name in [
            "", ".", "..", ".a", "a/b", "a b", "ä", "1.root", "7.", "targets", "root", "mirrors",
            "a\n", "a%2F", &long,
        ] {
            assert!(check_role_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn names_of_targets_have_one_spelling() {
        assert!(check_target_name("dir/ü.img").is_ok());
        assert!(check_target_name(&"a".repeat(126)).is_ok());
        let long = check_target_name(&"a".repeat(127)).expect_err("too long");
        assert_eq!(long.name(), "name-too-long");
        let decomposed = check_target_name("dir/u\u{308}.img").expect_err("refused");
        assert_eq!(decomposed.name(), "not-nfc");
        assert!(decomposed.to_string().contains("\"dir/ü.img\""));
        for name in ["../x", "/x", "a//b", "a\\b", "", "a/./b", "a\nb"] {
            let error = check_target_name(name).expect_err(name);
            assert_eq!(error.name(), "unsafe-name", "{name}");
        }
    }
}
