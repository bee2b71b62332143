//! Snapshot and Timestamp, derived from what has been signed.

use countersign_metadata::{MetaFile, Role, RoleType, Signed, Snapshot, Targets, Timestamp};

use crate::batch::Batch;
use crate::error::RepoError;
use crate::policy::Listing;
use crate::repository::Repository;
use crate::requirements::{Outgoing, Requirements};
use crate::sign::{Only, SignReport};

impl Repository {
    /// Derives Snapshot and Timestamp and signs them, as far as what they describe is complete.
    pub(crate) fn sign_online(
        &self,
        only: &Only,
        outgoing: Outgoing,
        report: &mut SignReport,
    ) -> Result<(), RepoError> {
        let requirements = self.requirements(outgoing)?;
        let roles = self.drafts.targets_roles()?;
        for role in &roles {
            if !self.is_complete(role, &requirements)? {
                return Ok(());
            }
        }
        self.stage_snapshot(&roles, outgoing)?;
        self.sign_online_draft("snapshot", &requirements, only, report)?;
        if !self.is_complete("snapshot", &requirements)? {
            return Ok(());
        }
        self.stage_timestamp(outgoing)?;
        self.sign_online_draft("timestamp", &requirements, only, report)
    }

    fn sign_online_draft(
        &self,
        role: &str,
        requirements: &Requirements<'_>,
        only: &Only,
        report: &mut SignReport,
    ) -> Result<(), RepoError> {
        let mut batch = Batch::new(self.home.unfinished());
        self.sign_draft(&mut batch, role, requirements, only, report)?;
        batch.finish()
    }

    /// Whether the published file of an online role lacks a signature that it needs from now on.
    pub(crate) fn must_reissue(
        &self,
        role: RoleType,
        outgoing: Outgoing,
    ) -> Result<bool, RepoError> {
        let Some(file) = self.published_file(role)? else {
            return Ok(true);
        };
        let needed = self.requirements(outgoing)?.of(role.name())?;
        Ok(!needed.iter().all(|requirement| requirement.is_met(&file)))
    }

    fn stage_snapshot(&self, roles: &[String], outgoing: Outgoing) -> Result<(), RepoError> {
        if roles.is_empty() && !self.must_reissue(RoleType::Snapshot, outgoing)? {
            return self.drafts.remove("snapshot");
        }
        let expires = self.policy.expires("snapshot").after(self.now);
        let mut next = match &self.published.snapshot {
            Some(published) => published.next(expires),
            None => Snapshot::new(expires),
        };
        for role in roles {
            if let Some(file) = self.drafts.signed::<Targets>(role)?
                && let Some(content) = self.drafts.content::<Targets>(role)?
            {
                let version = content.version();
                let listing = self.policy.snapshot_lists;
                next.set_role(role, describe(listing, version, file.received()));
            }
        }
        if let Ok(Some(draft)) = self.drafts.content::<Snapshot>("snapshot")
            && (&draft.meta, draft.version()) == (&next.meta, next.version())
            && draft.expires() > self.now
        {
            return Ok(());
        }
        self.drafts.stage("snapshot", next.to_payload())
    }

    fn stage_timestamp(&self, outgoing: Outgoing) -> Result<(), RepoError> {
        let draft = self.drafts.signed::<Snapshot>("snapshot")?;
        let staged = self.drafts.content::<Snapshot>("snapshot")?;
        if draft.is_none() && !self.must_reissue(RoleType::Timestamp, outgoing)? {
            return self.drafts.remove("timestamp");
        }
        let snapshot = match draft {
            Some(draft) => Some(draft),
            None => self.published.snapshot_file()?,
        };
        let snapshot = snapshot.ok_or(RepoError::NothingPublished)?;
        let version = staged.as_ref().or(self.published.snapshot.as_ref());
        let version = version.map_or(0, |snapshot| snapshot.version());
        let next = self.next_timestamp(version, &snapshot)?;
        if let Ok(Some(draft)) = self.drafts.content::<Timestamp>("timestamp")
            && (&draft.snapshot, draft.version()) == (&next.snapshot, next.version())
            && draft.expires() > self.now
        {
            return Ok(());
        }
        self.drafts.stage("timestamp", next.to_payload())
    }

    /// The Timestamp after the published one, naming `snapshot`, which has this version.
    pub(crate) fn next_timestamp(
        &self,
        version: u64,
        snapshot: &Signed<Snapshot>,
    ) -> Result<Timestamp, RepoError> {
        let meta = describe(self.policy.timestamp_lists, version, snapshot.received());
        let expires = self.policy.expires("timestamp").after(self.now);
        Ok(match self.published.timestamp_content()? {
            Some(published) => published.next(expires, meta),
            None => Timestamp::new(expires, meta),
        })
    }
}

/// What one file states of another.
pub(crate) fn describe(listing: Listing, version: u64, file: &[u8]) -> MetaFile {
    match listing {
        Listing::Hashes => MetaFile::describing(version, file),
        Listing::Versions => MetaFile::version(version),
        Listing::Lengths => MetaFile {
            length: Some(file.len() as u64),
            ..MetaFile::version(version)
        },
    }
}
