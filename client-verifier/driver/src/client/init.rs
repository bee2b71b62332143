//! The first Root, and what a store that has one already says to another.

use std::io;
use std::path::Path;

use countersign_metadata::{Role, Root, Verified};
use countersign_verifier::{Code, Limits, Reject, StoreName, provision_root};

use super::ClientError;
use crate::durable;
use crate::store::{Store, Stored};

/// What provisioning has come to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Initialised {
    /// The Root that the store trusts now.
    pub trusted: Verified<Root>,
    /// The version of the Root that was given: an earlier one, if the trusted Root was reached
    /// from it before.
    pub given: u64,
}

/// Reads a Root file that came here out of band: a regular file, within the default
/// [`Limits::root_len`].
///
/// # Errors
/// What the operating system says, and for anything but a regular file of that size.
pub fn read_root(path: &Path) -> io::Result<Vec<u8>> {
    durable::read(path, Limits::default().root_len)?
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no such file"))
}

/// Puts the first Root, which came here out of band, into the store. Makes no request.
///
/// # Errors
/// `root-conflict` when another Root is trusted already. The same one is fine, and so is one that
/// the trusted Root was reached from: provisioning again changes nothing then. `store-failed` when
/// the store has lost the Root that it trusted: the given one must not quietly take its place.
pub fn initialise(store: &mut impl Store, bytes: Vec<u8>) -> Result<Initialised, ClientError> {
    let first = FirstRoot::read(bytes)?;
    let [in_history, trusted, after] = first.names();
    let in_history = store.load(&in_history)?;
    let trusted = store.load(&trusted)?;
    match first.decide(in_history, trusted, store.load(&after)?)? {
        Provision::Done(done) => Ok(done),
        Provision::Save(done) => {
            store.save(&StoreName::Root, done.trusted.received(), done.given)?;
            Ok(done)
        }
    }
}

/// A Root that is to be the first one, before it is known what the store has. For stores that are no
/// [`Store`]; the others have [`initialise`].
#[derive(Debug)]
pub struct FirstRoot {
    root: Verified<Root>,
}

/// What is to be done with a first Root.
#[derive(Debug)]
pub enum Provision {
    /// Save `trusted` as [`StoreName::Root`], under its version; then it is done.
    Save(Initialised),
    /// Nothing.
    Done(Initialised),
}

impl FirstRoot {
    /// Reads a Root file that came here out of band.
    ///
    /// # Errors
    /// When it is malformed or not signed by its own threshold.
    pub fn read(bytes: Vec<u8>) -> Result<Self, Reject> {
        let root = provision_root(bytes)?;
        Ok(Self { root })
    }

    /// The files of the store that decide: the Root of its version in the history, the trusted one,
    /// and the one after it in the history.
    pub fn names(&self) -> [StoreName; 3] {
        let given = self.root.content().version();
        [
            StoreName::RootHistory(given),
            StoreName::Root,
            StoreName::RootHistory(given.saturating_add(1)),
        ]
    }

    /// What to do, with what the store has under [`FirstRoot::names`], in that order.
    ///
    /// # Errors
    /// As [`initialise`].
    pub fn decide(
        self,
        in_history: Option<Stored>,
        trusted: Option<Stored>,
        after: Option<Stored>,
    ) -> Result<Provision, Reject> {
        let root = self.root;
        let given = root.content().version();
        // TUF 5.3.8: every Root that was in force is kept, so this one was if it led to the trusted one.
        let known = in_history.map(|known| known.bytes == root.received());
        let Some(stored) = trusted else {
            // A run that was killed in here has left this Root in the history, and no later one.
            return match known == Some(false) || after.is_some() {
                true => Err(damaged("it is missing, and the history holds others")),
                false => Ok(Provision::Save(Initialised {
                    trusted: root,
                    given,
                })),
            };
        };
        let trusted = provision_root(stored.bytes).map_err(|reject| damaged(&reject.detail))?;
        let same = trusted.received() == root.received();
        let earlier = known == Some(true) && given < trusted.content().version();
        if same || earlier {
            return Ok(Provision::Done(Initialised { trusted, given }));
        }
        let detail = format!(
            "another Root, version {}, is trusted here; to start over, use an empty directory",
            trusted.content().version()
        );
        Err(Reject::new(Code::RootConflict, "root", detail))
    }
}

fn damaged(why: &str) -> Reject {
    let detail = format!(
        "the Root that is trusted here cannot be used: {why}; remove root.json and copy the newest \
         file of root_history that is whole to its place, or start over in an empty directory"
    );
    Reject::new(Code::StoreFailed, "root", detail)
}
