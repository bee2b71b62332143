//! Staged metadata: files under work, with the signatures they have so far.
//!
//! Drafts are this repository's own working copies, as trustworthy as its `repo.toml`; what they
//! say is believed by nobody before the verifier has walked the tree they would make.

use std::path::PathBuf;
use std::sync::Arc;

use countersign_metadata::{KeyId, Role, Signed, Targets, Unsigned, percent_encode};

use crate::batch::Batch;
use crate::error::RepoError;
use crate::files;
use crate::home::Home;

/// The staged files of a repository.
#[derive(Debug, Clone)]
pub(crate) struct Drafts {
    home: Home,
}

impl Drafts {
    pub(crate) fn new(home: &Home) -> Self {
        Self { home: home.clone() }
    }

    /// Where the draft of `role` is.
    pub(crate) fn path(&self, role: &str) -> PathBuf {
        let name = format!("{}.json", percent_encode(role));
        self.home.drafts().join(name)
    }

    /// The roles with a draft, sorted.
    pub(crate) fn roles(&self) -> Result<Vec<String>, RepoError> {
        let names = files::list(&self.home.drafts())?;
        let role = |name: &String| Some(name.strip_suffix(".json")?.to_owned());
        Ok(names.iter().filter_map(role).collect())
    }

    /// The roles of kind Targets with a draft: delegated ones first, then `targets` itself, in
    /// the order of publishing.
    pub(crate) fn targets_roles(&self) -> Result<Vec<String>, RepoError> {
        let mut roles = self.roles()?;
        roles.retain(|role| !matches!(role.as_str(), "root" | "snapshot" | "timestamp"));
        roles.sort_by_key(|role| role == "targets");
        Ok(roles)
    }

    pub(crate) fn exists(&self, role: &str) -> bool {
        self.path(role).exists()
    }

    /// The draft of `role` with its signatures.
    pub(crate) fn signed<T: Role>(&self, role: &str) -> Result<Option<Signed<T>>, RepoError> {
        self.home.shelf().signed(&self.path(role))
    }

    /// What the draft of `role` says.
    pub(crate) fn content<T: Role + Send + Sync + 'static>(
        &self,
        role: &str,
    ) -> Result<Option<Arc<T>>, RepoError> {
        self.home.shelf().content(&self.path(role))
    }

    /// Stages a payload. Signatures made before stay only if it is the same payload.
    pub(crate) fn stage(&self, role: &str, payload: String) -> Result<(), RepoError> {
        let mut batch = Batch::new(self.home.unfinished());
        self.stage_in(&mut batch, role, payload)?;
        batch.finish()
    }

    /// As [`Drafts::stage`], with others: the draft is there once `batch` is finished.
    pub(crate) fn stage_in(
        &self,
        batch: &mut Batch,
        role: &str,
        payload: String,
    ) -> Result<(), RepoError> {
        if let Ok(Some(signed)) = self.signed::<Targets>(role)
            && **signed.payload() == payload
        {
            return Ok(());
        }
        let file = Unsigned::new(payload).to_file();
        self.home.write_to(batch, &self.path(role), &file)
    }

    /// Writes a whole draft.
    pub(crate) fn save(&self, role: &str, file: &[u8]) -> Result<(), RepoError> {
        self.home.write(&self.path(role), file)
    }

    /// Joins signatures to the draft of `role`: it is there once `batch` is finished.
    pub(crate) fn add_signatures(
        &self,
        batch: &mut Batch,
        role: &str,
        signatures: Vec<(KeyId, Vec<u8>)>,
    ) -> Result<(), RepoError> {
        let not_staged = || RepoError::NotStaged { role: role.into() };
        let signed = self.signed::<Targets>(role)?.ok_or_else(not_staged)?;
        if signatures.is_empty() {
            return Ok(());
        }
        let file = with_signatures(&signed, signatures);
        self.home.write_to(batch, &self.path(role), &file)
    }

    pub(crate) fn remove(&self, role: &str) -> Result<(), RepoError> {
        self.home.remove(&self.path(role))
    }
}

/// The file with further signatures.
fn with_signatures<T: Role>(signed: &Signed<T>, more: Vec<(KeyId, Vec<u8>)>) -> Vec<u8> {
    let mut file = Unsigned::new(signed.payload().to_string());
    for entry in signed.signatures() {
        if let Some(signature) = &entry.signature {
            file.add_signature(entry.keyid.clone(), signature.clone());
        }
    }
    for (keyid, signature) in more {
        file.add_signature(keyid, signature);
    }
    file.to_file()
}
