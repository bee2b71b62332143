//! The Director's Root: imported from a ceremony, and what it allows to be signed.

use std::sync::{Arc, PoisonError};

use countersign_director_domain::keys::OnlineKeys;
use countersign_metadata::{MetadataError, Role as _, Root, Signed, UtcTime};

use super::{Actor, Service, record};
use crate::problem::Problem;
use crate::storage::StorageError;

/// A Root, and the keys that it lists.
pub(crate) struct Reign {
    pub(crate) version: u64,
    pub(crate) root: Root,
    /// Or why nothing can be signed under it.
    pub(crate) keys: Result<OnlineKeys, Problem>,
}

/// Why a Root is not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// It is not the next one, or not signed as it has to be.
    #[error("this Root is not accepted: {0}")]
    Refused(#[from] MetadataError),
    /// Another version is due.
    #[error("Root {found} cannot follow Root {last}; import version {} next", .last + 1)]
    Version {
        /// What it is.
        found: u64,
        /// What there is.
        last: u64,
    },
    /// It would be refused by every vehicle.
    #[error("this Root has expired at {0}; have the next one signed")]
    Expired(UtcTime),
    /// The file names would not be those that vehicles ask for.
    #[error("this Root does not use consistent snapshots, which Uptane asks for (5.2.7)")]
    NotConsistent,
    /// It could not be kept.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Service {
    /// Takes in the next Root. It must follow the one before it, by the rules that every vehicle goes by.
    /// The first one is taken on the word of whoever brings it. The same one again is fine.
    ///
    /// # Errors
    /// [`RootError`]; then the Root stays the one it was.
    pub async fn import_root(
        &self,
        bytes: Vec<u8>,
        actor: &Actor,
        now: UtcTime,
    ) -> Result<u64, RootError> {
        let database = &self.0.database;
        let known = database.roots().await?;
        let next = Signed::<Root>::parse(bytes.clone())?;
        let found = next.decode_unverified()?.version();
        let index = usize::try_from(found).unwrap_or(usize::MAX).wrapping_sub(1);
        if known.get(index) == Some(&bytes) {
            return Ok(found);
        }
        let last = known.len() as u64;
        let next = match known.last() {
            None => next.verify_by_itself()?,
            Some(_) if found != last + 1 => return Err(RootError::Version { found, last }),
            Some(last) => {
                let last = Signed::<Root>::parse(last.clone())?.verify_by_itself()?;
                last.verify_next(next)?
            }
        };
        if found != last + 1 {
            return Err(RootError::Version { found, last });
        }
        let root = next.content();
        if root.expires() <= now {
            return Err(RootError::Expired(root.expires()));
        }
        if !root.consistent_snapshot {
            return Err(RootError::NotConsistent);
        }
        let detail = [
            ("version", found.into()),
            ("expires", root.expires().to_string().into()),
        ];
        let record = record(now, actor, "root.imported", None, detail);
        database.add_root(found, &bytes, now, &[record]).await?;
        Ok(found)
    }

    /// The Root with version `newest`, which the database says is the newest. No older one is gone by:
    /// a process whose keys it does not list signs nothing.
    pub(crate) async fn reign(&self, newest: u64) -> Result<Arc<Reign>, Problem> {
        if let Some(known) = self.known_reign(newest) {
            return Ok(known);
        }
        let bytes = self.0.database.root(newest).await?;
        let bytes = bytes.ok_or_else(|| {
            Problem::signing("the director has no Root; import one with `director root import`")
        })?;
        let root = Signed::<Root>::parse(bytes)?.decode_unverified()?;
        let keys = self.0.keyring.online(&root);
        let keys = keys.map_err(|error| {
            tracing::error!(%error, "nothing can be signed");
            Problem::signing(error.to_string())
        });
        let reign = Arc::new(Reign {
            version: newest,
            root,
            keys,
        });
        let known = &self.0.reign;
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Arc::clone(&reign));
        Ok(reign)
    }

    fn known_reign(&self, newest: u64) -> Option<Arc<Reign>> {
        let known = self.0.reign.read();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        known.clone().filter(|known| known.version == newest)
    }

    /// The newest Root, and the keys that it lists.
    pub(crate) async fn newest_reign(&self) -> Result<Arc<Reign>, Problem> {
        self.reign(self.0.database.newest_root().await?).await
    }
}
