//! What is staged, who has to sign it, and what expires when.

use countersign_metadata::{Header, Role, RoleType, Root, Snapshot, Targets, Timestamp};
use serde::Serialize;

use crate::error::{RepoError, renew};
use crate::repository::Repository;
use crate::requirements::{Outgoing, Requirement};
use crate::tree::TOP;

/// The state of a repository, for people and scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Whether the public tree lacks anything of what was published last. A publish may have
    /// been interrupted, `destination` changed, or a file removed; the next publish mends it.
    pub interrupted: bool,
    /// The metadata files that it lacks, one line for each.
    pub lacking: Vec<String>,
    /// What is published, in the order clients meet it.
    pub published: Vec<FileStatus>,
    /// What is staged.
    pub staged: Vec<StagedStatus>,
    /// The Roots that clients may still go by, newest first; files are signed for them too.
    pub way_over: Vec<WayOver>,
    /// The `retired_keys` of `repo.toml` that nothing needs any more: they may be taken out of it
    /// and destroyed.
    pub unneeded_keys: Vec<String>,
    /// Whether `publish` would find every signature it needs, apart from those that it makes
    /// itself for Snapshot and Timestamp, on files that are not over.
    pub ready: bool,
}

/// A Root that clients may still go by although a newer one is public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WayOver {
    /// Its version.
    pub root: u64,
    /// Until when.
    pub until: String,
}

/// A published file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileStatus {
    /// The role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When it expires.
    pub expires: String,
    /// `fresh`, `near` (it should be renewed) or `expired`.
    pub freshness: &'static str,
}

/// A staged file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StagedStatus {
    /// The role.
    pub role: String,
    /// The version it will have.
    pub version: u64,
    /// When it will expire.
    pub expires: String,
    /// What to do if it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired: Option<String>,
    /// Who has to sign, one entry for each authority.
    pub signatures: Vec<SignatureStatus>,
}

/// How far the signatures of one authority are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignatureStatus {
    /// The authority.
    pub by: String,
    /// Signatures there.
    pub have: usize,
    /// Signatures needed.
    pub need: u32,
    /// Keys that have signed.
    pub signed: Vec<KeyStatus>,
    /// Keys that can still sign.
    pub missing: Vec<KeyStatus>,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyStatus {
    /// Its id in the metadata.
    pub keyid: String,
    /// Its URI here; absent for keys that sign elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

/// How many roles to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Without bins that are not staged.
    WithoutBins,
    /// Every role, which reads every file.
    All,
}

impl Repository {
    /// The state of the repository.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub fn status(&self, extent: Extent) -> Result<Status, RepoError> {
        let staged = self.staged_status()?;
        let by_people =
            |staged: &&StagedStatus| !matches!(staged.role.as_str(), "snapshot" | "timestamp");
        let complete = |staged: &StagedStatus| {
            let mut signatures = staged.signatures.iter();
            staged.expired.is_none() && signatures.all(|by| by.have >= by.need as usize)
        };
        let lacking = self.lacking()?;
        Ok(Status {
            interrupted: !lacking.is_empty(),
            lacking,
            published: self.published_status(extent)?,
            way_over: self.way_over()?,
            unneeded_keys: self.unneeded_keys()?,
            ready: !staged.is_empty() && staged.iter().filter(by_people).all(complete),
            staged,
        })
    }

    fn published_status(&self, extent: Extent) -> Result<Vec<FileStatus>, RepoError> {
        let mut files = Vec::new();
        if let Some(root) = self.published.root_content()? {
            files.push(self.file_status("root", root.header()));
        }
        if let Some(timestamp) = self.published.timestamp_content()? {
            files.push(self.file_status("timestamp", timestamp.header()));
        }
        if let Some(snapshot) = &self.published.snapshot {
            files.push(self.file_status("snapshot", snapshot.header()));
        }
        let tree = self.tree();
        let mut roles = vec![TOP.to_owned()];
        for (role, delegator) in tree.below(TOP)? {
            let is_bin = tree.is_bin(&role, &delegator)?;
            if extent == Extent::All || !is_bin {
                roles.push(role);
            }
        }
        for role in roles {
            if let Some(content) = self.published.targets_content(&role)? {
                files.push(self.file_status(&role, content.header()));
            }
        }
        Ok(files)
    }

    fn file_status(&self, role: &str, header: &Header) -> FileStatus {
        let freshness = if header.expires <= self.now {
            "expired"
        } else if self.is_near(role, header.expires) {
            "near"
        } else {
            "fresh"
        };
        FileStatus {
            role: role.into(),
            version: header.version,
            expires: header.expires.to_string(),
            freshness,
        }
    }

    fn staged_status(&self) -> Result<Vec<StagedStatus>, RepoError> {
        let requirements = self.requirements(Outgoing::Sign)?;
        let mut staged = Vec::new();
        for role in self.drafts.roles()? {
            let Some(header) = self.draft_header(&role)? else {
                continue;
            };
            let Some(file) = self.drafts.signed::<Targets>(&role)? else {
                continue;
            };
            let needed = requirements.of(&role)?;
            let status = |requirement: &Requirement| self.signature_status(requirement, &file);
            staged.push(StagedStatus {
                signatures: needed.iter().map(status).collect(),
                version: header.version,
                expires: header.expires.to_string(),
                expired: (header.expires <= self.now).then(|| renew(&role)),
                role,
            });
        }
        Ok(staged)
    }

    fn signature_status(
        &self,
        requirement: &Requirement,
        file: &crate::sign::AnyFile,
    ) -> SignatureStatus {
        let tally = requirement.tally(file);
        let key = |id: &countersign_metadata::KeyId| KeyStatus {
            keyid: id.as_str().into(),
            uri: requirement.keys.get(id).and_then(|key| self.uri_of(key)),
        };
        SignatureStatus {
            by: requirement.by.text(),
            have: tally.valid.len(),
            need: tally.threshold,
            signed: tally.valid.iter().map(key).collect(),
            missing: tally.missing.iter().map(key).collect(),
        }
    }

    /// What a draft says about itself.
    pub(crate) fn draft_header(&self, role: &str) -> Result<Option<Header>, RepoError> {
        Ok(match RoleType::from_name(role) {
            Some(RoleType::Root) => self.header_of::<Root>(role)?,
            Some(RoleType::Snapshot) => self.header_of::<Snapshot>(role)?,
            Some(RoleType::Timestamp) => self.header_of::<Timestamp>(role)?,
            _ => self.header_of::<Targets>(role)?,
        })
    }

    fn header_of<T: Role + Send + Sync + 'static>(
        &self,
        role: &str,
    ) -> Result<Option<Header>, RepoError> {
        let content = self.drafts.content::<T>(role)?;
        Ok(content.map(|content| content.header().clone()))
    }
}
