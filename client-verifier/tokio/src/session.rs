//! Any session of the verifier, over an asynchronous fetcher and store.

use countersign_client::client::{ClientError, mirror_says, no_mirror_says};
use countersign_verifier::{Protocol, RemoteName, Reply, Step};

use crate::fetch::{Fetcher, fetch_bytes};
use crate::store::Store;

/// Answers a session from a store and from the first of the mirrors `urls` that can be reached; a URL
/// is what a file's name is put behind. For the sessions of TUF and those of Uptane.
///
/// # Errors
/// [`ClientError`]; what was verified until then is kept, also if the future is dropped.
pub async fn run_session<P: Protocol>(
    fetcher: &mut impl Fetcher,
    store: &mut impl Store,
    urls: &[String],
    session: &mut P,
) -> Result<P::Output, ClientError> {
    loop {
        let reply = match session.next() {
            Step::Load { name } => match store.load(&name).await? {
                Some(stored) => Reply::Stored(stored),
                None => Reply::NotFound,
            },
            Step::LoadPart { name, range } => {
                let stored = store.load(&name).await?;
                let part = stored.and_then(|stored| stored.part(range));
                part.map_or(Reply::NotFound, Reply::part)
            }
            Step::Fetch { what, max_len } => fetch(fetcher, urls, &what, max_len).await?,
            Step::Save {
                name,
                bytes,
                accepted_under,
                ..
            } => {
                store.save(&name, bytes, accepted_under).await?;
                Reply::Saved
            }
            Step::Done(outcome) => return outcome.map_err(ClientError::from),
        };
        session.supply(reply);
    }
}

/// What a mirror says counts; only one that cannot be reached is passed over.
async fn fetch(
    fetcher: &mut impl Fetcher,
    urls: &[String],
    what: &RemoteName,
    max_len: u64,
) -> Result<Reply, ClientError> {
    let mut last = None;
    for base in urls {
        let url = format!("{base}{}", what.file_name());
        match mirror_says(fetch_bytes(fetcher, &url, max_len).await) {
            Ok(reply) => return Ok(reply),
            Err(error) => last = Some(error),
        }
    }
    Err(no_mirror_says(what, last))
}
