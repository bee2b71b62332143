//! The real verifier, walking the tree as clients would see it after a release.

use std::collections::{BTreeMap, VecDeque};

use countersign_metadata::{TargetPath, UtcTime};
use countersign_verifier::{
    Code, Reject, RemoteName, Reply, Session, Step, StoreName, Stored, drive,
};

use crate::error::{RepoError, renew};
use crate::files;
use crate::home::Home;
use crate::published::Published;
use crate::release::{Content, Release};

/// Which Roots a client finds that walks the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visible {
    /// None after this version: the next became public just after the client had asked for it.
    RootsUpTo(u64),
    /// All.
    All,
}

impl Visible {
    fn sees(self, version: u64) -> bool {
        match self {
            Self::RootsUpTo(last) => version <= last,
            Self::All => true,
        }
    }
}

/// Walks as a client that has what is published now, and as one that has the first Root only.
pub(crate) fn walk(
    home: &Home,
    published: &Published,
    release: &Release,
    visible: Visible,
    wanted: &[TargetPath],
    now: UtcTime,
) -> Result<(), RepoError> {
    let consistent = release.consistent;
    let mut overlay = BTreeMap::new();
    for file in release.files_in_order() {
        let hidden = matches!(file.name, RemoteName::Root(version) if !visible.sees(version));
        if !hidden {
            overlay.insert(file.public_name(consistent).file_name(), &file.content);
        }
    }
    let tree = Tree {
        home,
        overlay,
        visible,
    };
    if published.root.is_some() {
        let store = Store::of(published, Known::Everything, visible)?;
        tree.follow(store, wanted, now)
            .map_err(|error| refused("as a client of the last state", error))?;
    }
    // Before the Root of a first release there is nothing that a new client could start from.
    let started = !published.root_versions()?.is_empty();
    if started || visible == Visible::All {
        let mut store = Store::of(published, Known::FirstRoot, visible)?;
        if !started && let Some(root) = release.root() {
            store.kept.insert(StoreName::Root, root.content.read()?);
        }
        tree.follow(store, wanted, now)
            .map_err(|error| refused("as a new client", error))?;
    }
    Ok(())
}

enum Failure {
    Reject(Reject),
    Repo(RepoError),
}

impl From<Reject> for Failure {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

fn refused(walk: &'static str, failure: Failure) -> RepoError {
    match failure {
        Failure::Repo(error) => error,
        Failure::Reject(reject) => RepoError::Refused {
            walk,
            what: explain(&reject),
        },
    }
}

/// What the verifier says, and what to do if something is merely over.
pub(crate) fn explain(reject: &Reject) -> String {
    match reject.code {
        Code::Expired => format!("{reject}; {}", renew(&reject.role)),
        _ => reject.to_string(),
    }
}

/// The public tree with the new files over it.
struct Tree<'a> {
    home: &'a Home,
    overlay: BTreeMap<String, &'a Content>,
    visible: Visible,
}

impl Tree<'_> {
    fn follow(
        &self,
        mut store: Store<'_>,
        wanted: &[TargetPath],
        now: UtcTime,
    ) -> Result<(), Failure> {
        let mut wanted = wanted.iter().peekable();
        loop {
            let mut trusted = drive(&mut Session::refresh(now), |step| {
                self.answer(&mut store, step)
            })?;
            let enough = store.met + ROLES_AT_A_TIME;
            while store.met < enough {
                let Some(path) = wanted.next() else {
                    return Ok(());
                };
                let mut search = trusted.search(path.as_str());
                drive(&mut search, |step| self.answer(&mut store, step))?;
            }
            if wanted.peek().is_none() {
                return Ok(());
            }
        }
    }

    fn answer<T>(&self, store: &mut Store<'_>, step: Step<'_, T>) -> Result<Reply, Failure> {
        let reply = match step {
            Step::Load { name } => store.load(&name).map_err(Failure::Repo)?,
            Step::Fetch { what, max_len } => self.fetch(&what, max_len).map_err(Failure::Repo)?,
            Step::Save { name, bytes, .. } => {
                store.keep(name, bytes);
                Reply::Saved
            }
            // No outline is kept, and the driver keeps the end to itself.
            Step::LoadPart { .. } | Step::Done(_) => Reply::NotFound,
        };
        Ok(reply)
    }

    fn fetch(&self, what: &RemoteName, max_len: u64) -> Result<Reply, RepoError> {
        if matches!(what, RemoteName::Root(version) if !self.visible.sees(*version)) {
            return Ok(Reply::NotFound);
        }
        let name = what.file_name();
        let bytes = match self.overlay.get(&name) {
            Some(content) => content.read()?,
            None => {
                let path = self.home.public_metadata().join(name);
                match files::read_up_to(&path, max_len) {
                    Ok(bytes) => bytes,
                    Err(RepoError::TooLarge { .. }) => return Ok(Reply::TooLarge),
                    Err(RepoError::Io { source, .. })
                        if source.kind() == std::io::ErrorKind::NotFound =>
                    {
                        return Ok(Reply::NotFound);
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(match bytes.len() as u64 > max_len {
            true => Reply::TooLarge,
            false => Reply::Fetched(bytes),
        })
    }
}

/// How much a client knows when it starts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    FirstRoot,
    Everything,
}

/// New delegated roles that one session meets, or a few more. A session keeps all roles that it has
/// met; of a release of many bins that would be most of the repository.
const ROLES_AT_A_TIME: usize = 1024;

/// A client's store, in memory.
struct Store<'a> {
    published: &'a Published,
    known: Known,
    root_version: Option<u64>,
    kept: BTreeMap<StoreName, Vec<u8>>,
    /// The delegated roles among them, oldest first.
    delegated: VecDeque<StoreName>,
    /// How many of them were saved so far.
    met: usize,
}

/// Delegated roles that are kept at a time. A client keeps all; here it only matters that images of
/// one role, which are asked for one after the other, read it once.
const KEPT_DELEGATED: usize = 16;

impl<'a> Store<'a> {
    fn of(published: &'a Published, known: Known, visible: Visible) -> Result<Self, RepoError> {
        let mut kept = BTreeMap::new();
        let mut versions = published.root_versions()?;
        versions.retain(|version| visible.sees(*version));
        let start = match known {
            Known::FirstRoot => versions.first(),
            Known::Everything => versions.last(),
        };
        if let Some(version) = start
            && let Some(bytes) = files::read(&published.root_path(*version))?
        {
            kept.insert(StoreName::Root, bytes);
        }
        Ok(Self {
            published,
            known,
            root_version: versions.last().copied(),
            kept,
            delegated: VecDeque::new(),
            met: 0,
        })
    }

    fn keep(&mut self, name: StoreName, bytes: &[u8]) {
        let known = self.kept.insert(name.clone(), bytes.to_vec()).is_some();
        if !known && matches!(name, StoreName::Delegated(_)) {
            self.delegated.push_back(name);
            self.met += 1;
        }
        if self.delegated.len() > KEPT_DELEGATED
            && let Some(oldest) = self.delegated.pop_front()
        {
            self.kept.remove(&oldest);
        }
    }

    /// What the client saved in this walk, or what it had before.
    fn load(&self, name: &StoreName) -> Result<Reply, RepoError> {
        let before = || match (self.known, name) {
            (Known::FirstRoot, _) | (_, StoreName::Root) => Ok(None),
            (_, StoreName::RootHistory(version)) => {
                files::read(&self.published.root_path(*version))
            }
            (_, StoreName::Timestamp) => files::read(&self.published.path(&RemoteName::Timestamp)),
            (_, StoreName::Snapshot) => {
                let file = self.published.snapshot_file()?;
                Ok(file.map(|file| file.received().to_vec()))
            }
            (_, StoreName::Targets) => self.targets("targets"),
            (_, StoreName::Delegated(role)) => self.targets(role),
            // Nobody publishes the first, and an image repository none of the others.
            (
                _,
                StoreName::TargetsOutline
                | StoreName::OfflineSnapshot
                | StoreName::OfflineTargets(_),
            ) => Ok(None),
        };
        let bytes = match self.kept.get(name) {
            Some(bytes) => Some(bytes.clone()),
            None => before()?,
        };
        Ok(match bytes {
            Some(bytes) => Reply::Stored(Stored {
                bytes,
                accepted_under: self.root_version,
            }),
            None => Reply::NotFound,
        })
    }

    fn targets(&self, role: &str) -> Result<Option<Vec<u8>>, RepoError> {
        let file = self.published.targets(role)?;
        Ok(file.map(|file| file.received().to_vec()))
    }
}
