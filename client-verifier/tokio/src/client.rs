//! A TUF client for tokio: a verifier session joined to a fetcher and a store.

use std::path::Path;
use std::sync::Arc;

use countersign_client::client::{FirstRoot, ImageRequest, Provision, with_slash};
use countersign_client::fetch::check_base_url;
use countersign_client::files::TargetDir;
use countersign_verifier::{Context, ListedTarget, Protocol, Session, StoreName, Trusted};

use crate::download::download;
use crate::fetch::Fetcher;
use crate::session::run_session;
use crate::store::Store;

pub use countersign_client::client::{ClientError, Image, Initialised};

/// A client of one repository. Its futures may be dropped at any await point: see the
/// [crate](crate#dropping-a-future).
#[derive(Debug)]
pub struct Client<F, S> {
    fetcher: F,
    store: S,
    metadata_url: String,
}

impl<F: Fetcher, S: Store> Client<F, S> {
    /// A client of the repository whose metadata is below `metadata_url`.
    pub fn new(fetcher: F, store: S, metadata_url: &str) -> Self {
        Self {
            fetcher,
            store,
            metadata_url: with_slash(metadata_url),
        }
    }

    /// Follows the repository to its current state (TUF 5.1 to 5.6.6).
    ///
    /// # Errors
    /// [`ClientError`]; what was verified until then is kept and the next refresh goes on from it.
    pub async fn refresh(&mut self, context: Context) -> Result<Trusted, ClientError> {
        check_base_url(&self.metadata_url).map_err(ClientError::BaseUrl)?;
        self.run(&mut Session::with_context(context)).await
    }

    /// Looks for the image at `path` (TUF 5.6.7).
    ///
    /// # Errors
    /// `target-not-found`, with its cause if something was refused.
    pub async fn find(
        &mut self,
        trusted: &mut Trusted,
        path: &str,
    ) -> Result<ListedTarget, ClientError> {
        self.run(&mut trusted.search(path)).await
    }

    /// Gets an image from below `targets_url` into `directory`, unless the right one is there
    /// already (TUF 5.7). `partial` is where it stays until it is proven, such as
    /// [`DirStore::partial_directory`](countersign_client::store::DirStore::partial_directory).
    /// `progress` is told how many bytes of the image are there, which can be fewer than before if
    /// it has to be started over.
    ///
    /// # Errors
    /// `image-hash`, `image-too-long`, or why it could not be had.
    pub async fn download(
        &mut self,
        trusted: &Trusted,
        target: &ListedTarget,
        targets_url: &str,
        directory: &Arc<TargetDir>,
        partial: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Image, ClientError> {
        let request = ImageRequest::new(trusted, target, targets_url)?;
        let gate = {
            let request = request.clone();
            move || request.gate()
        };
        let wanted = request.wanted();
        match download(
            &mut self.fetcher,
            &wanted,
            directory,
            partial,
            gate,
            progress,
        )
        .await
        {
            Ok(done) => Ok(Image {
                verified: done.proof,
                path: done.path,
                was_there: done.was_there,
            }),
            Err(error) => Err(request.failed(error)),
        }
    }

    /// The store, for what a caller wants to look up.
    pub fn store(&mut self) -> &mut S {
        &mut self.store
    }

    async fn run<P: Protocol>(&mut self, session: &mut P) -> Result<P::Output, ClientError> {
        let urls = core::slice::from_ref(&self.metadata_url);
        run_session(&mut self.fetcher, &mut self.store, urls, session).await
    }
}

/// Puts the first Root, which came here out of band, into the store. Makes no request.
///
/// # Errors
/// As [`countersign_client::client::initialise`].
pub async fn initialise(
    store: &mut impl Store,
    bytes: Vec<u8>,
) -> Result<Initialised, ClientError> {
    let first = FirstRoot::read(bytes)?;
    let [in_history, trusted, after] = first.names();
    let in_history = store.load(&in_history).await?;
    let trusted = store.load(&trusted).await?;
    let after = store.load(&after).await?;
    match first.decide(in_history, trusted, after)? {
        Provision::Done(done) => Ok(done),
        Provision::Save(done) => {
            let (name, root) = (StoreName::Root, done.trusted.received());
            store.save(&name, root, done.given).await?;
            Ok(done)
        }
    }
}
