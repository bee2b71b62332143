//! One image to be had: where from, and what its bytes have to be. The same for every client,
//! whether it blocks or not.

use countersign_metadata::{TargetFile, UtcTime};
use countersign_verifier::{Code, ImageStream, ListedTarget, Reject, Trusted, VerifiedImage};

use super::{ClientError, with_slash};
use crate::fetch::{FetchError, check_base_url};
use crate::files::{DownloadError, ImageCheck, Wanted};

/// One image to be had.
#[derive(Debug, Clone)]
pub struct ImageRequest {
    target: ListedTarget,
    now: UtcTime,
    url: String,
    key: String,
}

impl ImageRequest {
    /// The image that `target` names, from below `targets_url`. Makes no request.
    ///
    /// # Errors
    /// What can never be verified is refused before the first request: `expired`,
    /// `no-known-hash`, or [`ClientError::BaseUrl`].
    pub fn new(
        trusted: &Trusted,
        target: &ListedTarget,
        targets_url: &str,
    ) -> Result<Self, ClientError> {
        check_base_url(targets_url).map_err(ClientError::BaseUrl)?;
        let now = trusted.now();
        target.clone().open(now)?;
        Ok(Self {
            target: target.clone(),
            now,
            url: format!("{}{}", with_slash(targets_url), target.remote_path()?),
            key: partial_key(target.file()),
        })
    }

    /// What is to be downloaded.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            url: &self.url,
            name: self.target.path().as_str(),
            length: self.target.file().length,
            key: &self.key,
        }
    }

    /// The image gate for its bytes, which has seen none.
    pub fn gate(&self) -> ImageGate {
        ImageGate(self.target.clone().open(self.now))
    }

    /// What became of a download, in the verifier's words where it is the verifier's business.
    pub fn failed(&self, error: DownloadError<Reject>) -> ClientError {
        let target = &self.target;
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
}

/// The verifier's image gate as a download sees it.
#[derive(Debug)]
pub struct ImageGate(Result<ImageStream, Reject>);

impl ImageCheck for ImageGate {
    type Proof = VerifiedImage;
    type Refusal = Reject;

    fn update(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        match &mut self.0 {
            Ok(stream) => stream.update(bytes),
            Err(reject) => Err(reject.clone()),
        }
    }

    fn finish(self) -> Result<VerifiedImage, Reject> {
        self.0?.finish()
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
}
