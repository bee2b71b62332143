//! One target file, from the server to its final name.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_client::fetch::FetchError;
use countersign_client::files::{
    Begun, DownloadError, Downloaded, FilesError, ImageCheck, Need, TargetDir, Transfer, Wanted,
};

use crate::blocking::blocking;
use crate::fetch::{Body, Fetcher};

/// Bytes in memory of any file, whatever its size. Each piece of that size is one trip to the threads
/// for blocking work, where it is checked and written.
const CHUNK: usize = 64 * 1024;

/// Gets a target file into `targets`, in constant memory, as
/// [`countersign_client::files::download`] does: the rules are the same [`Transfer`]'s. `progress` is
/// told how many bytes are there.
///
/// # Errors
/// [`DownloadError::Refused`] if the file is not the right one. [`FetchError::TooLarge`] if it is
/// longer than `wanted.length`. After both nothing is kept. After any other fetch error, or if the
/// future is dropped, what arrived is kept in `partial_directory`.
pub async fn download<C, N>(
    fetcher: &mut impl Fetcher,
    wanted: &Wanted<'_>,
    targets: &Arc<TargetDir>,
    partial_directory: &Path,
    new_check: N,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Downloaded<C::Proof>, DownloadError<C::Refusal>>
where
    C: ImageCheck<Proof: Send, Refusal: Send> + Send + 'static,
    N: FnMut() -> C + Send + 'static,
{
    let begun = begin(wanted, targets, partial_directory, new_check).await?;
    let transfer = match begun {
        Begun::There(done) => return Ok(done),
        Begun::Missing(transfer) => transfer,
    };
    let mut way = OnItsWay {
        position: transfer.position(),
        transfer: Arc::new(Mutex::new(transfer)),
        targets: Arc::clone(targets),
        directory: partial_directory,
        progress,
    };
    match way.complete(fetcher, wanted.url).await {
        Ok(done) => Ok(done),
        Err(error) => Err(way.disk(|transfer, _| transfer.abandon(error)).await?),
    }
}

async fn begin<C, N>(
    wanted: &Wanted<'_>,
    targets: &Arc<TargetDir>,
    partial_directory: &Path,
    new_check: N,
) -> Result<Begun<C, N>, FilesError>
where
    C: ImageCheck<Proof: Send> + Send + 'static,
    N: FnMut() -> C + Send + 'static,
{
    let (url, name, key) = (
        wanted.url.to_owned(),
        wanted.name.to_owned(),
        wanted.key.to_owned(),
    );
    let (length, targets) = (wanted.length, Arc::clone(targets));
    let directory = partial_directory.to_owned();
    let begun = blocking(move || {
        let wanted = Wanted {
            url: &url,
            name: &name,
            length,
            key: &key,
        };
        Transfer::begin(&wanted, &targets, &directory, new_check)
    });
    begun.await.map_err(gone(partial_directory))?
}

/// A transfer, and what it needs on the disk.
struct OnItsWay<'a, C, N> {
    /// Shared with the piece of work that is under way: if the future is dropped, that one comes to
    /// its end, and the lock on the file with it.
    transfer: Arc<Mutex<Transfer<C, N>>>,
    targets: Arc<TargetDir>,
    directory: &'a Path,
    position: u64,
    progress: &'a (dyn Fn(u64) + Sync),
}

/// What became of a body.
enum Read {
    /// There may be more.
    More,
    /// That was all.
    All,
    /// It broke off.
    Broken(FetchError),
}

impl<C, N> OnItsWay<'_, C, N>
where
    C: ImageCheck<Proof: Send, Refusal: Send> + Send + 'static,
    N: FnMut() -> C + Send + 'static,
{
    async fn complete(
        &mut self,
        fetcher: &mut impl Fetcher,
        url: &str,
    ) -> Result<Downloaded<C::Proof>, DownloadError<C::Refusal>> {
        (self.progress)(self.position);
        loop {
            let from = match self
                .disk(|transfer, targets| transfer.next(targets))
                .await??
            {
                Need::Nothing(done) => return Ok(done),
                Need::Body { from } => from,
            };
            match self.fetch_once(fetcher, url, from).await {
                Ok(()) => {}
                Err(DownloadError::Fetch(error)) => {
                    let pause = self.disk(|transfer, _| transfer.failed(error)).await??;
                    tokio::time::sleep(pause).await;
                }
                Err(other) => return Err(other),
            }
        }
    }

    async fn fetch_once(
        &mut self,
        fetcher: &mut impl Fetcher,
        url: &str,
        from: u64,
    ) -> Result<(), DownloadError<C::Refusal>> {
        let mut body = fetcher.open(url, from).await?;
        let (starts_at, length) = (body.starts_at(), body.content_length());
        self.disk(move |transfer, _| transfer.opened(starts_at, length))
            .await??;
        let mut buffer = vec![0; CHUNK];
        loop {
            let (n, read) = fill(&mut body, &mut buffer).await;
            let taken;
            (buffer, taken) = self
                .disk(move |transfer, _| {
                    let taken = transfer.take(&buffer[..n]);
                    (buffer, taken)
                })
                .await?;
            if taken?.is_break() {
                return Ok(());
            }
            match read {
                Read::More => {}
                Read::All => {
                    return self
                        .disk(|transfer, _| transfer.ended())
                        .await
                        .map_err(Into::into);
                }
                Read::Broken(error) => return Err(error.into()),
            }
        }
    }

    /// Does `work` on a thread for blocking work, and tells how far the file is.
    async fn disk<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Transfer<C, N>, &TargetDir) -> T + Send + 'static,
    ) -> Result<T, FilesError> {
        let (transfer, targets) = (Arc::clone(&self.transfer), Arc::clone(&self.targets));
        let done = blocking(move || {
            // What a panic leaves half-done is checked again before it gets its name.
            let mut transfer = transfer.lock().unwrap_or_else(PoisonError::into_inner);
            let done = work(&mut transfer, &targets);
            (done, transfer.position())
        });
        let (done, position) = done.await.map_err(gone(self.directory))?;
        if position != self.position {
            self.position = position;
            (self.progress)(position);
        }
        Ok(done)
    }
}

/// Fills `buffer` as far as the body goes; what came before it broke off counts.
async fn fill(body: &mut Body, buffer: &mut [u8]) -> (usize, Read) {
    let mut filled = 0;
    while filled < buffer.len() {
        match body.read(&mut buffer[filled..]).await {
            Ok(0) => return (filled, Read::All),
            Ok(n) => filled += n,
            Err(error) => return (filled, Read::Broken(error)),
        }
    }
    (filled, Read::More)
}

fn gone(path: &Path) -> impl FnOnce(std::io::Error) -> FilesError {
    move |source| FilesError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    }
}
