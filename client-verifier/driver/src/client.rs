//! A blocking TUF client: a verifier session joined to a fetcher and a store.

use std::path::{Path, PathBuf};

use countersign_metadata::TargetFile;
use countersign_verifier::{
    Code, Context, ImageStream, ListedTarget, Protocol, Reject, RemoteName, Reply, Session, Step,
    Trusted, VerifiedImage, drive,
};

use crate::fetch::{FetchError, Fetcher, check_base_url, fetch_bytes};
use crate::files::{DownloadError, FilesError, ImageCheck, TargetDir, Wanted, download};
use crate::store::{Store, StoreError};

mod init;

pub use init::{Initialised, initialise, read_root};

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
    pub fn refresh(&mut self, context: Context) -> Result<Trusted, ClientError> {
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
        check_base_url(targets_url).map_err(ClientError::BaseUrl)?;
        let now = trusted.now();
        // Refuses before the first request what could never be verified.
        target.clone().open(now)?;
        let url = format!("{}{}", with_slash(targets_url), target.remote_path()?);
        let key = partial_key(target.file());
        let wanted = Wanted {
            url: &url,
            name: target.path().as_str(),
            length: target.file().length,
            key: &key,
        };
        let mut new_check = || {
            progress(None);
            Check {
                stream: target.clone().open(now),
                progress,
            }
        };
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
            Err(error) => Err(refused(error, target)),
        }
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
        Step::Fetch { what, max_len } => fetch(fetcher, urls, &what, max_len),
        Step::Save {
            name,
            bytes,
            accepted_under,
            ..
        } => {
            store.save(&name, bytes, accepted_under)?;
            Ok(Reply::Saved)
        }
        // `drive` answers the last step itself.
        Step::Done(outcome) => outcome.map(|_| Reply::Saved).map_err(ClientError::from),
    })
}

/// What a mirror says counts; only one that cannot be reached is passed over.
fn fetch(
    fetcher: &mut dyn Fetcher,
    urls: &[String],
    what: &RemoteName,
    max_len: u64,
) -> Result<Reply, ClientError> {
    let mut last = None;
    for base in urls {
        let url = format!("{base}{}", what.file_name());
        match fetch_bytes(fetcher, &url, max_len) {
            Ok(bytes) => return Ok(Reply::Fetched(bytes)),
            Err(error) if error.is_not_found() => return Ok(Reply::NotFound),
            Err(FetchError::TooLarge { .. }) => return Ok(Reply::TooLarge),
            Err(error) => last = Some(error),
        }
    }
    let role = what.role().to_owned();
    Err(match last {
        Some(error) => ClientError::Fetch { role, error },
        None => Reject::new(Code::Usage, &role, "the repository has no URL").into(),
    })
}

/// What became of a download, in the verifier's words where it is the verifier's business.
fn refused(error: DownloadError<Reject>, target: &ListedTarget) -> ClientError {
    let reject = |code, detail: String| Reject::new(code, target.role(), detail).into();
    match error {
        DownloadError::Refused(refusal) => refusal.into(),
        DownloadError::Files(error) => error.into(),
        DownloadError::Fetch(FetchError::TooLarge { limit, .. }) => {
            let detail = format!("{} goes on beyond its {limit} bytes", target.path());
            reject(Code::ImageTooLong, detail)
        }
        DownloadError::Fetch(error) if error.is_not_found() => {
            let detail = format!(
                "{} is listed, but the repository does not have it: {error}",
                target.path()
            );
            reject(Code::ImageMissing, detail)
        }
        DownloadError::Fetch(error) => ClientError::Fetch {
            role: target.role().to_owned(),
            error,
        },
    }
}

/// What a partial file is known by: the first known hash of the image, and its length.
fn partial_key(file: &TargetFile) -> String {
    let (sha256, sha512) = (file.hashes.sha256, file.hashes.sha512);
    let hash = match (&sha256, &sha512) {
        (Some(hash), _) => &hash[..],
        (None, Some(hash)) => &hash[..],
        (None, None) => &[],
    };
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{digits} {}", file.length)
}

/// The image gate as the download sees it.
struct Check<'a> {
    stream: Result<ImageStream, Reject>,
    progress: &'a dyn Fn(Option<u64>),
}

impl ImageCheck for Check<'_> {
    type Proof = VerifiedImage;
    type Refusal = Reject;

    fn update(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        match &mut self.stream {
            Ok(stream) => stream.update(bytes)?,
            Err(reject) => return Err(reject.clone()),
        }
        (self.progress)(Some(bytes.len() as u64));
        Ok(())
    }

    fn finish(self) -> Result<VerifiedImage, Reject> {
        self.stream?.finish()
    }
}

pub(crate) fn with_slash(url: &str) -> String {
    match url.ends_with('/') {
        true => url.into(),
        false => format!("{url}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_file_is_known_by_hash_and_length_alone() {
        let file = TargetFile::describing(b"abc");
        assert_eq!(
            partial_key(&file),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3"
        );
        let mut other = file;
        other.hashes.sha256 = None;
        assert!(partial_key(&other).starts_with("ddaf35a193617aba"));
        assert_eq!(partial_key(&other).len(), 128 + 2);
    }

    #[test]
    fn a_refusal_keeps_the_repository_it_names() {
        let reject = Reject::new(Code::Expired, "root", "late");
        let named = ClientError::from(reject.clone().at("director"));
        assert_eq!(named.to_reject("image").repository, "director");
        let unnamed = ClientError::from(reject);
        assert_eq!(unnamed.to_reject("image").repository, "image");
    }
}
