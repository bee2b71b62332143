//! What a refresh ends with: the current state of a repository.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use countersign_metadata::{Authority, Role, Root, Snapshot, Timestamp, UtcTime};

use crate::chain::Chain;
use crate::context::Context;
use crate::current::Current;
use crate::listing::Listing;
use crate::search::Search;

/// The four top-level roles, all current at one time, and the delegated roles met so far.
#[derive(Debug)]
pub struct Trusted {
    pub(crate) chain: Chain,
    /// `None` out of an offline bundle.
    timestamp: Option<Current<Timestamp>>,
    pub(crate) snapshot: Current<Snapshot>,
    pub(crate) targets: Arc<Listing>,
    /// Delegated roles verified in this session, by name and by who vouched for them: the same
    /// role may be acceptable to one delegator's keys and not to another's.
    delegated: BTreeMap<String, Vec<Vouched>>,
    /// Bytes of all files in it.
    delegated_len: u64,
    pub(crate) context: Context,
}

/// A delegated role and who vouched for it.
type Vouched = (Authority, Arc<Listing>);

impl Trusted {
    pub(crate) fn new(
        chain: Chain,
        timestamp: Option<Current<Timestamp>>,
        snapshot: Current<Snapshot>,
        targets: Listing,
        context: Context,
    ) -> Self {
        let targets = Arc::new(targets);
        Self {
            chain,
            timestamp,
            snapshot,
            targets,
            delegated: BTreeMap::new(),
            delegated_len: 0,
            context,
        }
    }

    /// Looks for the image at `path`, which may lead to delegated roles (TUF 5.6.7).
    pub fn search(&mut self, path: &str) -> Search<'_> {
        Search::new(self, path)
    }

    /// The current Root.
    pub fn root(&self) -> &Current<Root> {
        &self.chain.root
    }

    /// The current Timestamp; an offline bundle has none.
    pub fn timestamp(&self) -> Option<&Current<Timestamp>> {
        self.timestamp.as_ref()
    }

    /// The current Snapshot.
    pub fn snapshot(&self) -> &Current<Snapshot> {
        &self.snapshot
    }

    /// The current top-level Targets.
    pub fn targets(&self) -> &Listing {
        &self.targets
    }

    /// The time all of this was current at.
    pub fn now(&self) -> UtcTime {
        self.context.now
    }

    /// When the first of the four expires. Without a Timestamp the age of Snapshot does not count.
    pub(crate) fn valid_until(&self) -> UtcTime {
        let kept = self.root().content().expires();
        let until = kept.min(self.targets.expires());
        match &self.timestamp {
            Some(timestamp) => until
                .min(timestamp.content().expires())
                .min(self.snapshot.content().expires()),
            None => until,
        }
    }

    /// A delegated role as verified under `authority`.
    pub(crate) fn delegated(&self, role: &str, authority: &Authority) -> Option<Arc<Listing>> {
        let known = self.delegated.get(role)?;
        let (_, file) = known.iter().find(|(known, _)| known == authority)?;
        Some(Arc::clone(file))
    }

    /// Bytes of all delegated files held.
    pub(crate) fn delegated_len(&self) -> u64 {
        self.delegated_len
    }

    /// Top-level Targets, the same as before, but all of it.
    pub(crate) fn replace_targets(&mut self, file: Listing) -> Arc<Listing> {
        self.targets = Arc::new(file);
        Arc::clone(&self.targets)
    }

    pub(crate) fn add_delegated(
        &mut self,
        role: &str,
        authority: Authority,
        file: Listing,
    ) -> Arc<Listing> {
        self.delegated_len = self.delegated_len.saturating_add(file.held());
        let file = Arc::new(file);
        let known = self.delegated.entry(role.into()).or_default();
        known.push((authority, Arc::clone(&file)));
        file
    }
}
