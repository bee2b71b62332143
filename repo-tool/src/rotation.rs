//! Clients between two Roots.
//!
//! A client asks for the next Root until there is none (TUF 5.3.3), and for Timestamp after that
//! (5.4.1). A Root that becomes public between the two is one it does not know of when the
//! Timestamp comes. So for a while after each new Root, the published Timestamp, Snapshot and
//! Targets carry the signatures that the Root before it asks for too: `rotation_grace` in
//! `repo.toml` says how long.
//!
//! Nothing here is remembered but the time at which each Root was public for sure. Which Roots
//! clients may still go by follows from that, and from what the published files are signed with.

use std::time::Instant;

use countersign_metadata::{Role, RoleType, Root, Signed, UtcTime};

use crate::error::RepoError;
use crate::repository::Repository;
use crate::requirements::{By, Outgoing, Requirement, Requirements};
use crate::sign::AnyFile;
use crate::status::WayOver;
use crate::tree::Tree;

/// The roles whose files every client asks for after the Roots.
pub(crate) const AFTER_ROOT: [RoleType; 3] =
    [RoleType::Targets, RoleType::Snapshot, RoleType::Timestamp];

/// A Root that clients may still go by although a newer one is public.
#[derive(Debug, Clone)]
pub(crate) struct EarlierRoot {
    pub(crate) root: Root,
    /// When no client goes by it any more.
    pub(crate) until: UtcTime,
}

/// When a repository was opened, on a clock that nobody sets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened(Instant);

impl Opened {
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }
}

impl Repository {
    /// Whose signatures the next files need, of what is published and staged.
    pub(crate) fn requirements(&self, outgoing: Outgoing) -> Result<Requirements<'_>, RepoError> {
        let earlier = self.earlier_roots()?;
        let tallies = self.tallies.clone();
        Requirements::new(&self.drafts, &self.published, earlier, outgoing, tallies)
    }

    /// The Roots before the newest that clients may still go by, newest first. The way over from
    /// a Root ends early where it was given up: once a published file lacks its signatures,
    /// further ones help nobody.
    pub(crate) fn earlier_roots(&self) -> Result<Vec<EarlierRoot>, RepoError> {
        let mut found = Vec::new();
        let Some(newest) = self.published.root_content()? else {
            return Ok(found);
        };
        for version in (2..=newest.version()).rev() {
            let since = match self.published.public_since(version)? {
                Some(since) => since.min(self.moment()),
                // Its publisher was killed.
                None if version == newest.version() => self.moment(),
                None => break,
            };
            let until = self.policy.rotation_grace.after(since);
            if until <= self.now {
                break;
            }
            let Some(root) = self.published.root_at(version - 1)? else {
                break;
            };
            // A client refuses a Root that has expired, whatever follows (TUF 5.3.10).
            if self.now < root.expires() && self.is_led_over(&root, &newest)? {
                found.push(EarlierRoot { root, until });
            }
        }
        Ok(found)
    }

    /// Whether the published files are such that clients at either Root accept them.
    fn is_led_over(&self, earlier: &Root, newest: &Root) -> Result<bool, RepoError> {
        for kind in AFTER_ROOT {
            let Some(file) = self.published_file(kind)? else {
                return Ok(false);
            };
            for root in [earlier, newest] {
                if !Requirement::of_root(By::Root, root, kind, &self.tallies).is_met(&file) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The published file of a top-level role other than Root.
    pub(crate) fn published_file(&self, kind: RoleType) -> Result<Option<AnyFile>, RepoError> {
        match kind {
            RoleType::Timestamp => Ok(self.published.timestamp.as_ref().map(Signed::retyped)),
            RoleType::Snapshot => Ok(self
                .published
                .snapshot_file()?
                .as_ref()
                .map(Signed::retyped)),
            _ => self.published.targets(kind.name()),
        }
    }

    /// That a role lacks nothing but the signatures of keys that leave it, and how to go on.
    pub(crate) fn outgoing_keys_error(&self, role: String) -> Result<RepoError, RepoError> {
        let wait = match self.drafts.exists("root") {
            true => None,
            false => self.earlier_roots()?.first().map(|earlier| earlier.until),
        };
        Ok(RepoError::OutgoingKeys { role, wait })
    }

    /// The Roots that clients may still go by, for people.
    pub(crate) fn way_over(&self) -> Result<Vec<WayOver>, RepoError> {
        let earlier = self.earlier_roots()?;
        let way_over = |earlier: &EarlierRoot| WayOver {
            root: earlier.root.version(),
            until: earlier.until.to_string(),
        };
        Ok(earlier.iter().map(way_over).collect())
    }

    /// The retired keys that nothing asks for any more. One that was never used here stays: it
    /// may be meant for a Root to come.
    pub(crate) fn unneeded_keys(&self) -> Result<Vec<String>, RepoError> {
        if self.policy.retired_keys.is_empty() || self.published.root.is_none() {
            return Ok(Vec::new());
        }
        let requirements = self.requirements(Outgoing::Sign)?;
        let mut needed = Vec::new();
        for kind in RoleType::ALL {
            for requirement in requirements.of(kind.name())? {
                needed.extend(requirement.keys.into_values());
            }
        }
        // What is staged may be discarded, so what is published counts as well.
        needed.extend(Tree::published(&self.published).delegated_keys()?);
        needed.extend(self.tree().delegated_keys()?);
        let delegated = self.policy.delegations.values().flat_map(|role| &role.keys);
        needed.extend(delegated.filter_map(|entry| self.keys.recall(&self.home, entry)));
        let is_unneeded = |entry: &&String| {
            let key = self.keys.recall(&self.home, entry);
            key.is_some_and(|key| !needed.contains(&key))
        };
        let retired = self.policy.retired_keys.iter();
        Ok(retired.filter(is_unneeded).cloned().collect())
    }

    /// Writes down that the newest Root is public now.
    pub(crate) fn note_root_is_public(&self) -> Result<(), RepoError> {
        match self.published.root_content()? {
            Some(root) => self.note_public(root.version()),
            None => Ok(()),
        }
    }

    pub(crate) fn note_public(&self, version: u64) -> Result<(), RepoError> {
        let path = self.published.public_since_path(version);
        let text = format!("{}\n", self.moment());
        self.home.write(&path, text.as_bytes())
    }

    /// Whether it is written down since when the newest Root is public. A time in the future does
    /// not count: a clock that was wrong once must not hold up a rotation for years.
    pub(crate) fn root_is_noted(&self) -> Result<bool, RepoError> {
        let Some(root) = self.published.root_content()? else {
            return Ok(true);
        };
        let since = self.published.public_since(root.version())?;
        Ok(since.is_some_and(|since| since <= self.moment()))
    }

    /// A time that is not before the present one: `now` is that of the opening, in whole seconds.
    fn moment(&self) -> UtcTime {
        let passed = self.opened.0.elapsed().as_secs();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        let later = passed.saturating_add(2);
        self.now.plus_seconds(later).unwrap_or(self.now)
    }
}
