//! A blocking TUF client: a verifier session joined to a fetcher and a store.

use std::path::{Path, PathBuf};

use countersign_verifier::{
    Code, Context, ListedTarget, Protocol, Reject, RemoteName, Reply, Session, Step, Trusted,
    VerifiedImage, drive,
};

use crate::fetch::{FetchError, Fetcher, check_base_url, fetch_bytes};
use crate::files::{FilesError, ImageCheck, TargetDir, download};
use crate::store::{Store, StoreError};

mod image;
mod init;

pub use image::{ImageGate, ImageRequest};
pub use init::{FirstRoot, Initialised, Provision, initialise, read_root};

/// Why a client stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The verifier refused something.
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// A file could not be fetched, which says nothing about whether there is one.
    #[error("{error}")]
    Fetch {
        /// The role whose file it is, or that lists the image.
        role: String,
        /// Why not.
        error: FetchError,
    },
    /// A base URL that files cannot be asked for below. No request was made.
    #[error(transparent)]
    BaseUrl(FetchError),
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An image could not be kept.
    #[error(transparent)]
    Files(#[from] FilesError),
}

impl ClientError {
    /// The error as a refusal with a stable code, for reports. It is of `repository` unless it
    /// names one already.
    pub fn to_reject(&self, repository: &str) -> Reject {
        let (code, role) = match self {
            Self::Rejected(reject) if reject.repository.is_empty() => {
                return reject.clone().at(repository);
            }
            Self::Rejected(reject) => return reject.clone(),
            Self::Fetch { role, error } => match error {
                FetchError::Slow { .. } => (Code::SlowRetrieval, role.as_str()),
                _ => (Code::FetchFailed, role.as_str()),
            },
            Self::BaseUrl(_) => (Code::Usage, ""),
            Self::Store(_) | Self::Files(_) => (Code::StoreFailed, ""),
        };
        Reject::new(code, role, self.to_string()).at(repository)
    }
}

/// A client of one repository.
#[derive(Debug)]
pub struct Client<F, S> {
    fetcher: F,
    store: S,
    metadata_url: String,
}

/// An image in its place.
#[derive(Debug)]
pub struct Image {
    /// The proof that it is the right one.
    pub verified: VerifiedImage,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was there already and nothing was fetched.
    pub was_there: bool,
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
    pub fn refresh(&mut self, mut context: Context) -> Result<Trusted, ClientError> {
        context.outlines |= self.store.reads_parts();
        check_base_url(&self.metadata_url).map_err(ClientError::BaseUrl)?;
        self.drive(&mut Session::with_context(context))
    }

    /// Looks for the image at `path` (TUF 5.6.7).
    ///
    /// # Errors
    /// `target-not-found`, with its cause if something was refused.
    pub fn find(&mut self, trusted: &mut Trusted, path: &str) -> Result<ListedTarget, ClientError> {
        self.drive(&mut trusted.search(path))
    }

    /// Gets an image from below `targets_url` into `directory`, unless the right one is there
    /// already (TUF 5.7). `partial` is where it stays until it is proven. `progress` is told how
    /// many bytes came, and gets `None` when the transfer starts over.
    ///
    /// # Errors
    /// `image-hash`, `image-too-long`, or why it could not be had.
    pub fn download(
        &mut self,
        trusted: &Trusted,
        target: &ListedTarget,
        targets_url: &str,
        directory: &TargetDir,
        partial: &Path,
        progress: &dyn Fn(Option<u64>),
    ) -> Result<Image, ClientError> {
        let request = ImageRequest::new(trusted, target, targets_url)?;
        let mut new_check = || {
            progress(None);
            Told {
                gate: request.gate(),
                progress,
            }
        };
        let wanted = request.wanted();
        match download(
            &mut self.fetcher,
            &wanted,
            directory,
            partial,
            &mut new_check,
        ) {
            Ok(done) => Ok(Image {
                verified: done.proof,
                path: done.path,
                was_there: done.was_there,
            }),
            Err(error) => Err(request.failed(error)),
        }
    }

    /// The fetcher, for images that go elsewhere than to a directory.
    pub fn fetcher(&mut self) -> &mut F {
        &mut self.fetcher
    }

    /// The store, for what a caller wants to look up.
    pub fn store(&mut self) -> &mut S {
        &mut self.store
    }

    fn drive<P: Protocol>(&mut self, session: &mut P) -> Result<P::Output, ClientError> {
        let urls = core::slice::from_ref(&self.metadata_url);
        run_session(&mut self.fetcher, &mut self.store, urls, session)
    }
}

/// Answers a session from a store and from the first of the mirrors `urls` that can be reached; a
/// URL is what a file's name is put behind.
///
/// # Errors
/// [`ClientError`]
pub fn run_session<P: Protocol>(
    fetcher: &mut dyn Fetcher,
    store: &mut dyn Store,
    urls: &[String],
    session: &mut P,
) -> Result<P::Output, ClientError> {
    drive(session, |step| match step {
        Step::Load { name } => Ok(match store.load(&name)? {
            Some(stored) => Reply::Stored(stored),
            None => Reply::NotFound,
        }),
        Step::LoadPart { name, range } => Ok(match store.load_part(&name, range)? {
            Some(part) => Reply::part(part),
            None => Reply::NotFound,
        }),
        Step::Fetch { what, max_len } => fetch(fetcher, urls, &what, max_len),
        Step::Save {
            name,
            bytes,
            sha256,
            accepted_under,
            ..
        } => {
            store.save_hashed(&name, bytes, sha256, accepted_under)?;
            Ok(Reply::Saved)
        }
        // `drive` answers the last step itself.
        Step::Done(outcome) => outcome.map(|_| Reply::Saved).map_err(ClientError::from),
    })
}

fn fetch(
    fetcher: &mut dyn Fetcher,
    urls: &[String],
    what: &RemoteName,
    max_len: u64,
) -> Result<Reply, ClientError> {
    let mut last = None;
    for base in urls {
        let url = format!("{base}{}", what.file_name());
        match mirror_says(fetch_bytes(fetcher, &url, max_len)) {
            Ok(reply) => return Ok(reply),
            Err(error) => last = Some(error),
        }
    }
    Err(no_mirror_says(what, last))
}

/// What came from a mirror, as the answer to a [`Step::Fetch`]. What a mirror says counts, that a file
/// is absent or too large as well.
///
/// # Errors
/// `fetched`'s, where it says nothing about the file: then the next mirror is asked.
pub fn mirror_says(fetched: Result<Vec<u8>, FetchError>) -> Result<Reply, FetchError> {
    match fetched {
        Ok(bytes) => Ok(Reply::Fetched(bytes)),
        Err(error) if error.is_not_found() => Ok(Reply::NotFound),
        Err(FetchError::TooLarge { .. }) => Ok(Reply::TooLarge),
        Err(error) => Err(error),
    }
}

/// Why a session is given up when no mirror says anything about `what`; `last` is the last one's error.
pub fn no_mirror_says(what: &RemoteName, last: Option<FetchError>) -> ClientError {
    let role = what.role().to_owned();
    match last {
        Some(error) => ClientError::Fetch { role, error },
        None => Reject::new(Code::Usage, &role, "the repository has no URL").into(),
    }
}

/// The image gate, and somebody who is told how far it is.
struct Told<'a> {
    gate: ImageGate,
    progress: &'a dyn Fn(Option<u64>),
}

impl ImageCheck for Told<'_> {
    type Proof = VerifiedImage;
    type Refusal = Reject;

    fn update(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        self.gate.update(bytes)?;
        (self.progress)(Some(bytes.len() as u64));
        Ok(())
    }

    fn finish(self) -> Result<VerifiedImage, Reject> {
        self.gate.finish()
    }
}

/// `url`, with a slash at its end: names are put behind it.
pub fn with_slash(url: &str) -> String {
    match url.ends_with('/') {
        true => url.into(),
        false => format!("{url}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_the_repository_it_names() {
        let reject = Reject::new(Code::Expired, "root", "late");
        let named = ClientError::from(reject.clone().at("director"));
        assert_eq!(named.to_reject("image").repository, "director");
        let unnamed = ClientError::from(reject);
        assert_eq!(unnamed.to_reject("image").repository, "image");
    }
}
