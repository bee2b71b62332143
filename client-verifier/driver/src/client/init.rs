//! The first Root, and what a store that has one already says to another.

use std::io;
use std::path::Path;

use countersign_metadata::{Role, Root, Verified};
use countersign_verifier::{Code, Limits, Reject, StoreName, provision_root};

use super::ClientError;
use crate::durable;
use crate::store::Store;

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
    let root = provision_root(bytes)?;
    let given = root.content().version();
    // TUF 5.3.8: every Root that was in force is kept, so this one was if it led to the trusted one.
    let known = store
        .load(&StoreName::RootHistory(given))?
        .map(|known| known.bytes == root.received());
    let Some(stored) = store.load(&StoreName::Root)? else {
        // A run that was killed in here has left this Root in the history, and no later one.
        let later = store.load(&StoreName::RootHistory(given.saturating_add(1)))?;
        if known == Some(false) || later.is_some() {
            return Err(damaged("it is missing, and the history holds others"));
        }
        store.save(&StoreName::Root, root.received(), given)?;
        return Ok(Initialised {
            trusted: root,
            given,
        });
    };
    let trusted = provision_root(stored.bytes).map_err(|reject| damaged(&reject.detail))?;
    let same = trusted.received() == root.received();
    let earlier = known == Some(true) && given < trusted.content().version();
    if same || earlier {
        return Ok(Initialised { trusted, given });
    }
    let detail = format!(
        "another Root, version {}, is trusted here; to start over, use an empty directory",
        trusted.content().version()
    );
    Err(Reject::new(Code::RootConflict, "root", detail).into())
}

fn damaged(why: &str) -> ClientError {
    let detail = format!(
        "the Root that is trusted here cannot be used: {why}; put the newest file of root_history \
         in the place of root.json, or start over in an empty directory"
    );
    Reject::new(Code::StoreFailed, "root", detail).into()
}
