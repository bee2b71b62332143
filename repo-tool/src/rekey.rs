//! New keys for a delegated role: its file must be signed again.

use countersign_metadata::{Delegations, Targets};

use crate::error::RepoError;
use crate::repository::Repository;
use crate::tree::names;

impl Repository {
    /// Stages the next version of every role whose delegator has drafted other keys for it than
    /// those that signed its published file.
    pub(crate) fn restage_rekeyed(&mut self) -> Result<(), RepoError> {
        for delegator in self.drafts.targets_roles()? {
            let draft = self.drafts.content::<Targets>(&delegator)?;
            let after = draft.as_ref().and_then(|file| file.delegations());
            let before = self.published.targets_content(&delegator)?;
            let (Some(after), Some(before)) =
                (after, before.as_ref().and_then(|file| file.delegations()))
            else {
                continue;
            };
            for role in names(after) {
                let old = before.role_keys(&role);
                let same = old == after.role_keys(&role)
                    && old.is_some_and(|old| {
                        let key = |from: &Delegations, id| from.keys.get(id).cloned();
                        old.keyids
                            .iter()
                            .all(|id| key(before, id) == key(after, id))
                    });
                if same || self.drafts.exists(&role) {
                    continue;
                }
                let authority = after.claimed_authority(&role);
                let published = self.published.targets(&role)?;
                let met = published
                    .zip(authority)
                    .is_some_and(|(file, authority)| file.tally(&authority).is_met());
                if !met {
                    self.renew(&role)?;
                }
            }
        }
        Ok(())
    }
}
