//! The images of an update (5.4.2.4): downloaded once each, checked against what both repositories
//! list, and kept under their content's name until every ECU is through.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use countersign_metadata::UtcTime;
use countersign_metadata::uptane::Mapping;
use countersign_verifier::uptane::{Directed, DownloadStream, Origin, Update, VerifiedDownload};
use countersign_verifier::{Code, Reject};

use super::{DirectorLink, OwnEcu, Primary, Stop, fetch_stop};
use crate::fetch::{FetchError, Fetcher};
use crate::files::{DownloadError, FilesError, ImageCheck, TargetDir, Wanted, download};
use crate::store::Store;
use crate::uptane::bundle::{Bundle, image_member};
use crate::uptane::keys::EcuSigner;

/// Files by the names that ECUs ask for.
pub(super) type Files = BTreeMap<String, PathBuf>;

impl<Fe, D, St, O, K> Primary<'_, Fe, D, St, O, K>
where
    Fe: Fetcher,
    D: DirectorLink,
    St: Store,
    O: OwnEcu,
    K: EcuSigner,
{
    /// From where each image is served.
    pub(super) fn download(&mut self, update: &Update, now: UtcTime) -> Result<Files, Stop> {
        let images = update.images.iter();
        let from = images.map(|directed| Ok((directed, self.addresses(directed)?)));
        let from = from.collect::<Result<Vec<_>, Reject>>()?;
        let folder = self.folder_for(update)?;
        gather(
            &mut self.parts.fetcher,
            &self.record.partial(),
            &folder,
            &from,
            now,
        )
    }

    /// Out of a bundle.
    pub(super) fn unpack(
        &mut self,
        bundle: &mut Bundle,
        update: &Update,
        now: UtcTime,
    ) -> Result<Files, Stop> {
        let images = update.images.iter();
        let from = images.map(|directed| {
            let member = image_member(&directed.content_name()?);
            Ok((directed, vec![member]))
        });
        let from = from.collect::<Result<Vec<_>, Reject>>()?;
        let folder = self.folder_for(update)?;
        gather(bundle, &self.record.partial(), &folder, &from, now)
    }

    fn addresses(&self, directed: &Directed) -> Result<Vec<String>, Reject> {
        let below = |repository: &str, path: &str| {
            let urls = self.urls(repository, "targets/").into_iter();
            urls.map(|url| url + path).collect()
        };
        Ok(match directed.origin()? {
            Origin::Image(path) => below(Mapping::IMAGE, &path),
            Origin::Director(path) => below(Mapping::DIRECTOR, &path),
            // The Director must not make a Primary read its own disk.
            Origin::Uri(uri) if uri.starts_with("https://") || uri.starts_with("http://") => {
                vec![uri]
            }
            Origin::Uri(uri) => {
                let detail = format!("{uri} is no address of a server");
                return Err(Reject::new(Code::UnsafeFilename, "targets", detail));
            }
        })
    }

    /// The folder for these images, without those of updates that were superseded.
    fn folder_for(&self, update: &Update) -> Result<TargetDir, Stop> {
        let opened = TargetDir::open(&self.record.images())?;
        let names = update.images.iter().map(Directed::content_name);
        let names: BTreeSet<String> = names.collect::<Result<_, _>>()?;
        let folder = self.record.images();
        let failed = |error| Stop::from(FilesError::io("tidy", &folder)(error));
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let wanted = |name: &str| names.contains(name);
            if !entry.file_name().to_str().is_some_and(wanted) {
                std::fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(opened)
    }

    /// Every ECU is through: the files have served their purpose.
    pub(super) fn tidy(&self, files: &Files) -> Result<(), Stop> {
        for path in files.values() {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(FilesError::io("remove", path)(error).into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Every image once, however many ECUs it is for.
fn gather(
    fetcher: &mut dyn Fetcher,
    partial: &Path,
    folder: &TargetDir,
    from: &[(&Directed, Vec<String>)],
    now: UtcTime,
) -> Result<Files, Stop> {
    let mut files = Files::new();
    for (directed, urls) in from {
        if let Entry::Vacant(place) = files.entry(directed.content_name()?) {
            let path = get(fetcher, urls, place.key(), (folder, partial), directed, now)?;
            place.insert(path);
        }
    }
    Ok(files)
}

/// From the first address that can be reached.
fn get(
    fetcher: &mut dyn Fetcher,
    urls: &[String],
    name: &str,
    (directory, partial): (&TargetDir, &Path),
    directed: &Directed,
    now: UtcTime,
) -> Result<PathBuf, Stop> {
    let (length, _) = directed.download();
    let mut last = None;
    for url in urls {
        let wanted = Wanted {
            url,
            name,
            length,
            key: name,
        };
        let mut new_check = || Check(directed.open_download(now));
        match download(fetcher, &wanted, directory, partial, &mut new_check) {
            Ok(done) => return Ok(done.path),
            Err(DownloadError::Refused(reject)) => return Err(reject.into()),
            Err(DownloadError::Files(error)) => return Err(error.into()),
            Err(DownloadError::Fetch(error)) => last = Some(error),
        }
    }
    Err(not_had(directed, last))
}

fn not_had(directed: &Directed, error: Option<FetchError>) -> Stop {
    let reject = |code, detail| Reject::new(code, "targets", detail).into();
    let path = directed.path();
    match error {
        Some(FetchError::TooLarge { limit, .. }) => {
            let detail = format!("{path} goes on beyond its {limit} bytes");
            reject(Code::ImageTooLong, detail)
        }
        Some(error) if error.is_not_found() => {
            reject(Code::ImageMissing, format!("{path} is not there: {error}"))
        }
        Some(error) => fetch_stop("targets", error),
        None => reject(Code::Usage, format!("{path} has no address")),
    }
}

/// What is downloaded, as the download sees it.
struct Check(Result<DownloadStream, Reject>);

impl ImageCheck for Check {
    type Proof = VerifiedDownload;
    type Refusal = Reject;

    fn update(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        match &mut self.0 {
            Ok(stream) => stream.update(bytes),
            Err(reject) => Err(reject.clone()),
        }
    }

    fn finish(self) -> Result<VerifiedDownload, Reject> {
        self.0?.finish()
    }
}
