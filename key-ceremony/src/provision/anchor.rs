//! The Root that a device will trust in one repository, judged by the real verifier.

use std::path::Path;

use countersign_metadata::uptane::{Mapping, time_server};
use countersign_metadata::{PublicKey, Role, Root, UtcTime, Verified};
use countersign_repo::read_root;
use countersign_verifier::{
    FollowRoot, Followed, Limits, Reject, RemoteName, Reply, Step, StoreName, Stored, drive,
    provision_root,
};

use super::limits;
use super::profile::Source;
use super::source::{folder_of, newest_root};
use crate::error::CeremonyError;
use crate::policy::{Finding, HOUSE, Weight, check_foreign_root, shared_key};
use crate::root_role::RootRole;
use crate::words::fingerprint;

/// The one repository of a plain TUF device.
pub(crate) const PLAIN: &str = "repository";

/// A Root that a device may be given: signed by its own threshold, the end of its chain, and not
/// expired.
#[derive(Debug, Clone)]
pub(crate) struct Anchor {
    pub(crate) repository: &'static str,
    followed: Followed,
    reached: Verified<Root>,
}

impl Anchor {
    /// Reads what a profile names, at `now`.
    pub(crate) fn read(
        repository: &'static str,
        source: &Source,
        base: &Path,
        now: UtcTime,
    ) -> Result<Self, CeremonyError> {
        let path = newest_root(&base.join(&source.root))?;
        let unusable = |path: &Path, why: String| CeremonyError::Exchange {
            path: path.into(),
            why,
        };
        let newest = read_root(&path)?;
        let first = match &source.follows {
            Some(first) => read_root(&base.join(first))?,
            None => newest.clone(),
        };
        let anchor = Self::follow(repository, first, newest, &folder_of(&path))
            .map_err(|error| unusable(&path, error))?;
        anchor
            .check_fresh(now)
            .map_err(|why| unusable(&path, why))?;
        if let Some(words) = &source.words {
            anchor.check_words(words)?;
        }
        Ok(anchor)
    }

    /// Takes a Root by itself.
    pub(crate) fn of(repository: &'static str, root: Vec<u8>) -> Result<Self, String> {
        Self::follow(repository, root.clone(), root, Path::new(""))
    }

    /// From `first` to `newest`, by the files `N.root.json` of `folder` in between.
    fn follow(
        repository: &'static str,
        first: Vec<u8>,
        newest: Vec<u8>,
        folder: &Path,
    ) -> Result<Self, String> {
        let refused = |reject: Reject| format!("the {repository} Root: {reject}");
        let end = provision_root(newest.clone()).map_err(refused)?;
        let end = end.content().version();
        let start = provision_root(first.clone()).map_err(refused)?;
        let start = start.content().version();
        if start > end || end - start > u64::from(limits::ROOTS) {
            return Err(format!(
                "it is version {end}, and the Root that it has to follow is version {start}"
            ));
        }
        let limits = Limits::default();
        let answer = |step: Step<'_, Followed>| {
            Ok::<_, Reject>(match step {
                Step::Load {
                    name: StoreName::Root,
                } => Reply::Stored(Stored {
                    bytes: first.clone(),
                    accepted_under: Some(start),
                }),
                Step::Fetch {
                    what: RemoteName::Root(version),
                    ..
                } if version == end => Reply::Fetched(newest.clone()),
                Step::Fetch {
                    what: what @ RemoteName::Root(version),
                    ..
                } if version < end => match read_root(&folder.join(what.file_name())) {
                    Ok(bytes) => Reply::Fetched(bytes),
                    Err(_) => Reply::NotFound,
                },
                Step::Save { .. } => Reply::Saved,
                _ => Reply::NotFound,
            })
        };
        let followed = drive(&mut FollowRoot::new(limits, repository), answer);
        let followed = followed.map_err(|reject| reject.to_string())?;
        let reached = followed.root();
        if reached.payload() == provision_root(newest).map_err(refused)?.payload() {
            return Ok(Self {
                repository,
                followed,
                reached,
            });
        }
        let version = reached.content().version();
        Err(match version == end {
            true => format!("it is not the Root of version {end} that it has to follow"),
            false => format!(
                "it is version {end}, and {}.root.json is missing in {}, which leads to it",
                version + 1,
                folder.display()
            ),
        })
    }

    pub(crate) fn root(&self) -> &Root {
        self.verified().content()
    }

    /// Byte for byte as it was read.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.verified().received()
    }

    pub(crate) fn followed(&self) -> Followed {
        self.followed.clone()
    }

    /// The same words as on the report of the ceremony that made it.
    pub(crate) fn words(&self) -> String {
        fingerprint(self.verified().payload().as_bytes())
    }

    fn verified(&self) -> &Verified<Root> {
        &self.reached
    }

    /// Who has expired is not the newest, or nobody looks after the repository.
    pub(crate) fn check_fresh(&self, now: UtcTime) -> Result<(), String> {
        let expires = self.root().expires();
        match expires > now {
            true => Ok(()),
            false => Err(format!(
                "the {} Root expired at {expires}; give devices the newest one",
                self.repository
            )),
        }
    }

    fn check_words(&self, wanted: &str) -> Result<(), CeremonyError> {
        let found = self.words();
        let wanted = wanted.split_whitespace().map(str::to_lowercase);
        match wanted.eq(found.split(' ').map(str::to_owned)) {
            true => Ok(()),
            false => Err(CeremonyError::Refused(format!(
                "the {} Root is another one than the profile names by its words; its own are: \
                 {found}",
                self.repository
            ))),
        }
    }

    /// What the policy says of it, and what a device will have to do without.
    pub(crate) fn findings(&self, now: UtcTime) -> Vec<Finding> {
        let mut found = check_foreign_root(None, self.root(), now);
        let expires = self.root().expires();
        if expires.unix().saturating_sub(now.unix()) < limits::SOON {
            found.push(Finding {
                name: "root-expires-soon".into(),
                weight: Weight::Warn,
                subject: "root".into(),
                text: format!(
                    "it expires at {expires}; a device that is switched on later asks for a newer \
                     one first, which must be there by then; make a new bundle when there is one"
                ),
                source: HOUSE.into(),
            });
        }
        if self.repository == Mapping::DIRECTOR && matches!(time_server(self.root()), Ok(None)) {
            found.push(Finding {
                name: "no-time-server".into(),
                weight: Weight::Warn,
                subject: "time".into(),
                text:
                    "the Root names no time server, so the device believes its own clock: it must \
                       have one that is set securely and goes on without power"
                        .into(),
                source: "Uptane 5.4, secure source of time".into(),
            });
        }
        for finding in &mut found {
            finding.subject = format!("{} {}", self.repository, finding.subject);
        }
        found
    }

    /// Every key that it lists, with the role.
    pub(crate) fn keys(&self) -> Vec<(RootRole, PublicKey)> {
        let keys = |role: RootRole| {
            let authority = role.authority(self.root());
            let keys: Vec<PublicKey> = authority.public_keys().into_iter().cloned().collect();
            keys.into_iter().map(move |key| (role, key))
        };
        RootRole::all().flat_map(keys).collect()
    }
}

/// Whoever breaks into one repository must not have a key of the other (Uptane 3.5).
pub(crate) fn check_apart(
    director: &Anchor,
    image: &Anchor,
) -> Result<Vec<Finding>, CeremonyError> {
    if director.verified().payload() == image.verified().payload() {
        return Err(CeremonyError::Refused(
            "the Director and the Image repository have the same Root: name the one of each".into(),
        ));
    }
    let place = |anchor: &Anchor, role: RootRole| format!("{} {role}", anchor.repository);
    let others = image.keys();
    let shared = director.keys().into_iter().filter_map(|(role, key)| {
        let (other, _) = others.iter().find(|(_, other)| *other == key)?;
        Some(shared_key(&place(director, role), &place(image, *other)))
    });
    Ok(shared.collect())
}
