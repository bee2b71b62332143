//! One target file, from the server to its final name.

use std::path::Path;

use super::{Begun, DownloadError, Downloaded, ImageCheck, Need, TargetDir, Transfer, Wanted};
use crate::fetch::Fetcher;

/// Gets a target file into `targets`, in constant memory.
///
/// `new_check` makes a check that has seen nothing; it is called again whenever the file is
/// started over. `partial_directory` is where the file stays until it is proven, on the file
/// system of `targets` if that can be had (it is copied otherwise); [`crate::store::DirStore`]
/// offers one. A fetch that breaks off is resumed, now or in a later run.
///
/// # Errors
/// [`DownloadError::Refused`] if the file is not the right one.
/// [`FetchError::TooLarge`](crate::fetch::FetchError::TooLarge) if it is longer than
/// `wanted.length`. After both nothing is kept. After any other fetch error what arrived is kept in
/// `partial_directory`.
pub fn download<C: ImageCheck>(
    fetcher: &mut dyn Fetcher,
    wanted: &Wanted<'_>,
    targets: &TargetDir,
    partial_directory: &Path,
    new_check: &mut dyn FnMut() -> C,
) -> Result<Downloaded<C::Proof>, DownloadError<C::Refusal>> {
    match Transfer::begin(wanted, targets, partial_directory, new_check)? {
        Begun::There(done) => Ok(done),
        Begun::Missing(mut transfer) => complete(fetcher, wanted.url, targets, &mut transfer)
            .map_err(|error| transfer.abandon(error)),
    }
}

fn complete<C: ImageCheck, N: FnMut() -> C>(
    fetcher: &mut dyn Fetcher,
    url: &str,
    targets: &TargetDir,
    transfer: &mut Transfer<C, N>,
) -> Result<Downloaded<C::Proof>, DownloadError<C::Refusal>> {
    loop {
        let from = match transfer.next(targets)? {
            Need::Nothing(done) => return Ok(done),
            Need::Body { from } => from,
        };
        match fetch_once(fetcher, url, from, transfer) {
            Ok(()) => {}
            Err(DownloadError::Fetch(error)) => std::thread::sleep(transfer.failed(error)?),
            Err(other) => return Err(other),
        }
    }
}

fn fetch_once<C: ImageCheck, N: FnMut() -> C>(
    fetcher: &mut dyn Fetcher,
    url: &str,
    from: u64,
    transfer: &mut Transfer<C, N>,
) -> Result<(), DownloadError<C::Refusal>> {
    let mut body = fetcher.open(url, from)?;
    transfer.opened(body.starts_at(), body.content_length())?;
    loop {
        let n = body.read(transfer.room())?;
        if n == 0 {
            transfer.ended();
            return Ok(());
        }
        if transfer.filled(n)?.is_break() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
