//! Renewing Timestamp and Snapshot without touching what is staged: the cron job. Also their
//! first issue under new keys alone, after a rotation.

use countersign_metadata::{KeyId, Role, RoleType, Signed, TargetsBuilder, UtcTime};
use countersign_verifier::RemoteName;

use crate::error::RepoError;
use crate::online::describe;
use crate::publish::{PublishReport, WINDOW};
use crate::published::decode;
use crate::release::{Content, NewFile, Release};
use crate::repository::Repository;
use crate::requirements::Outgoing;
use crate::sign::SignReport;
use crate::walk::Visible;

/// When to renew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// When the policy says so.
    ByPolicy,
    /// Now.
    Now,
}

/// Which files to issue anew once the way over to new keys is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retire {
    /// Those of the keys that are online.
    Online,
    /// Targets too.
    All,
}

impl Repository {
    /// Renews Timestamp, and Snapshot, when they are due, and publishes them; also where outgoing
    /// keys have signed them and no client needs that any more. What is staged stays staged. Does
    /// nothing if nothing is due.
    ///
    /// # Errors
    /// [`RepoError::NothingPublished`], [`RepoError::Incomplete`] without the online keys,
    /// [`RepoError::OutgoingKeys`] on the way over to new ones, or as [`Repository::publish`].
    pub fn refresh(&mut self, due: Due, outgoing: Outgoing) -> Result<PublishReport, RepoError> {
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
            let earlier = self.earlier_roots()?;
            let release = self.reissue(snapshot_due, outgoing)?;
            self.release_online(&release, outgoing, &mut report)?;
            if self.earlier_roots()?.len() < earlier.len() {
                report.notes.push(WINDOW.into());
            }
        }
        self.retire_old_signatures(Retire::Online, &mut report)?;
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

    /// After the way over to new keys: issues what still carries signatures of keys that are no
    /// longer the role's, now by the new keys alone. Where these are not all here, that is left to
    /// the next regular version.
    pub(crate) fn retire_old_signatures(
        &mut self,
        which: Retire,
        report: &mut PublishReport,
    ) -> Result<(), RepoError> {
        if self.drafts.exists("root") || self.published.root_versions()?.len() < 2 {
            return Ok(());
        }
        if which == Retire::All && self.is_stale(RoleType::Targets)? {
            let release = self.reissue_targets();
            self.retire(release, report)?;
        }
        let snapshot = self.is_stale(RoleType::Snapshot)?;
        if snapshot || self.is_stale(RoleType::Timestamp)? {
            let release = self.reissue(snapshot, Outgoing::Sign);
            self.retire(release, report)?;
        }
        Ok(())
    }

    /// Whether a published file carries a signature that nobody asks for any more.
    fn is_stale(&self, kind: RoleType) -> Result<bool, RepoError> {
        let Some(file) = self.published_file(kind)? else {
            return Ok(false);
        };
        let requirements = self.requirements(Outgoing::Sign)?.without_staged();
        let needed = requirements.of(kind.name())?;
        let known = |id: &KeyId| needed.iter().any(|needed| needed.keys.contains_key(id));
        Ok(file.signatures().iter().any(|entry| !known(&entry.keyid)))
    }

    fn retire(
        &mut self,
        release: Result<Release, RepoError>,
        report: &mut PublishReport,
    ) -> Result<(), RepoError> {
        match release {
            Ok(release) => self.release_online(&release, Outgoing::Sign, report),
            Err(RepoError::Incomplete { .. }) => {
                let note = "files signed by outgoing keys stay until their next version, because \
                            the new keys are not all here";
                if !report.notes.iter().any(|known| known == note) {
                    report.notes.push(note.into());
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The next Timestamp, and Snapshot if asked for, signed.
    fn reissue(&self, with_snapshot: bool, outgoing: Outgoing) -> Result<Release, RepoError> {
        self.reissue_after(Vec::new(), with_snapshot, outgoing)
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
        let (payload, outgoing) = (next.to_payload(), Outgoing::Sign);
        let bytes = self.sign_now("targets", payload, outgoing, &mut SignReport::default())?;
        let name = RemoteName::Targets("targets".into(), Some(next.header.version));
        self.reissue_after(
            vec![NewFile {
                name,
                content: Content::Bytes(bytes),
            }],
            true,
            outgoing,
        )
    }

    fn reissue_after(
        &self,
        mut files: Vec<NewFile>,
        with_snapshot: bool,
        outgoing: Outgoing,
    ) -> Result<Release, RepoError> {
        let sign = |role: &str, payload: String| {
            self.sign_now(role, payload, outgoing, &mut SignReport::default())
        };
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
            let bytes = sign("snapshot", next.to_payload())?;
            snapshot = Signed::parse(bytes.clone()).map_err(parse_error)?;
            files.push(NewFile {
                name: RemoteName::Snapshot(Some(next.version())),
                content: Content::Bytes(bytes),
            });
        }
        let timestamp = self.next_timestamp(decode(&snapshot)?.version(), &snapshot)?;
        let bytes = sign("timestamp", timestamp.to_payload())?;
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
        outgoing: Outgoing,
        report: &mut PublishReport,
    ) -> Result<(), RepoError> {
        let mut views = vec![Visible::All];
        if outgoing == Outgoing::Sign {
            views.extend(self.views_on_the_way()?);
        }
        self.walk(release, &views, &[])?;
        self.execute(release)?;
        self.note_files(release, report)
    }
}
