//! Small looks into a repository for people: its keys, its delegations, folders of images.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use countersign_metadata::{Key, RoleType};
use serde::Serialize;

use crate::diff::summaries;
use crate::error::RepoError;
use crate::files;
use crate::repository::Repository;
use crate::tree::TOP;

/// The largest root file that is read; clients by default take 512,000 bytes.
const MAX_ROOT: u64 = 16 << 20;

/// A key that `repo.toml` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedKey {
    /// The entry in `repo.toml`.
    pub entry: String,
    /// Its id; absent for a URI that was never opened here.
    pub keyid: Option<String>,
    /// Where it is named.
    pub roles: Vec<String>,
}

/// A delegation, all bins of one kind as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DelegationSummary {
    /// The delegated role, or `PREFIX-*`.
    pub role: String,
    /// The delegating role.
    pub from: String,
    /// Paths, keys and threshold.
    pub summary: String,
}

impl Repository {
    /// The keys of `repo.toml`, in its order.
    pub fn named_keys(&self) -> Vec<NamedKey> {
        let top = RoleType::ALL.into_iter().flat_map(|role| {
            let keys = self.policy.role(role).keys.iter();
            keys.map(move |key| (key, role.name().to_owned()))
        });
        let delegated = self
            .policy
            .delegations
            .iter()
            .flat_map(|(role, policy)| policy.keys.iter().map(move |key| (key, role.clone())));
        let retired = self.policy.retired_keys.iter();
        let retired = retired.map(|key| (key, "retired".to_owned()));
        let mut named: Vec<NamedKey> = Vec::new();
        for (entry, role) in top.chain(delegated).chain(retired) {
            match named.iter_mut().find(|known| known.entry == *entry) {
                Some(known) => known.roles.push(role),
                None => named.push(NamedKey {
                    entry: entry.clone(),
                    keyid: self
                        .keys
                        .recall(&self.home, entry)
                        .map(|key| Key::new(&key).id().to_string()),
                    roles: vec![role],
                }),
            }
        }
        named
    }

    /// The delegations as staged, parents first.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn delegations(&self) -> Result<Vec<DelegationSummary>, RepoError> {
        let tree = self.tree();
        let mut delegators = vec![TOP.to_owned()];
        for (role, delegator) in tree.below(TOP)? {
            if !tree.is_bin(&role, &delegator)? {
                delegators.push(role);
            }
        }
        let mut found = Vec::new();
        for from in delegators {
            let content = tree.role(&from)?;
            let delegations = content.as_ref().and_then(|content| content.delegations());
            let listed: BTreeMap<String, String> = summaries(delegations);
            for (role, summary) in listed {
                found.push(DelegationSummary {
                    role,
                    from: from.clone(),
                    summary,
                });
            }
        }
        Ok(found)
    }
}

/// Every file below `folder` with its path from there, `/` between segments, sorted. Links are
/// not followed: what they lead to may be elsewhere tomorrow.
///
/// # Errors
/// [`RepoError::NotAFile`] for anything that is neither a file nor a folder, and for names that
/// are not UTF-8.
pub fn files_below(folder: &Path) -> Result<Vec<(PathBuf, String)>, RepoError> {
    let mut found = Vec::new();
    collect(folder, "", &mut found)?;
    found.sort_by(|one, other| one.1.cmp(&other.1));
    Ok(found)
}

fn collect(
    folder: &Path,
    prefix: &str,
    found: &mut Vec<(PathBuf, String)>,
) -> Result<(), RepoError> {
    let fail = |source| RepoError::io("list", folder, source);
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let path = entry.path();
        let kind = entry.file_type().map_err(fail)?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(RepoError::NotAFile { path });
        };
        if kind.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), found)?;
        } else if kind.is_file() {
            found.push((path, format!("{prefix}{name}")));
        } else {
            return Err(RepoError::NotAFile { path });
        }
    }
    Ok(())
}

/// Writes a new file durably.
///
/// # Errors
/// [`RepoError::AlreadyExists`]
pub fn export(path: &Path, bytes: &[u8]) -> Result<(), RepoError> {
    match path.exists() {
        true => Err(RepoError::AlreadyExists { path: path.into() }),
        false => write_file(path, bytes),
    }
}

/// Writes what a person asked for to a file that they named, durably. What is there already is
/// only left alone if it is the same.
///
/// # Errors
/// [`RepoError::AlreadyExists`], [`RepoError::NoFolder`]: folders are not made for a path that
/// may be misspelt.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), RepoError> {
    if path.symlink_metadata().is_ok() {
        let limit = bytes.len() as u64;
        return match files::read_up_to(path, limit).is_ok_and(|there| there == bytes) {
            true => Ok(()),
            false => Err(RepoError::AlreadyExists { path: path.into() }),
        };
    }
    match path.parent() {
        Some(folder) if folder != Path::new("") && !folder.is_dir() => Err(RepoError::NoFolder {
            path: path.into(),
            folder: folder.into(),
        }),
        _ => write_file(path, bytes),
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), RepoError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    files::write(folder, path, bytes)
}

/// Reads a root file that a person named.
///
/// # Errors
/// [`RepoError::Io`], [`RepoError::NotAFile`], [`RepoError::TooLarge`]
pub fn read_root(path: &Path) -> Result<Vec<u8>, RepoError> {
    files::read_up_to(path, MAX_ROOT)
}
