//! Editing the next Root, and taking in one that was made elsewhere.

use std::sync::Arc;

use countersign_metadata::{Key, KeyId, Role, RoleType, Root, Signed, UtcTime, Verified};

use crate::adopt::NamedKeys;
use crate::error::RepoError;
use crate::keys::is_uri;
use crate::policy_edit;
use crate::repository::Repository;

impl Repository {
    /// The Root as staged, or else as published.
    ///
    /// # Errors
    /// [`RepoError::NotStaged`] if there is neither.
    pub fn root(&self) -> Result<Root, RepoError> {
        let staged = self
            .drafts
            .content::<Root>("root")?
            .map(Arc::unwrap_or_clone);
        let root = match staged {
            Some(root) => Some(root),
            None => self.published.root_content()?,
        };
        root.ok_or(RepoError::NotStaged {
            role: "root".into(),
        })
    }

    /// Stages a further key for a top-level role: a key URI, or a public key file.
    ///
    /// # Errors
    /// What is wrong with the key.
    pub fn add_root_key(&mut self, role: RoleType, entry: &str) -> Result<KeyId, RepoError> {
        let key = Key::new(&self.keys.resolve(&self.home, entry)?);
        let id = self.edit_root(|root| Ok(root.add_key(role, key)))?;
        self.edit_policy(|policy| policy_edit::add_key(policy, role, entry))?;
        Ok(id)
    }

    /// Stages the end of a key in a top-level role, by its id or the beginning of it.
    ///
    /// # Errors
    /// [`RepoError::KeyId`], [`RepoError::Unreachable`] when too few keys would be left.
    pub fn remove_root_key(&mut self, role: RoleType, id: &str) -> Result<KeyId, RepoError> {
        let root = self.root()?;
        let listed = root.roles.get(&role).map(|role| role.keyids.as_slice());
        let mut found = listed
            .unwrap_or_default()
            .iter()
            .filter(|known| !id.is_empty() && known.as_str().starts_with(id));
        let fail = |several| RepoError::KeyId {
            role: role.name().into(),
            id: id.into(),
            several,
        };
        let id = match (found.next(), found.next()) {
            (Some(id), None) => id.clone(),
            (found, _) => return Err(fail(found.is_some())),
        };
        let public = root.keys.get(&id).and_then(Key::public);
        self.edit_root(|root| {
            root.remove_key(role, &id);
            check_reachable(root, role)
        })?;
        let entries = self.policy.role(role).keys.clone();
        let same =
            |entry: &&String| public.is_some() && self.keys.recall(&self.home, entry) == public;
        let retired: Vec<String> = entries.iter().filter(same).cloned().collect();
        let threshold = self
            .root()?
            .roles
            .get(&role)
            .map_or(1, |role| role.threshold);
        self.edit_policy(|policy| {
            for entry in &retired {
                policy_edit::retire_key(policy, role, entry);
            }
            policy_edit::set_threshold(policy, role, threshold);
        })?;
        Ok(id)
    }

    /// Stages another threshold for a top-level role.
    ///
    /// # Errors
    /// [`RepoError::Unreachable`]
    pub fn set_root_threshold(&mut self, role: RoleType, threshold: u32) -> Result<(), RepoError> {
        if threshold == 0 {
            return Err(RepoError::Usage("a threshold is at least 1".into()));
        }
        self.edit_root(|root| {
            if let Some(role) = root.roles.get_mut(&role) {
                role.threshold = threshold;
            }
            check_reachable(root, role)
        })?;
        self.edit_policy(|policy| policy_edit::set_threshold(policy, role, threshold))
    }

    /// Stages another date for Root.
    ///
    /// # Errors
    /// [`RepoError::Usage`] for a date that is over.
    pub fn set_root_expiry(&mut self, expires: UtcTime) -> Result<(), RepoError> {
        if expires <= self.now {
            return Err(RepoError::Usage(format!("{expires} is not in the future")));
        }
        let mut root = self.next_root()?;
        root.header.expires = expires;
        self.drafts.stage("root", root.to_payload())
    }

    /// Takes in the next Root, made and signed elsewhere, in place of what is staged. Its version
    /// must be the next one, and both thresholds must be reached (TUF 5.3.4, 5.3.5). Before
    /// anything is published, any first Root that its own keys signed will do. `repo.toml` takes
    /// over its keys and thresholds; `named` says where keys are that it does not know yet.
    ///
    /// # Errors
    /// [`RepoError::RootImport`], or what is wrong with the file or a named key.
    pub fn import_root(
        &mut self,
        name: &str,
        file: Vec<u8>,
        named: &NamedKeys,
    ) -> Result<u64, RepoError> {
        let metadata = |error| RepoError::metadata(name, error);
        let fail = |why: String| RepoError::RootImport {
            file: name.into(),
            why,
        };
        let signed = Signed::<Root>::parse(file.clone()).map_err(metadata)?;
        let verified = match &self.published.root {
            Some(current) => current
                .clone()
                .verify_by_itself()
                .and_then(|current| current.verify_next(signed)),
            None => signed.verify_by_itself(),
        };
        let verified: Verified<Root> = verified.map_err(|error| fail(error.to_string()))?;
        let root = verified.content();
        if self.published.root.is_none() && root.version() != 1 {
            return Err(fail(format!(
                "nothing is published yet, so it must have version 1, not {}",
                root.version()
            )));
        }
        if root.expires() <= self.now {
            return Err(fail(format!("it expired at {}", root.expires())));
        }
        if root.consistent_snapshot != self.policy.consistent_snapshot {
            return Err(fail(format!(
                "it says consistent_snapshot = {}, repo.toml says {}; a repository cannot change \
                 over, because clients in between would ask for files under the other names",
                root.consistent_snapshot, self.policy.consistent_snapshot
            )));
        }
        for role in RoleType::ALL {
            check_reachable(root, role)?;
        }
        self.adopt(root, name, named)?;
        self.drafts.save("root", &file)?;
        Ok(root.version())
    }

    fn edit_root<T>(
        &mut self,
        change: impl FnOnce(&mut Root) -> Result<T, RepoError>,
    ) -> Result<T, RepoError> {
        let before = self.next_root()?;
        let mut root = before.clone();
        let done = change(&mut root)?;
        if root == before && self.drafts.exists("root") {
            return Ok(done);
        }
        if let Some(published) = self.published.root_content()?
            && (Root {
                header: published.header.clone(),
                ..root.clone()
            }) == published
        {
            self.drafts.remove("root")?;
            return Ok(done);
        }
        self.drafts.stage("root", root.to_payload())?;
        Ok(done)
    }

    fn next_root(&self) -> Result<Root, RepoError> {
        if let Some(draft) = self
            .drafts
            .content::<Root>("root")?
            .map(Arc::unwrap_or_clone)
        {
            return Ok(draft);
        }
        let expires = self.policy.expires("root").after(self.now);
        match self.published.root_content()? {
            Some(root) => Ok(root.next(expires)),
            None => self.root(),
        }
    }

    /// Builds and stages the first files out of the policy.
    pub(crate) fn stage_first_files(&mut self) -> Result<(), RepoError> {
        let expires = self.policy.expires("root").after(self.now);
        let mut root = Root::new(expires, self.policy.consistent_snapshot);
        for role in RoleType::ALL {
            let policy = self.policy.role(role).clone();
            for entry in &policy.keys {
                let key = Key::new(&self.keys.resolve(&self.home, entry)?);
                root.add_key(role, key);
            }
            if let Some(keys) = root.roles.get_mut(&role) {
                keys.threshold = policy.threshold;
            }
            check_reachable(&root, role)?;
        }
        self.drafts.stage("root", root.to_payload())?;
        self.renew("targets")
    }

    /// The URI in `repo.toml` under which a key can sign here.
    pub(crate) fn uri_of(&self, key: &countersign_metadata::PublicKey) -> Option<String> {
        self.policy
            .all_keys()
            .filter(|entry| is_uri(entry))
            .find(|entry| self.keys.recall(&self.home, entry).as_ref() == Some(key))
            .map(str::to_owned)
    }
}

fn check_reachable(root: &Root, role: RoleType) -> Result<(), RepoError> {
    let keys = root.claimed_authority(role).public_keys().len();
    let threshold = root.roles.get(&role).map_or(1, |role| role.threshold);
    match threshold as usize <= keys {
        true => Ok(()),
        false => Err(RepoError::Unreachable {
            role: role.name().into(),
            threshold,
            keys,
        }),
    }
}
