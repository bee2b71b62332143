//! Snapshot and Timestamp, derived from what has been signed.

use countersign_metadata::{MetaFile, Role, RoleType, Signed, Snapshot, Targets, Timestamp};

use crate::error::RepoError;
use crate::policy::Listing;
use crate::published::decode;
use crate::repository::Repository;
use crate::requirements::Outgoing;
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
        self.sign_draft("snapshot", &requirements, only, report)?;
        if !self.is_complete("snapshot", &requirements)? {
            return Ok(());
        }
        self.stage_timestamp(outgoing)?;
        self.sign_draft("timestamp", &requirements, only, report)
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
        let reissue = self.must_reissue(RoleType::Snapshot, outgoing)?;
        if roles.is_empty() && !reissue {
            return self.drafts.remove("snapshot");
        }
        let expires = self.policy.expires("snapshot").after(self.now);
        let mut next = match &self.published.snapshot {
            Some(published) => published.next(expires),
            None => Snapshot::new(expires),
        };
        for role in roles {
            if let Some(file) = self.drafts.signed::<Targets>(role)? {
                let version = decode(&file)?.version();
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
        if draft.is_none() && !self.must_reissue(RoleType::Timestamp, outgoing)? {
            return self.drafts.remove("timestamp");
        }
        let snapshot = match draft {
            Some(draft) => Some(draft),
            None => self.published.snapshot_file()?,
        };
        let snapshot = snapshot.ok_or(RepoError::NothingPublished)?;
        let next = self.next_timestamp(&snapshot)?;
        if let Ok(Some(draft)) = self.drafts.content::<Timestamp>("timestamp")
            && (&draft.snapshot, draft.version()) == (&next.snapshot, next.version())
            && draft.expires() > self.now
        {
            return Ok(());
        }
        self.drafts.stage("timestamp", next.to_payload())
    }

    /// The Timestamp after the published one, naming `snapshot`.
    pub(crate) fn next_timestamp(
        &self,
        snapshot: &Signed<Snapshot>,
    ) -> Result<Timestamp, RepoError> {
        let version = decode(snapshot)?.version();
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
