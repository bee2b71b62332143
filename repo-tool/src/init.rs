//! Starting a repository.

use std::path::Path;

use countersign_metadata::{PublicKey, RoleType, Root, Signed, UtcTime};
use countersign_signing::Secrets;

use crate::adopt::{NamedKeys, public_key_file};
use crate::error::RepoError;
use crate::files;
use crate::home::Home;
use crate::keys;
use crate::policy::{POLICY_FILE, Policy, RolePolicy};
use crate::repository::Repository;

impl Repository {
    /// Starts a repository in `folder`: writes `policy` as `repo.toml`, or takes the `repo.toml`
    /// that is there, and stages the first Root and an empty Targets out of it.
    ///
    /// # Errors
    /// [`RepoError::AlreadyExists`] over a repository that was started before, or if a policy is
    /// given and there is one; what is wrong with the policy or a key. A `repo.toml` written here
    /// is taken away again after an error.
    pub fn init(
        folder: &Path,
        policy: Option<&Policy>,
        now: UtcTime,
        secrets: Secrets,
    ) -> Result<Self, RepoError> {
        if let Some(policy) = policy {
            write_policy(folder, policy)?;
        }
        let started = open_unused(folder, now, secrets).and_then(|mut repository| {
            repository.stage_first_files()?;
            Ok(repository)
        });
        if started.is_err() && policy.is_some() {
            files::remove(&folder.join(POLICY_FILE))?;
        }
        started
    }

    /// Starts a repository with a first Root that was made and signed elsewhere, as by a
    /// ceremony. Keys and thresholds of the four roles are the Root's; `policy` says the rest.
    /// `named` are keys that can sign here; of all others public key files are written.
    ///
    /// # Errors
    /// As [`Repository::init`] and [`Repository::import_root`].
    pub fn init_from_root(
        folder: &Path,
        mut policy: Policy,
        (name, file): (&str, Vec<u8>),
        named: &NamedKeys,
        now: UtcTime,
        secrets: Secrets,
    ) -> Result<Self, RepoError> {
        let root = Signed::<Root>::parse(file.clone())
            .and_then(Signed::verify_by_itself)
            .map_err(|error| RepoError::metadata(name, error))?;
        let root = root.content();
        policy.consistent_snapshot = root.consistent_snapshot;
        let home = Home::new(folder, &policy.destination);
        for kind in RoleType::ALL {
            let named = named.get(&kind).cloned().unwrap_or_default();
            let keys = all_keys(root, kind, named, &home, &secrets)?;
            let threshold = root.roles.get(&kind).map_or(1, |role| role.threshold);
            let RolePolicy { expires, .. } = *policy.role(kind);
            *policy.role_mut(kind) = RolePolicy {
                threshold,
                keys,
                expires,
            };
        }
        write_policy(folder, &policy)?;
        let started = open_unused(folder, now, secrets).and_then(|mut repository| {
            repository.import_root(name, file, named)?;
            repository.renew("targets")?;
            Ok(repository)
        });
        if started.is_err() {
            files::remove(&folder.join(POLICY_FILE))?;
        }
        started
    }
}

/// The `named` keys and public key files of the role's other ones.
fn all_keys(
    root: &Root,
    kind: RoleType,
    named: Vec<String>,
    home: &Home,
    secrets: &Secrets,
) -> Result<Vec<String>, RepoError> {
    let known: Vec<PublicKey> = named
        .iter()
        .map(|entry| keys::public(entry, secrets))
        .collect::<Result<_, _>>()?;
    let mut entries = named;
    for key in root.claimed_authority(kind).public_keys() {
        if !known.contains(key) {
            entries.push(public_key_file(home, key)?);
        }
    }
    Ok(entries)
}

fn write_policy(folder: &Path, policy: &Policy) -> Result<(), RepoError> {
    let path = folder.join(POLICY_FILE);
    files::create_folders(folder)?;
    match path.exists() {
        true => Err(RepoError::AlreadyExists { path }),
        false => Home::new(folder, &policy.destination).write(&path, policy.to_text().as_bytes()),
    }
}

/// Opens a repository in which nothing has been started.
fn open_unused(folder: &Path, now: UtcTime, secrets: Secrets) -> Result<Repository, RepoError> {
    files::create_folders(folder)?;
    let repository = Repository::open(folder, now, secrets)?;
    for used in [
        repository.drafts.path("root"),
        repository.home.state().join("roots"),
        repository.home.public_metadata(),
    ] {
        if used.exists() {
            return Err(RepoError::AlreadyExists { path: used });
        }
    }
    Ok(repository)
}
