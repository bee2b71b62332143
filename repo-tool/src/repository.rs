//! One repository, opened and locked.

use std::path::{Path, PathBuf};

use countersign_metadata::{
    Role, Root, Signed, Snapshot, Targets, TargetsBuilder, Timestamp, UtcTime,
};
use countersign_signing::Secrets;

use crate::batch::Batch;
use crate::drafts::Drafts;
use crate::error::RepoError;
use crate::home::{Home, Lock};
use crate::keyring::KeyRing;
use crate::policy::{POLICY_FILE, Policy};
use crate::progress::{Progress, Silent};
use crate::published::Published;
use crate::release_counter::CounterRule;
use crate::rotation::Opened;
use crate::tallies::Tallies;
use crate::tree::Tree;

/// An image repository on disk. While it exists, no other process can change the same one.
///
/// Editing stages drafts and never signs; [`Repository::sign`] signs them;
/// [`Repository::publish`] makes them visible.
pub struct Repository {
    pub(crate) home: Home,
    pub(crate) policy: Policy,
    pub(crate) drafts: Drafts,
    pub(crate) published: Published,
    pub(crate) keys: KeyRing,
    pub(crate) now: UtcTime,
    pub(crate) opened: Opened,
    pub(crate) progress: Box<dyn Progress>,
    pub(crate) counter_rule: CounterRule,
    pub(crate) tallies: Tallies,
    _lock: Lock,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository")
            .field("folder", &self.folder())
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl Repository {
    /// Opens the repository in `folder` at `now`, which stays fixed. `secrets` say how keys are
    /// unlocked; relative key URIs start where they say, normally at `folder`.
    ///
    /// # Errors
    /// [`RepoError::NotARepository`], [`RepoError::Policy`], [`RepoError::Locked`], or what is
    /// wrong with its files.
    pub fn open(folder: &Path, now: UtcTime, secrets: Secrets) -> Result<Self, RepoError> {
        let opened = Opened::now();
        let policy = Policy::load(folder)?;
        let home = Home::new(folder, &policy.destination);
        let lock = home.lock()?;
        let repository = Self {
            drafts: Drafts::new(&home),
            published: Published::load(&home)?,
            keys: KeyRing::load(&home, secrets)?,
            progress: Box::new(Silent),
            counter_rule: CounterRule::default(),
            tallies: Tallies::default(),
            _lock: lock,
            home,
            policy,
            now,
            opened,
        };
        repository.drop_published_drafts()?;
        Ok(repository)
    }

    /// Reports long work to `progress` from now on.
    #[must_use]
    pub fn with_progress(mut self, progress: Box<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// The repository's folder.
    pub fn folder(&self) -> &Path {
        self.home.folder()
    }

    /// The folder with the public tree.
    pub fn destination(&self) -> &Path {
        self.home.destination()
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Throws away what is staged for `roles`, or everything. Images that were added stay in the
    /// staging folder until the next publish. `repo.toml` stays as it is: it knows the keys of the
    /// published state too, among the retired ones.
    ///
    /// # Errors
    /// [`RepoError::NotStaged`]
    pub fn discard(&mut self, roles: &[String]) -> Result<Vec<String>, RepoError> {
        let staged = self.drafts.roles()?;
        if let Some(role) = roles.iter().find(|role| !staged.contains(role)) {
            return Err(RepoError::NotStaged { role: role.clone() });
        }
        let discarded = match roles.is_empty() {
            true => staged,
            false => roles.to_vec(),
        };
        for role in &discarded {
            self.drafts.remove(role)?;
        }
        Ok(discarded)
    }

    /// Stages the next version of `role` with a new date and nothing else changed.
    ///
    /// # Errors
    /// [`RepoError::NoSuchRole`]
    pub fn renew(&mut self, role: &str) -> Result<(), RepoError> {
        if role != "targets" && self.tree().delegation(role)?.is_none() {
            return Err(RepoError::NoSuchRole { role: role.into() });
        }
        let mut draft = self.draft_of(role)?;
        draft.header.expires = self.policy.expires(role).after(self.now);
        self.drafts.stage(role, draft.to_payload())
    }

    pub(crate) fn tree(&self) -> Tree<'_> {
        Tree::new(&self.drafts, &self.published)
    }

    pub(crate) fn policy_path(&self) -> PathBuf {
        self.home.folder().join(POLICY_FILE)
    }

    /// Changes what is staged for a Targets role; starts the next version if nothing is. A change
    /// that leads back to what is published unstages the role. Whether anything changed.
    pub(crate) fn edit(
        &mut self,
        role: &str,
        change: impl FnOnce(&mut TargetsBuilder) -> Result<(), RepoError>,
    ) -> Result<bool, RepoError> {
        let mut batch = Batch::new(self.home.unfinished());
        let changed = self.edit_in(&mut batch, role, change)?;
        batch.finish()?;
        Ok(changed)
    }

    /// As [`Repository::edit`], with others: the draft is there once `batch` is finished.
    pub(crate) fn edit_in(
        &mut self,
        batch: &mut Batch,
        role: &str,
        change: impl FnOnce(&mut TargetsBuilder) -> Result<(), RepoError>,
    ) -> Result<bool, RepoError> {
        let mut after = self.draft_of(role)?;
        change(&mut after)?;
        // Text is compared, not content: that of a hundred thousand images is large.
        let draft = self.drafts.content::<Targets>(role)?;
        if let (Some(content), Some(file)) = (&draft, self.drafts.signed(role)?)
            && says_the_same(&mut after, content, &file)
        {
            return Ok(false);
        }
        let published = self.published.targets_content(role)?;
        if let (Some(content), Some(file)) = (published, self.published.targets(role)?)
            && says_the_same(&mut after, &content, &file)
        {
            self.drafts.remove(role)?;
            return Ok(draft.is_some());
        }
        after.header.expires = self.policy.expires(role).after(self.now);
        self.drafts.stage_in(batch, role, after.to_payload())?;
        Ok(true)
    }

    /// The draft of a Targets role, or its next version. The version is always the one after the
    /// published one.
    pub(crate) fn draft_of(&self, role: &str) -> Result<TargetsBuilder, RepoError> {
        if let Some(draft) = self.drafts.content::<Targets>(role)? {
            return Ok(TargetsBuilder::same_as(&draft)?);
        }
        let expires = self.policy.expires(role).after(self.now);
        match self.published.targets_content(role)? {
            Some(published) => Ok(TargetsBuilder::next_of(&published, expires)?),
            None => Ok(TargetsBuilder::new(expires)),
        }
    }

    /// Drops drafts that a publish, killed before it cleaned up, has published already.
    pub(crate) fn drop_published_drafts(&self) -> Result<(), RepoError> {
        for role in self.drafts.targets_roles()? {
            let Some(draft) = self.drafts.signed::<Targets>(&role)? else {
                continue;
            };
            let Some(published) = self.published.targets(&role)? else {
                continue;
            };
            if draft.payload() == published.payload() {
                self.drafts.remove(&role)?;
            }
        }
        if let (Some(draft), Some(published)) =
            (self.drafts.signed::<Root>("root")?, &self.published.root)
            && draft.payload() == published.payload()
        {
            self.drafts.remove("root")?;
        }
        // These two are derived anew whenever they are not the very next version.
        let next = self
            .published
            .snapshot
            .as_ref()
            .map_or(0, |file| file.version())
            + 1;
        if let Some(draft) = self.drafts.content::<Snapshot>("snapshot")?
            && draft.version() != next
        {
            self.drafts.remove("snapshot")?;
        }
        let published = self.published.timestamp_content()?;
        let next = published.as_ref().map_or(0, Role::version) + 1;
        if let Some(draft) = self.drafts.content::<Timestamp>("timestamp")?
            && draft.version() != next
        {
            self.drafts.remove("timestamp")?;
        }
        Ok(())
    }

    /// A draft must carry the version right after the published one.
    pub(crate) fn check_not_overtaken(&self) -> Result<(), RepoError> {
        let published = self
            .published
            .root_content()?
            .map_or(0, |root| root.version());
        let staged = self.drafts.content::<Root>("root")?;
        if let Some(staged) = staged.filter(|staged| staged.version() != published + 1) {
            return Err(RepoError::Overtaken {
                role: "root".into(),
                staged: staged.version(),
                published,
            });
        }
        for role in self.drafts.targets_roles()? {
            let published = self.published.version_of(&role);
            let staged = match self.drafts.content::<Targets>(&role)? {
                Some(draft) => draft.version(),
                None => continue,
            };
            if staged != published + 1 {
                return Err(RepoError::Overtaken {
                    role,
                    staged,
                    published,
                });
            }
        }
        Ok(())
    }
}

/// Whether a file would be the same, but for version and date. All files here are canonical.
fn says_the_same(draft: &mut TargetsBuilder, content: &Targets, file: &Signed<Targets>) -> bool {
    let own = std::mem::replace(&mut draft.header, content.header().clone());
    let same = draft.to_payload() == **file.payload();
    draft.header = own;
    same
}
