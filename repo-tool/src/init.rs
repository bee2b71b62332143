//! Starting a repository.

use std::path::Path;

use countersign_metadata::UtcTime;
use countersign_signing::Secrets;

use crate::error::RepoError;
use crate::files;
use crate::home::Home;
use crate::policy::{POLICY_FILE, Policy};
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
        files::create_folders(folder)?;
        let path = folder.join(POLICY_FILE);
        if let Some(policy) = policy {
            if path.exists() {
                return Err(RepoError::AlreadyExists { path });
            }
            let home = Home::new(folder, &policy.destination);
            home.write(&path, policy.to_text().as_bytes())?;
        }
        let started = start(folder, now, secrets);
        if started.is_err() && policy.is_some() {
            files::remove(&path)?;
        }
        started
    }
}

fn start(folder: &Path, now: UtcTime, secrets: Secrets) -> Result<Repository, RepoError> {
    let mut repository = Repository::open(folder, now, secrets)?;
    for used in [
        repository.drafts.path("root"),
        repository.home.state().join("roots"),
        repository.home.public_metadata(),
    ] {
        if used.exists() {
            return Err(RepoError::AlreadyExists { path: used });
        }
    }
    repository.stage_first_files()?;
    Ok(repository)
}
