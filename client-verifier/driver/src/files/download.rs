//! One target file, from the server to its final name.

use std::path::{Path, PathBuf};

use super::partial::{self, Partial};
use super::{CHUNK, DownloadError, ImageCheck, TargetDir};
use crate::crash;
use crate::fetch::{Effort, FetchError, Fetcher};

/// A target file to be had, as the trusted metadata describes it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Where it is served, percent-encoded.
    pub url: &'a str,
    /// Its name below the target directory: the target's own.
    pub name: &'a str,
    /// Its length in bytes.
    pub length: u64,
    /// What its content is known by, such as its hashes: a download is resumed only from one of
    /// the same key.
    pub key: &'a str,
}

/// A target file in its place.
#[derive(Debug)]
#[non_exhaustive]
pub struct Downloaded<P> {
    /// What the check yielded for it.
    pub proof: P,
    /// Where it is.
    pub path: PathBuf,
    /// Whether the right file was there already and nothing was fetched.
    pub was_there: bool,
}

/// Gets a target file into `targets`, in constant memory.
///
/// `new_check` makes a check that has seen nothing; it is called again whenever the file is
/// started over. `partial_directory` is where the file stays until it is proven, on the file
/// system of `targets` if that can be had (it is copied otherwise); [`crate::store::DirStore`]
/// offers one. A fetch that breaks off is resumed, now or in a later run.
///
/// # Errors
/// [`DownloadError::Refused`] if the file is not the right one. [`FetchError::TooLarge`] if it is
/// longer than `wanted.length`. After both nothing is kept. After any other fetch error what
/// arrived is kept in `partial_directory`.
pub fn download<C: ImageCheck>(
    fetcher: &mut dyn Fetcher,
    wanted: &Wanted<'_>,
    targets: &TargetDir,
    partial_directory: &Path,
    new_check: &mut dyn FnMut() -> C,
) -> Result<Downloaded<C::Proof>, DownloadError<C::Refusal>> {
    if let Some(proof) = targets.existing(wanted.name, wanted.length, new_check())? {
        partial::discard(partial_directory, wanted.key)?;
        return Ok(Downloaded {
            proof,
            path: targets.path_of(wanted.name)?,
            was_there: true,
        });
    }
    let mut partial = Partial::open(partial_directory, wanted.key)?;
    match complete(fetcher, wanted, &mut partial, new_check) {
        Ok(proof) => {
            partial.sync()?;
            crash::point();
            let path = targets.place(partial.path(), wanted.name)?;
            partial.remove()?;
            Ok(Downloaded {
                proof,
                path,
                was_there: false,
            })
        }
        Err(error) => {
            match &error {
                DownloadError::Fetch(FetchError::TooLarge { .. })
                | DownloadError::Files(_)
                | DownloadError::Refused(_) => partial.remove()?,
                DownloadError::Fetch(_) => partial.keep()?,
            }
            Err(error)
        }
    }
}

/// Completes the partial file and proves it.
fn complete<C: ImageCheck>(
    fetcher: &mut dyn Fetcher,
    wanted: &Wanted<'_>,
    partial: &mut Partial,
    new_check: &mut dyn FnMut() -> C,
) -> Result<C::Proof, DownloadError<C::Refusal>> {
    let mut check = new_check();
    if !partial.replay(wanted.length, &mut check)? {
        check = new_check();
    }
    let inherited = partial.length() > 0;
    match fetch_rest(fetcher, wanted, partial, check, new_check) {
        // The bad bytes may be those of the earlier run, from whoever served it: that must not
        // stand in the way of an honest server now.
        Err(DownloadError::Refused(_)) if inherited => {
            partial.clear()?;
            fetch_rest(fetcher, wanted, partial, new_check(), new_check)
        }
        result => result,
    }
}

fn fetch_rest<C: ImageCheck>(
    fetcher: &mut dyn Fetcher,
    wanted: &Wanted<'_>,
    partial: &mut Partial,
    mut check: C,
    new_check: &mut dyn FnMut() -> C,
) -> Result<C::Proof, DownloadError<C::Refusal>> {
    let mut effort = Effort::resuming_at(partial.length());
    // An interrupted run may have had all of it; only an empty file is asked for even so, as its
    // absence has to be noticed.
    while partial.length() < wanted.length || wanted.length == 0 {
        match fetch_once(fetcher, wanted, partial, &mut check, new_check, &mut effort) {
            Ok(()) => break,
            Err(DownloadError::Fetch(error)) => effort.again_after(error)?,
            Err(other) => return Err(other),
        }
    }
    check.finish().map_err(DownloadError::Refused)
}

fn fetch_once<C: ImageCheck>(
    fetcher: &mut dyn Fetcher,
    wanted: &Wanted<'_>,
    partial: &mut Partial,
    check: &mut C,
    new_check: &mut dyn FnMut() -> C,
    effort: &mut Effort,
) -> Result<(), DownloadError<C::Refusal>> {
    let too_large = || FetchError::TooLarge {
        url: wanted.url.to_owned(),
        limit: wanted.length,
    };
    let mut body = fetcher.open(wanted.url, partial.length())?;
    if body.starts_at() != partial.length() {
        if body.starts_at() != 0 {
            return Err(DownloadError::Fetch(FetchError::Protocol {
                url: wanted.url.to_owned(),
                detail: format!(
                    "asked from byte {}, got it from {}",
                    partial.length(),
                    body.starts_at()
                ),
            }));
        }
        partial.clear()?;
        *check = new_check();
        effort.starts_over();
    }
    let left = wanted.length - partial.length();
    if body.content_length().is_some_and(|n| n > left) {
        return Err(too_large().into());
    }
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = match body.read(&mut buffer) {
            Ok(n) => n,
            // Without an announced length the end is only known by its silence; a file that is
            // complete is never slow.
            Err(_) if partial.length() == wanted.length => 0,
            Err(error) => return Err(error.into()),
        };
        if n == 0 {
            return Ok(());
        }
        if n as u64 > wanted.length - partial.length() {
            return Err(too_large().into());
        }
        check.update(&buffer[..n]).map_err(DownloadError::Refused)?;
        partial.append(&buffer[..n])?;
        effort.advanced(n as u64, partial.length());
    }
}

#[cfg(test)]
mod tests;
