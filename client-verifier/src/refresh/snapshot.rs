//! Snapshot and top-level Targets (TUF 5.5, 5.6.1 to 5.6.6): the same four states, since both are
//! a file that the file before it names.

use alloc::boxed::Box;

use countersign_metadata::{
    Authority, MetaFile, Role, RoleType, Snapshot, Targets, Timestamp, Verified,
};

use super::outline::{self, ExpectOutline};
use super::{State, Transition, misuse};
use crate::chain::{Chain, KeyGroup, Recall};
use crate::context::{Context, Profile};
use crate::current::Current;
use crate::limits::Limits;
use crate::link;
use crate::names::{RemoteName, StoreName};
use crate::reject::{Code, Reject, versions};
use crate::session::{Reply, Step, Stored};

/// What distinguishes the two.
pub(super) trait Linked: Role + Sized + core::fmt::Debug {
    /// What is current before it.
    type Before: core::fmt::Debug;

    const STORE: StoreName;
    const GROUP: KeyGroup;

    fn remote(version: Option<u64>) -> RemoteName;
    fn budget(limits: &Limits) -> u64;
    /// Rules of its own against the trusted file, beyond those that all files share.
    fn check(new: &Self, floor: &Self) -> Result<(), Reject>;
    /// Rules of its own that depend on whose rules hold.
    fn admit(&self, profile: &Profile) -> Result<(), Reject>;
    fn go_on(link: Link<Self>, file: Current<Self>, context: &Context) -> Transition;
    fn stored(state: ExpectStoredFile<Self>) -> State;
    fn history(state: ExpectFileHistory<Self>) -> State;
    fn fetch(state: ExpectFile<Self>) -> State;
    fn save(state: ExpectFileSaved<Self>) -> State;
}

/// The proofs so far and the entry that names the file.
#[derive(Debug)]
pub(super) struct Link<T: Linked> {
    pub(super) chain: Chain,
    pub(super) before: T::Before,
    pub(super) meta: MetaFile,
}

impl<T: Linked> Link<T> {
    pub(super) fn authority(&self) -> Authority {
        self.chain.root.authority(T::TYPE)
    }
}

/// The file trusted so far.
#[derive(Debug)]
pub(super) struct ExpectStoredFile<T: Linked> {
    pub(super) link: Link<T>,
}

impl ExpectStoredFile<Snapshot> {
    pub(super) fn snapshot(chain: Chain, timestamp: Current<Timestamp>) -> Self {
        let meta = timestamp.content().snapshot.clone();
        Self {
            link: Link {
                chain,
                before: timestamp,
                meta,
            },
        }
    }
}

impl<T: Linked> ExpectStoredFile<T> {
    pub(super) fn request<O>(&self) -> Step<'_, O> {
        Step::Load { name: T::STORE }
    }

    pub(super) fn supply(self, reply: Reply, context: &Context) -> Transition {
        match reply {
            Reply::Stored(stored) => recall(self.link, stored, context),
            Reply::NotFound => Ok(T::fetch(ExpectFile {
                link: self.link,
                floor: None,
            })),
            _ => Err(misuse("a stored file was asked for")),
        }
    }
}

/// An older Root, on which it depends whether the stored file is a floor.
#[derive(Debug)]
pub(super) struct ExpectFileHistory<T: Linked> {
    link: Link<T>,
    stored: Stored,
    version: u64,
}

impl<T: Linked> ExpectFileHistory<T> {
    pub(super) fn request<O>(&self) -> Step<'_, O> {
        Step::Load {
            name: StoreName::RootHistory(self.version),
        }
    }

    pub(super) fn supply(mut self, reply: Reply, context: &Context) -> Transition {
        self.link.chain.add_history(reply)?;
        recall(self.link, self.stored, context)
    }
}

/// The stored file is used if it is the one that is named, and is a floor for another one.
fn recall<T: Linked>(link: Link<T>, stored: Stored, context: &Context) -> Transition {
    let floor = match link.chain.recall(&stored, T::GROUP) {
        Recall::NeedRoot(version) => {
            return Ok(T::history(ExpectFileHistory {
                link,
                stored,
                version,
            }));
        }
        Recall::Forget => None,
        Recall::Keep => link::floor::<T>(stored, &link.authority()),
    };
    match floor {
        Some(file) if link::is_named(&file, &link.meta) => {
            let file = Current::fresh(file, T::TYPE.name(), context.now)?;
            T::go_on(link, file, context)
        }
        floor => Ok(T::fetch(ExpectFile { link, floor })),
    }
}

/// TUF 5.5.1 to 5.5.6, 5.6.1 to 5.6.5.
#[derive(Debug)]
pub(super) struct ExpectFile<T: Linked> {
    pub(super) link: Link<T>,
    pub(super) floor: Option<Verified<T>>,
}

impl<T: Linked> ExpectFile<T> {
    pub(super) fn request<O>(&self, limits: &Limits) -> Step<'_, O> {
        let consistent = self.link.chain.root.content().consistent_snapshot;
        let version = consistent.then_some(self.link.meta.version);
        Step::Fetch {
            what: T::remote(version),
            max_len: self.max_len(limits),
        }
    }

    fn max_len(&self, limits: &Limits) -> u64 {
        link::max_len(&self.link.meta, T::budget(limits))
    }

    pub(super) fn supply(self, reply: Reply, context: &Context) -> Transition {
        let role = T::TYPE.name();
        let bytes = match reply {
            Reply::Fetched(bytes) => bytes,
            other => return Err(link::no_file(role, other)),
        };
        link::within(role, &bytes, self.max_len(&context.limits))?;
        let Self { link, floor } = self;
        let file = link::check(bytes, role, &link.meta, &link.authority(), floor.as_ref())?;
        if let Some(floor) = &floor {
            T::check(file.content(), floor.content())?;
        }
        file.content().admit(&context.profile)?;
        let file = Current::fresh(file, role, context.now)?;
        Ok(T::save(ExpectFileSaved { link, file }))
    }
}

/// TUF 5.5.7, 5.6.6.
#[derive(Debug)]
pub(super) struct ExpectFileSaved<T: Linked> {
    link: Link<T>,
    file: Current<T>,
}

impl<T: Linked> ExpectFileSaved<T> {
    pub(super) fn request<O>(&self) -> Step<'_, O> {
        Step::Save {
            name: T::STORE,
            version: self.file.content().version(),
            bytes: self.file.verified().received(),
            sha256: link::known_sha256(&self.link.meta),
            accepted_under: self.link.chain.version(),
        }
    }

    pub(super) fn supply(self, reply: Reply, context: &Context) -> Transition {
        match reply {
            Reply::Saved => T::go_on(self.link, self.file, context),
            _ => Err(misuse("a file was to be saved")),
        }
    }
}

impl Linked for Snapshot {
    type Before = Current<Timestamp>;

    const STORE: StoreName = StoreName::Snapshot;
    const GROUP: KeyGroup = KeyGroup::Online;

    fn remote(version: Option<u64>) -> RemoteName {
        RemoteName::Snapshot(version)
    }

    fn budget(limits: &Limits) -> u64 {
        limits.snapshot_len
    }

    fn check(new: &Self, floor: &Self) -> Result<(), Reject> {
        check_entries(new, floor)
    }

    fn admit(&self, profile: &Profile) -> Result<(), Reject> {
        profile.check(self, Self::TYPE.name())
    }

    fn go_on(link: Link<Self>, snapshot: Current<Self>, context: &Context) -> Transition {
        after_snapshot(link.chain, Some(link.before), snapshot, context)
    }

    fn stored(state: ExpectStoredFile<Self>) -> State {
        State::StoredSnapshot(Box::new(state))
    }

    fn history(state: ExpectFileHistory<Self>) -> State {
        State::SnapshotHistory(Box::new(state))
    }

    fn fetch(state: ExpectFile<Self>) -> State {
        State::Snapshot(Box::new(state))
    }

    fn save(state: ExpectFileSaved<Self>) -> State {
        State::SnapshotSaved(Box::new(state))
    }
}

/// TUF 5.6: top-level Targets is the one that Snapshot names.
pub(super) fn after_snapshot(
    chain: Chain,
    timestamp: Option<Current<Timestamp>>,
    snapshot: Current<Snapshot>,
    context: &Context,
) -> Transition {
    let role = RoleType::Targets.name();
    let Some(meta) = snapshot.content().role(role) else {
        let detail = "Snapshot does not list targets.json";
        return Err(Reject::new(Code::RoleNotInSnapshot, role, detail));
    };
    let link = Link {
        chain,
        before: (timestamp, snapshot),
        meta,
    };
    Ok(match context.outlines {
        true => State::Outline(Box::new(ExpectOutline { link })),
        false => Targets::stored(ExpectStoredFile { link }),
    })
}

/// TUF 5.5.5: no Targets file that was listed may go back in version or vanish.
pub(crate) fn check_entries(new: &Snapshot, floor: &Snapshot) -> Result<(), Reject> {
    // Both are in order.
    let mut listed = new.meta.iter();
    for (name, before) in floor.meta.iter() {
        let role = name.strip_suffix(".json").unwrap_or(&name);
        let now = listed.find(|(now, _)| *now >= name);
        let Some((_, now)) = now.filter(|(now, _)| *now == name) else {
            let detail = "the new Snapshot no longer lists it";
            return Err(Reject::new(Code::SnapshotEntryRemoved, role, detail));
        };
        if now.version < before.version {
            let detail = versions(now.version, before.version, "listed below the trusted");
            return Err(Reject::new(Code::SnapshotEntryRollback, role, detail));
        }
    }
    Ok(())
}

impl Linked for Targets {
    type Before = (Option<Current<Timestamp>>, Current<Snapshot>);

    const STORE: StoreName = StoreName::Targets;
    const GROUP: KeyGroup = KeyGroup::Targets;

    fn remote(version: Option<u64>) -> RemoteName {
        RemoteName::Targets(RoleType::Targets.name().into(), version)
    }

    fn budget(limits: &Limits) -> u64 {
        limits.targets_len
    }

    /// Nothing beyond the shared rules.
    fn check(_: &Self, _: &Self) -> Result<(), Reject> {
        Ok(())
    }

    fn admit(&self, profile: &Profile) -> Result<(), Reject> {
        profile.check_targets(self)
    }

    fn go_on(link: Link<Self>, targets: Current<Self>, context: &Context) -> Transition {
        Ok(outline::keep(link, targets, context))
    }

    fn stored(state: ExpectStoredFile<Self>) -> State {
        State::StoredTargets(Box::new(state))
    }

    fn history(state: ExpectFileHistory<Self>) -> State {
        State::TargetsHistory(Box::new(state))
    }

    fn fetch(state: ExpectFile<Self>) -> State {
        State::Targets(Box::new(state))
    }

    fn save(state: ExpectFileSaved<Self>) -> State {
        State::TargetsSaved(Box::new(state))
    }
}
