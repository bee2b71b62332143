//! The blocking client of a TUF repository.

mod fetcher;
mod options;
mod store;

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::Mutex;

use ::countersign_client::client::{Client, ClientError, initialise};
use ::countersign_client::clock::system_time;
use ::countersign_client::fetch::{Body, FetchError, Fetcher};
use ::countersign_client::files::TargetDir;
use countersign_metadata::UtcTime;
use countersign_verifier::{
    Code, Context, Limits, ListedTarget, Profile, Reject, Trusted, VerifiedImage,
};

use crate::boundary::{
    c_text, countersign_status, guard, items, place, release, text, time, value_place,
};
use crate::error::countersign_error;
use crate::handles::{self, get, handles, lock, misuse};
use crate::image::{VerifiedObject, countersign_verified};
use crate::session::Lent;
use crate::target::{ListedObject, countersign_target};
use crate::trusted::{TrustedObject, countersign_trusted};
use crate::uptane::{Sink, countersign_sink};

pub use self::fetcher::*;
pub use self::options::*;
pub use self::store::*;

pub(crate) use self::fetcher::AnyFetcher;
pub(crate) use self::options::{http, sized, store_failed, usage};

/// The time of the system's clock, where countersign_client_refresh and countersign_client_download_to take
/// `now`. Sessions and the gates of images take a time that you have chosen.
pub const COUNTERSIGN_SYSTEM_TIME: i64 = i64::MIN;

/// A client of one repository, with a transport and a store. Its calls block. One call at a time may
/// use it: another one at the same time is refused with COUNTERSIGN_MISUSE. It may move between
/// threads.
pub struct countersign_client {
    _opaque: u8,
}

handles! {
    countersign_client = Mutex<ClientObject>, "a client";
}

pub(crate) struct ClientObject {
    client: Client<AnyFetcher, store::AnyStore>,
    repository: String,
    limits: Limits,
}

/// Told how a download goes on: `received` bytes of `length`. It starts at 0 again where the transfer
/// does.
pub type countersign_progress =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, received: u64, length: u64)>;

/// Makes a client. Nothing is asked for yet. `client` gets a new handle, which you free; everything in
/// `options` is copied, and what the `user` pointers of callbacks point to has to live as long as the
/// client.
///
/// Refuses with COUNTERSIGN_USAGE for a URL that files cannot be asked for below, and with
/// COUNTERSIGN_STORE_FAILED if the directory cannot be used or is in use by another process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_client_new(
    options: *const countersign_client_options,
    client: *mut *mut countersign_client,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(client, "client")?;
        let options: countersign_client_options = sized(options, "options")?;
        let object = ClientObject {
            client: Client::new(
                options.fetcher()?,
                options.store()?,
                options.metadata_url()?,
            ),
            repository: options.repository()?,
            limits: options.limits.over(Limits::default()),
        };
        out.put(handles::put(Mutex::new(object)));
        Ok(())
    })
}

/// Puts the first Root, which came here out of band, into the store (TUF 5.2). Makes no request. Fine
/// if it is there already, or if the trusted one was reached from it.
///
/// Refuses with COUNTERSIGN_ROOT_CONFLICT if another one is trusted, and for what is wrong with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_client_init(
    client: *mut countersign_client,
    root: *const u8,
    root_len: usize,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let root = items(root, root_len, "root")?.to_vec();
        with(client, |client| {
            initialise(client.client.store(), root)?;
            Ok(())
        })
    })
}

/// Follows the repository to its current state (TUF 5.1 to 5.6.6), at `now`: seconds since
/// 1970-01-01T00:00:00Z, or COUNTERSIGN_SYSTEM_TIME. What was verified is kept also when the call
/// fails, and the next refresh goes on from it.
///
/// `trusted` gets a new handle, which you free.
/// Refuses for everything that docs/refusals.md lists.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_client_refresh(
    client: *mut countersign_client,
    now: i64,
    trusted: *mut *mut countersign_trusted,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(trusted, "trusted")?;
        let now = time_or_clock(now)?;
        with(client, |client| {
            let context = Context {
                now,
                limits: client.limits,
                repository: client.repository.clone(),
                profile: Profile::Tuf,
                outlines: false,
            };
            let trusted = client.client.refresh(context)?;
            out.put(handles::put(TrustedObject::of(trusted)));
            Ok(())
        })
    })
}

/// Looks for the image at `path` (TUF 5.6.7), which may fetch delegated roles. `target` gets a new
/// handle, which you free.
///
/// Refuses with COUNTERSIGN_TARGET_NOT_FOUND, with its cause if something was refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_client_find(
    client: *mut countersign_client,
    trusted: *mut countersign_trusted,
    path: *const c_char,
    target: *mut *mut countersign_target,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(target, "target")?;
        let path = text(path, "path")?;
        let trusted = get(trusted)?;
        with(client, |client| {
            let found = borrowed(&trusted.state, |trusted| client.client.find(trusted, path))?;
            out.put(handles::put(ListedObject::of(found)));
            Ok(())
        })
    })
}

/// Gets the image from below `targets_url` into `directory`, unless the right one is there already
/// (TUF 5.7). It has its name there only once it is proven; until then it grows in `partial_dir`, from
/// where a later call goes on. With a store in a directory `partial_dir` may be NULL.
///
/// `progress` may be NULL; it is called on this thread, with `user`. `verified` gets the proof, which
/// you free; countersign_verified_file says where the image is.
/// Refuses with COUNTERSIGN_IMAGE_HASH, COUNTERSIGN_IMAGE_TOO_LONG, COUNTERSIGN_IMAGE_MISSING, and
/// for why it could not be had or kept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_client_download(
    client: *mut countersign_client,
    trusted: *mut countersign_trusted,
    target: *const countersign_target,
    targets_url: *const c_char,
    directory: *const c_char,
    partial_dir: *const c_char,
    progress: countersign_progress,
    user: *mut c_void,
    verified: *mut *mut countersign_verified,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(verified, "verified")?;
        let url = text(targets_url, "targets_url")?;
        let directory = Path::new(text(directory, "directory")?);
        let (trusted, target) = (get(trusted)?, get(target)?);
        with(client, |client| {
            let partial = match partial_dir.is_null() {
                false => Path::new(text(partial_dir, "partial_dir")?).to_owned(),
                true => client.client.store().partial_directory()?,
            };
            let directory = TargetDir::open(directory)?;
            let length = target.listed.file().length;
            let told = Progress::new(progress, user, length);
            let image = borrowed(&trusted.state, |trusted| {
                client.client.download(
                    trusted,
                    &target.listed,
                    url,
                    &directory,
                    &partial,
                    &|bytes| told.tell(bytes),
                )
            })?;
            let at = image.path.to_string_lossy();
            let proof = VerifiedObject::of(image.verified, Some(c_text(&at)));
            out.put(handles::put(proof));
            Ok(())
        })
    })
}

/// Gets the image from below `targets_url` and passes it to `sink` as it comes, for those who stage it
/// by themselves. What the sink gets is bound to no image before this call succeeds: keep it where
/// nothing runs it, and throw it away after a refusal.
///
/// `now` as for countersign_client_refresh. `verified` gets the proof, which you free.
/// Refuses as countersign_client_download, and with COUNTERSIGN_INSTALL_FAILED if the sink does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_client_download_to(
    client: *mut countersign_client,
    target: *const countersign_target,
    targets_url: *const c_char,
    now: i64,
    sink: *const countersign_sink,
    verified: *mut *mut countersign_verified,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(verified, "verified")?;
        let url = text(targets_url, "targets_url")?;
        let (sink, now) = (Sink::of(sink)?, time_or_clock(now)?);
        let target = get(target)?;
        with(client, |client| {
            let image = client.stream(&target.listed, url, now, &sink)?;
            out.put(handles::put(VerifiedObject::of(image, None)));
            Ok(())
        })
    })
}

impl ClientObject {
    fn stream(
        &mut self,
        target: &ListedTarget,
        base: &str,
        now: UtcTime,
        sink: &Sink,
    ) -> Result<VerifiedImage, ClientError> {
        let mut stream = target.clone().open(now)?;
        let slash = if base.ends_with('/') { "" } else { "/" };
        let url = format!("{base}{slash}{}", target.remote_path()?);
        let failed = |error: FetchError| match error.is_not_found() {
            true => {
                let detail = format!("{} is listed, and is not there: {error}", target.path());
                Reject::new(Code::ImageMissing, target.role(), detail).into()
            }
            false => ClientError::Fetch {
                role: target.role().into(),
                error,
            },
        };
        let mut body: Body<'_> = self.client.fetcher().open(&url, 0).map_err(failed)?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = body.read(&mut buffer).map_err(failed)?;
            if n == 0 {
                return Ok(stream.finish()?);
            }
            let bytes = &buffer[..n];
            stream.update(bytes)?;
            sink.take(bytes)?;
        }
    }
}

/// Gives a client up; its store is free for another one. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_client_free(client: *mut countersign_client) {
    release(client);
}

/// The time of the system's clock, in seconds since 1970-01-01T00:00:00Z.
///
/// Refuses with COUNTERSIGN_TIME_UNAVAILABLE if it is outside the years 0 to 9999.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_system_time(
    now: *mut i64,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = value_place(now, "now", i64::MIN)?;
        out.put(time_or_clock(COUNTERSIGN_SYSTEM_TIME)?.unix());
        Ok(())
    })
}

pub(crate) fn time_or_clock(now: i64) -> Result<UtcTime, Reject> {
    match now {
        COUNTERSIGN_SYSTEM_TIME => system_time().ok_or_else(|| {
            let detail = "the system's clock is outside the years 0 to 9999; set it";
            Reject::new(Code::TimeUnavailable, "time", detail)
        }),
        now => time(now, "now"),
    }
}

fn with(
    client: *mut countersign_client,
    body: impl FnOnce(&mut ClientObject) -> Result<(), ClientError>,
) -> Result<(), Reject> {
    let object = get(client)?;
    let mut client = lock(&object, "client")?;
    let repository = client.repository.clone();
    body(&mut client).map_err(|error| error.to_reject(&repository))
}

/// A state that no session has now.
fn borrowed<T>(
    state: &Lent,
    body: impl FnOnce(&mut Trusted) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let mut state = lock(state, "trusted state")?;
    let lent = || misuse("a session has borrowed this trusted state".into());
    body(state.as_mut().ok_or_else(lent)?)
}

/// How far a download is.
struct Progress {
    tell: countersign_progress,
    user: *mut c_void,
    length: u64,
    received: std::cell::Cell<u64>,
}

impl Progress {
    fn new(tell: countersign_progress, user: *mut c_void, length: u64) -> Self {
        Self {
            tell,
            user,
            length,
            received: std::cell::Cell::new(0),
        }
    }

    /// `None` where the transfer starts over.
    fn tell(&self, bytes: Option<u64>) {
        let received = bytes.map_or(0, |bytes| self.received.get().saturating_add(bytes));
        self.received.set(received);
        if let Some(tell) = self.tell {
            // SAFETY: C has given this function for this purpose.
            unsafe { tell(self.user, received, self.length) };
        }
    }
}
