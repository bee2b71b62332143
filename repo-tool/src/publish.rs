//! Publishing what is staged and signed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use countersign_metadata::{Role, Root, Snapshot, TargetFile, TargetPath, Targets};
use countersign_verifier::RemoteName;

use crate::error::RepoError;
use crate::files;
use crate::images::{self, Visibility};
use crate::intake;
use crate::parallel;
use crate::progress::{Progress, Silent};
use crate::published::decode;
use crate::refresh::Retire;
use crate::release::{Content, NewFile, Placement, Release, RootOrder};
use crate::repository::Repository;
use crate::requirements::Outgoing;
use crate::rotation::{AFTER_ROOT, EarlierRoot};
use crate::sign::{Only, SignReport};
use crate::tree::names;
use crate::walk::{Visible, walk};

/// What people should know when the outgoing keys did not sign.
pub(crate) const WINDOW: &str = "the outgoing keys did not sign: clients that were between their \
    requests for the next root and for timestamp.json are refused once, and succeed on their next \
    try";

/// What a publish did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishReport {
    /// Roles and their new versions, in the order they became visible.
    pub files: Vec<(String, u64)>,
    /// Images placed in the public tree.
    pub images: usize,
    /// Whether a run that was killed before had left something to finish.
    pub resumed: bool,
    /// What people should know, such as a window in which clients were refused.
    pub notes: Vec<String>,
}

impl PublishReport {
    /// Whether clients see anything new.
    pub fn changed(&self) -> bool {
        self.resumed || !self.files.is_empty()
    }
}

impl Repository {
    /// Publishes everything staged, if it is complete and a client would accept it. Snapshot and
    /// Timestamp are derived and signed here if their keys are. A new Root that changes online
    /// keys is led over to as `outgoing` says.
    ///
    /// Killed at any point, clients accept what they find, and the next publish finishes it.
    ///
    /// # Errors
    /// [`RepoError::Incomplete`], [`RepoError::OutgoingKeys`], [`RepoError::Unreachable`],
    /// [`RepoError::Expired`], [`RepoError::ImageMissing`], [`RepoError::ImageDiffers`],
    /// [`RepoError::Refused`]: then nothing was made visible.
    pub fn publish(&mut self, outgoing: Outgoing) -> Result<PublishReport, RepoError> {
        let mut report = PublishReport {
            resumed: self.finish_interrupted()?,
            ..PublishReport::default()
        };
        self.check_not_overtaken()?;
        self.restage()?;
        if !self.drafts.roles()?.is_empty() {
            self.publish_staged(outgoing, &mut report)?;
        }
        self.retire_old_signatures(Retire::All, &mut report)?;
        self.keys.close();
        Ok(report)
    }

    fn publish_staged(
        &mut self,
        outgoing: Outgoing,
        report: &mut PublishReport,
    ) -> Result<(), RepoError> {
        let mut made = SignReport::default();
        self.sign_online(&Only::new(), outgoing, &mut made)?;
        let missing = self.missing(outgoing)?;
        if !missing.is_empty() {
            made.take_fault()?;
        }
        self.check_complete(outgoing, missing)?;
        let leads_over = match outgoing {
            // Nothing is missing.
            Outgoing::Sign => true,
            Outgoing::Lost => self.missing(Outgoing::Sign)?.is_empty(),
        };
        let mut release = Release {
            consistent: self.policy.consistent_snapshot,
            order: match leads_over && self.published_root_is_current()? {
                true => RootOrder::Last,
                false => RootOrder::First,
            },
            ..Release::default()
        };
        let wanted = self.collect(&mut release)?;
        if release.is_empty() {
            return Ok(());
        }
        let mut views = vec![Visible::All];
        if leads_over {
            views.extend(self.views_on_the_way()?);
        }
        // Without a new Root, that is what all see.
        if release.order == RootOrder::Last
            && release.root().is_some()
            && let Some(current) = self.published.root_content()?
        {
            views.push(Visible::RootsUpTo(current.version()));
        }
        self.walk(&release, &views, &wanted)?;
        if !leads_over && self.published.root.is_some() {
            report.notes.push(WINDOW.into());
        }
        self.execute(&release)?;
        files::remove_folder(&self.home.staged_images())?;
        intake::forget(&self.home)?;
        if release.root().is_some() {
            self.note_way_over(report)?;
        }
        report.images += release.images.len();
        self.note_files(&release, report)
    }

    fn note_way_over(&self, report: &mut PublishReport) -> Result<(), RepoError> {
        if let Some(EarlierRoot { root, until }) = self.earlier_roots()?.first() {
            report.notes.push(format!(
                "clients may go by root {} until {until}: keep its keys until then; the first \
                 'refresh' or 'publish' after that signs with the new keys alone",
                root.version()
            ));
        }
        Ok(())
    }

    /// What clients see that are on their way over from an earlier Root.
    pub(crate) fn views_on_the_way(&self) -> Result<Vec<Visible>, RepoError> {
        let earlier = self.earlier_roots()?;
        let view = |earlier: &EarlierRoot| Visible::RootsUpTo(earlier.root.version());
        Ok(earlier.iter().map(view).collect())
    }

    /// Lets the real verifier walk what a release would make visible, as clients of each view.
    pub(crate) fn walk(
        &self,
        release: &Release,
        views: &[Visible],
        wanted: &[TargetPath],
    ) -> Result<(), RepoError> {
        let (home, published) = (&self.home, &self.published);
        views
            .iter()
            .try_for_each(|view| walk(home, published, release, *view, wanted, self.now))
    }

    /// Whether a Root is published that clients still go by. One that has expired is of no use
    /// but to lead to the next (TUF 5.3.10), so that one goes out before anything else.
    fn published_root_is_current(&self) -> Result<bool, RepoError> {
        let root = self.published.root_content()?;
        Ok(root.is_some_and(|root| self.now < root.expires()))
    }

    pub(crate) fn note_files(
        &self,
        release: &Release,
        report: &mut PublishReport,
    ) -> Result<(), RepoError> {
        let mut files: Vec<&NewFile> = release.files.iter().collect();
        if release.order == RootOrder::First {
            files.sort_by_key(|file| match file.name {
                RemoteName::Root(_) => 1,
                RemoteName::Timestamp => 2,
                _ => 0,
            });
        }
        for file in files {
            let version = match &file.name {
                RemoteName::Root(version) => *version,
                RemoteName::Snapshot(version) | RemoteName::Targets(_, version) => {
                    version.unwrap_or(0)
                }
                RemoteName::Timestamp => self
                    .published
                    .timestamp_content()?
                    .map_or(0, |file| file.version()),
            };
            report.files.push((file.role().into_owned(), version));
        }
        Ok(())
    }

    /// Refuses what is not signed, can never be, or is over.
    fn check_complete(&self, outgoing: Outgoing, missing: Vec<String>) -> Result<(), RepoError> {
        let requirements = self.requirements(outgoing)?;
        for role in self.drafts.roles()? {
            for needed in requirements.of(&role)? {
                if let Some(error) = needed.unreachable() {
                    return Err(error);
                }
            }
        }
        if !missing.is_empty() {
            return Err(match self.only_outgoing_missing(outgoing)? {
                Some(role) => self.outgoing_keys_error(role)?,
                None => RepoError::Incomplete { missing },
            });
        }
        self.check_delegated_files()?;
        self.check_dates()
    }

    /// A delegated role without a file would end every search that it matches.
    fn check_delegated_files(&self) -> Result<(), RepoError> {
        for role in self.drafts.targets_roles()? {
            let Some(draft) = self.drafts.content::<Targets>(&role)? else {
                continue;
            };
            for name in draft.delegations().map(names).unwrap_or_default() {
                if !self.drafts.exists(&name) && self.published.version_of(&name) == 0 {
                    return Err(RepoError::NotStaged { role: name });
                }
            }
        }
        Ok(())
    }

    /// The first role that lacks nothing but the keys that leave it.
    fn only_outgoing_missing(&self, outgoing: Outgoing) -> Result<Option<String>, RepoError> {
        if outgoing == Outgoing::Lost || !self.missing(Outgoing::Lost)?.is_empty() {
            return Ok(None);
        }
        let requirements = self.requirements(Outgoing::Sign)?;
        for role in AFTER_ROOT {
            if !self.is_complete(role.name(), &requirements)? {
                return Ok(Some(role.name().into()));
            }
        }
        Ok(None)
    }

    fn check_dates(&self) -> Result<(), RepoError> {
        for role in self.drafts.roles()? {
            let header = self.draft_header(&role)?;
            if let Some(header) = header.filter(|header| header.expires <= self.now) {
                return Err(RepoError::Expired {
                    role,
                    version: header.version,
                    expires: header.expires,
                });
            }
        }
        Ok(())
    }

    /// Gathers the drafts and their images. Returns the images that are new or changed.
    fn collect(&self, release: &mut Release) -> Result<Vec<TargetPath>, RepoError> {
        let mut wanted = Vec::new();
        let mut to_check = ToCheck::new();
        for role in self.drafts.targets_roles()? {
            let Some(draft) = self.drafts.content::<Targets>(&role)? else {
                continue;
            };
            let published = self.published.targets_content(&role)?;
            for (path, file) in draft.iter() {
                let path = TargetPath::new(&path)?;
                if published.as_ref().and_then(|old| old.get(&path)).as_ref() == Some(&file) {
                    continue;
                }
                release
                    .images
                    .extend(self.placement(&path, &file, &mut to_check)?);
                wanted.push(path);
            }
            let name = RemoteName::Targets(role.clone(), Some(draft.version()));
            self.add_draft(release, &role, name);
        }
        self.check_images(to_check)?;
        if let Some(file) = self.drafts.content::<Snapshot>("snapshot")? {
            self.add_draft(
                release,
                "snapshot",
                RemoteName::Snapshot(Some(file.version())),
            );
        }
        if self.drafts.exists("timestamp") {
            self.add_draft(release, "timestamp", RemoteName::Timestamp);
        }
        if let Some(file) = self.drafts.signed::<Root>("root")? {
            self.add_draft(release, "root", RemoteName::Root(decode(&file)?.version()));
        }
        Ok(wanted)
    }

    fn add_draft(&self, release: &mut Release, role: &str, name: RemoteName) {
        release.files.push(NewFile {
            name,
            content: Content::At(self.drafts.path(role)),
        });
    }

    /// Reads the images once more: nobody may have touched the copies.
    fn check_images(&self, to_check: ToCheck) -> Result<(), RepoError> {
        let to_check: Vec<_> = to_check.into_iter().collect();
        let alone = to_check.len() == 1;
        parallel::each(&to_check, |(from, (path, file))| {
            let progress: &dyn Progress = match alone {
                true => &*self.progress,
                false => &Silent,
            };
            match images::matches(from, file, progress)? {
                true => Ok(()),
                false => Err(RepoError::ImageDiffers {
                    name: path.to_string(),
                    path: from.clone(),
                }),
            }
        })
        .map(drop)
    }

    /// Where an image comes from and goes to; `None` if it is there already or is confidential.
    fn placement(
        &self,
        path: &TargetPath,
        file: &TargetFile,
        to_check: &mut ToCheck,
    ) -> Result<Option<Placement>, RepoError> {
        let consistent = self.policy.consistent_snapshot;
        let sha256 = images::sha256_of(file);
        let missing = |looked: PathBuf| {
            Err(RepoError::ImageMissing {
                name: path.to_string(),
                looked,
            })
        };
        let mut check = |from: &PathBuf| {
            let image = || (path.clone(), file.clone());
            to_check.entry(from.clone()).or_insert_with(image);
        };
        if Visibility::of(file) == Visibility::Confidential {
            let kept = self.home.confidential().join(&sha256);
            if !kept.is_file() {
                return missing(kept);
            }
            check(&kept);
            return Ok(None);
        }
        let to = images::places(&self.home.public_targets(), path, file, consistent);
        let staged = self.home.staged_images().join(&sha256);
        if !sha256.is_empty() && staged.is_file() {
            check(&staged);
            return Ok(Some(Placement { from: staged, to }));
        }
        match to.iter().find(|path| path.is_file()) {
            Some(there) => {
                check(there);
                let from = there.clone();
                Ok((!to.iter().all(|path| path.is_file())).then_some(Placement { from, to }))
            }
            None => missing(to.into_iter().next().unwrap_or_default()),
        }
    }
}

/// The images to read, each once, with what a role lists of them.
type ToCheck = BTreeMap<PathBuf, (TargetPath, TargetFile)>;
