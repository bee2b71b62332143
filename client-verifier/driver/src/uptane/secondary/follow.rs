//! A session joined to a store, and to whoever files are fetched from.

use countersign_verifier::{Code, Protocol, Reject, RemoteName, Reply, Step, drive};

use crate::store::{Store, StoreError};
use crate::uptane::link::Repository;

/// Fetches one metadata file of at most so many bytes.
pub(super) type Fetch<'f> = dyn FnMut(Repository, &RemoteName, u64) -> Result<Reply, Reject> + 'f;

/// Drives a session in `repository` to its end.
pub(super) fn follow<P: Protocol>(
    session: &mut P,
    repository: Repository,
    store: &mut dyn Store,
    fetch: &mut Fetch<'_>,
) -> Result<P::Output, Reject> {
    let broken = |error: StoreError| {
        Reject::new(Code::StoreFailed, "", error.to_string()).at(repository.name())
    };
    drive(session, |step| match step {
        Step::Load { name } => Ok(match store.load(&name).map_err(broken)? {
            Some(stored) => Reply::Stored(stored),
            None => Reply::NotFound,
        }),
        Step::LoadPart { name, range } => {
            Ok(match store.load_part(&name, range).map_err(broken)? {
                Some(part) => Reply::part(part),
                None => Reply::NotFound,
            })
        }
        Step::Fetch { what, max_len } => fetch(repository, &what, max_len),
        Step::Save {
            name,
            bytes,
            accepted_under,
            ..
        } => {
            let saved = store.save(&name, bytes, accepted_under);
            saved.map_err(broken).map(|()| Reply::Saved)
        }
        // `drive` answers the last step itself.
        Step::Done(outcome) => outcome.map(|_| Reply::Saved),
    })
}
