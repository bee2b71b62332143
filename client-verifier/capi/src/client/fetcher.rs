//! A transport: ours, or one behind callbacks.

use std::ffi::{CString, c_char, c_void};
use std::io::{self, Read};
use std::ptr::null_mut;

use countersign_client::fetch::{Body, FetchError, Fetcher, UrlFetcher};
use countersign_verifier::Reject;

use crate::handles::misuse;

/// What a callback has come to.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum countersign_answer {
    /// It is there, or it is done.
    COUNTERSIGN_ANSWER_OK = 0,
    /// There is no such file: somebody who must know says so.
    COUNTERSIGN_ANSWER_NOT_FOUND = 1,
    /// It cannot be told, or was not possible.
    COUNTERSIGN_ANSWER_FAILED = 2,
}

/// A transport of your own. Its functions are called on the thread of the call that needs them, one at
/// a time, and must not throw.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct countersign_fetcher {
    /// Handed to `open`.
    pub user: *mut c_void,
    /// Starts one GET of `url`, of the bytes from `range_from` on. Writes a body of yours to `body`; to
    /// `starts_at` the offset of its first byte: `range_from`, or 0 where ranges are not served; to
    /// `length` the announced number of bytes, or UINT64_MAX. Returns a countersign_answer. A time-out
    /// is no COUNTERSIGN_ANSWER_NOT_FOUND.
    pub open: Option<
        unsafe extern "C-unwind" fn(
            user: *mut c_void,
            url: *const c_char,
            range_from: u64,
            body: *mut *mut c_void,
            starts_at: *mut u64,
            length: *mut u64,
        ) -> i32,
    >,
    /// Reads up to `len` bytes into `buffer`, and returns their number: 0 is the end, less than 0 a
    /// failure. Give up a server that is too slow: nobody else does.
    pub read: Option<
        unsafe extern "C-unwind" fn(body: *mut c_void, buffer: *mut u8, len: usize) -> isize,
    >,
    /// Gives a body up, at its end or before.
    pub close: Option<unsafe extern "C-unwind" fn(body: *mut c_void)>,
}

/// One of the two.
pub(crate) enum AnyFetcher {
    Url(Box<UrlFetcher>),
    Own(Callbacks),
}

/// A transport behind callbacks.
pub(crate) struct Callbacks {
    user: *mut c_void,
    open: unsafe extern "C-unwind" fn(
        *mut c_void,
        *const c_char,
        u64,
        *mut *mut c_void,
        *mut u64,
        *mut u64,
    ) -> i32,
    read: unsafe extern "C-unwind" fn(*mut c_void, *mut u8, usize) -> isize,
    close: unsafe extern "C-unwind" fn(*mut c_void),
}

// SAFETY: the header says that callbacks are called on the thread of the call that needs them, one at
// a time.
unsafe impl Send for Callbacks {}

impl AnyFetcher {
    pub(crate) fn own(given: &countersign_fetcher) -> Result<Self, Reject> {
        let absent = || misuse("a function of the fetcher is NULL".into());
        Ok(Self::Own(Callbacks {
            user: given.user,
            open: given.open.ok_or_else(absent)?,
            read: given.read.ok_or_else(absent)?,
            close: given.close.ok_or_else(absent)?,
        }))
    }
}

impl Fetcher for AnyFetcher {
    fn open(&mut self, url: &str, range_from: u64) -> Result<Body<'_>, FetchError> {
        match self {
            Self::Url(fetcher) => fetcher.open(url, range_from),
            Self::Own(callbacks) => callbacks.fetch(url, range_from),
        }
    }
}

impl Callbacks {
    fn fetch(&mut self, url: &str, range_from: u64) -> Result<Body<'_>, FetchError> {
        let failed = |detail: &str| FetchError::Disconnected {
            url: url.to_owned(),
            detail: detail.to_owned(),
        };
        let c_url = CString::new(url).map_err(|_| failed("the URL holds a NUL"))?;
        let (mut body, mut starts_at, mut length) = (null_mut(), 0, u64::MAX);
        // SAFETY: C has given this function for this purpose; all places are ours.
        let answer = unsafe {
            (self.open)(
                self.user,
                c_url.as_ptr(),
                range_from,
                &mut body,
                &mut starts_at,
                &mut length,
            )
        };
        match answer {
            answer if answer == countersign_answer::COUNTERSIGN_ANSWER_OK as i32 => {}
            answer if answer == countersign_answer::COUNTERSIGN_ANSWER_NOT_FOUND as i32 => {
                return Err(FetchError::NotFound {
                    url: url.to_owned(),
                    status: None,
                });
            }
            _ => return Err(failed("the transport says that it failed")),
        }
        let reader = OwnBody {
            body,
            read: self.read,
            close: self.close,
        };
        if starts_at != 0 && starts_at != range_from {
            return Err(failed("the transport started somewhere else"));
        }
        let announced = (length != u64::MAX).then_some(length);
        Ok(Body::new(url, reader, announced, starts_at))
    }
}

struct OwnBody {
    body: *mut c_void,
    read: unsafe extern "C-unwind" fn(*mut c_void, *mut u8, usize) -> isize,
    close: unsafe extern "C-unwind" fn(*mut c_void),
}

impl Read for OwnBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: C has given this function for bodies that its `open` has made.
        let n = unsafe { (self.read)(self.body, buffer.as_mut_ptr(), buffer.len()) };
        match usize::try_from(n) {
            Ok(n) if n <= buffer.len() => Ok(n),
            Ok(_) => Err(io::Error::other(
                "the transport read more than it was asked for",
            )),
            Err(_) => Err(io::Error::other("the transport says that it failed")),
        }
    }
}

impl Drop for OwnBody {
    fn drop(&mut self) {
        // SAFETY: as for `read`; the body is not used after this.
        unsafe { (self.close)(self.body) };
    }
}
