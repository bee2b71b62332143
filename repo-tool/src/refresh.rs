//! Renewing Timestamp and Snapshot without touching what is staged: the cron job. Also their
//! first issue under new keys alone, after a rotation.

use countersign_metadata::{KeyId, Role, RoleType, Signed, TargetsBuilder, UtcTime};
use countersign_verifier::RemoteName;

use crate::error::RepoError;
use crate::online::{describe, reread};
use crate::publish::PublishReport;
use crate::release::{Content, NewFile, Release};
use crate::repository::Repository;
use crate::requirements::Requirements;
use crate::sign::{AnyFile, SignReport};
use crate::walk::{Visible, walk};

/// When to renew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// When the policy says so.
    ByPolicy,
    /// Now.
    Now,
}

impl Repository {
    /// Renews Timestamp, and Snapshot, when they are due, and publishes them. What is staged
    /// stays staged. Does nothing if nothing is due.
    ///
    /// # Errors
    /// [`RepoError::NothingPublished`], [`RepoError::Incomplete`] without the online keys, or as
    /// [`Repository::publish`].
    pub fn refresh(&mut self, due: Due) -> Result<PublishReport, RepoError> {
        let mut report = PublishReport {
            resumed: self.finish_interrupted()?,
            ..PublishReport::default()
        };
        let (Some(timestamp), Some(snapshot)) = (
            self.published.timestamp_content()?,
            &self.published.snapshot,
        ) else {
            return Err(RepoError::NothingPublished);
        };
        let is_due = |role: &str, expires: UtcTime| due == Due::Now || self.is_near(role, expires);
        let snapshot_due = is_due("snapshot", snapshot.expires());
        if snapshot_due || is_due("timestamp", timestamp.expires()) {
            let release = self.reissue(snapshot_due)?;
            self.release_online(&release, &mut report)?;
        }
        self.keys.close();
        Ok(report)
    }

    /// Whether a file that expires then is to be renewed: within `refresh_before`, but not before
    /// half of its life is over, so that short lives are not renewed on every run.
    pub(crate) fn is_near(&self, role: &str, expires: UtcTime) -> bool {
        let life = self.policy.expires(role).seconds();
        let before = self.policy.refresh_before.seconds().min(life / 2);
        expires.unix() - self.now.unix() <= before
    }

    /// After a rotation: issues what still carries signatures of keys that are no longer the
    /// role's, now by the new keys alone. Where these are not all here, that is left to the next
    /// regular version.
    pub(crate) fn retire_old_signatures(
        &mut self,
        report: &mut PublishReport,
    ) -> Result<(), RepoError> {
        if self.drafts.exists("root") || self.published.root_versions()?.len() < 2 {
            return Ok(());
        }
        let requirements = Requirements::of_published(&self.drafts, &self.published)?;
        let stale = |role: RoleType, file: Option<AnyFile>| -> Result<bool, RepoError> {
            let Some(file) = file else { return Ok(false) };
            let needed = requirements.of(role.name())?;
            let known = |id: &KeyId| needed.iter().any(|needed| needed.keys.contains_key(id));
            Ok(file.signatures().iter().any(|entry| !known(&entry.keyid)))
        };
        let targets = stale(RoleType::Targets, self.published.targets("targets")?)?;
        let snapshot = stale(
            RoleType::Snapshot,
            reread(&self.published.snapshot_file()?)?,
        )?;
        let timestamp = stale(RoleType::Timestamp, reread(&self.published.timestamp)?)?;
        if !(targets || snapshot || timestamp) {
            return Ok(());
        }
        let outcome = match targets {
            true => self.reissue_targets(),
            false => self.reissue(snapshot),
        };
        match outcome {
            Ok(release) => self.release_online(&release, report),
            Err(RepoError::Incomplete { .. }) => {
                report.notes.push(
                    "files signed by outgoing keys stay until their next version, because the \
                     new keys are not all here"
                        .into(),
                );
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The next Timestamp, and Snapshot if asked for, signed.
    fn reissue(&self, with_snapshot: bool) -> Result<Release, RepoError> {
        self.reissue_after(Vec::new(), with_snapshot)
    }

    /// The next Targets with the same content, and the two above it.
    fn reissue_targets(&self) -> Result<Release, RepoError> {
        let mut next = match self.published.targets_content("targets")? {
            Some(published) => {
                let expires = published.expires();
                TargetsBuilder::next_of(&published, expires)?
            }
            None => return Err(RepoError::NothingPublished),
        };
        next.header.expires = self.policy.expires("targets").after(self.now);
        let bytes = self.sign_now("targets", next.to_payload(), &mut SignReport::default())?;
        let name = RemoteName::Targets("targets".into(), Some(next.header.version));
        self.reissue_after(
            vec![NewFile {
                name,
                content: Content::Bytes(bytes),
            }],
            true,
        )
    }

    fn reissue_after(
        &self,
        mut files: Vec<NewFile>,
        with_snapshot: bool,
    ) -> Result<Release, RepoError> {
        let published = self.published.snapshot_file()?;
        let mut snapshot = published.ok_or(RepoError::NothingPublished)?;
        let parse_error = |error| RepoError::metadata("snapshot", error);
        if with_snapshot {
            let current = self.published.snapshot.as_ref();
            let current = current.ok_or(RepoError::NothingPublished)?;
            let mut next = current.next(self.policy.expires("snapshot").after(self.now));
            for file in &files {
                if let RemoteName::Targets(role, Some(version)) = &file.name {
                    let bytes = file.content.read()?;
                    let meta = describe(self.policy.snapshot_lists, *version, &bytes);
                    next.set_role(role, meta);
                }
            }
            let bytes = self.sign_now("snapshot", next.to_payload(), &mut SignReport::default())?;
            snapshot = Signed::parse(bytes.clone()).map_err(parse_error)?;
            files.push(NewFile {
                name: RemoteName::Snapshot(Some(next.version())),
                content: Content::Bytes(bytes),
            });
        }
        let timestamp = self.next_timestamp(&snapshot)?;
        let payload = timestamp.to_payload();
        let bytes = self.sign_now("timestamp", payload, &mut SignReport::default())?;
        files.push(NewFile {
            name: RemoteName::Timestamp,
            content: Content::Bytes(bytes),
        });
        Ok(Release {
            consistent: self.policy.consistent_snapshot,
            files,
            ..Release::default()
        })
    }

    fn release_online(
        &mut self,
        release: &Release,
        report: &mut PublishReport,
    ) -> Result<(), RepoError> {
        walk(
            &self.home,
            &self.published,
            release,
            Visible::All,
            &[],
            self.now,
        )?;
        self.execute(release)?;
        self.note_files(release, report)
    }
}
