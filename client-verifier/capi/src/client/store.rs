//! A store: ours, or one behind callbacks.

use std::ffi::{CString, c_char, c_void};
use std::path::PathBuf;
use std::sync::Mutex;

use countersign_client::store::{DirStore, Store, StoreError, StoreName, Stored};
use countersign_verifier::Reject;

use super::fetcher::countersign_answer;
use crate::boundary::{countersign_status, guard, items};
use crate::error::countersign_error;
use crate::handles::{self, free, get, handles, lock, misuse};
use crate::session::store_name;

/// Where a callback puts the bytes of a file. It is yours while the callback runs.
pub struct countersign_buffer {
    _opaque: u8,
}

handles! {
    countersign_buffer = Mutex<Vec<u8>>, "a buffer";
}

/// A file that is read back has at most so many bytes.
const MAX_FILE: usize = countersign_client::store::MAX_FILE as usize;

/// A store of your own for trusted metadata. Nothing in it is believed: it is verified again. Its
/// functions are called on the thread of the call that needs them, one at a time, and must not throw.
///
/// `name` is one harmless component of a path, without ending, such as "timestamp" or "root+4".
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct countersign_store {
    /// Handed to the functions.
    pub user: *mut c_void,
    /// Puts the file into `buffer` with countersign_buffer_append, and what it was saved with to
    /// `accepted_under`. Returns a countersign_answer. What cannot be read is no
    /// COUNTERSIGN_ANSWER_NOT_FOUND: a client that lost its floor would accept old metadata again.
    pub load: Option<
        unsafe extern "C-unwind" fn(
            user: *mut c_void,
            name: *const c_char,
            buffer: *mut countersign_buffer,
            accepted_under: *mut u64,
        ) -> i32,
    >,
    /// Keeps the file together with `accepted_under`, durably when this returns: after a power cut
    /// there is the old file or this one. Returns a countersign_answer.
    pub save: Option<
        unsafe extern "C-unwind" fn(
            user: *mut c_void,
            name: *const c_char,
            bytes: *const u8,
            len: usize,
            accepted_under: u64,
        ) -> i32,
    >,
}

/// Adds bytes to a buffer. They are copied.
///
/// Refuses with COUNTERSIGN_MISUSE beyond 512 MiB, and after the callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_buffer_append(
    buffer: *mut countersign_buffer,
    bytes: *const u8,
    len: usize,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let bytes = items(bytes, len, "bytes")?;
        let object = get(buffer)?;
        let mut buffer = lock(&object, "buffer")?;
        match buffer
            .len()
            .checked_add(len)
            .is_some_and(|len| len <= MAX_FILE)
        {
            true => {
                buffer.extend_from_slice(bytes);
                Ok(())
            }
            false => Err(misuse(format!("a file has at most {MAX_FILE} bytes"))),
        }
    })
}

/// One of the two.
pub(crate) enum AnyStore {
    Dir(DirStore),
    Own(Callbacks),
}

/// A store behind callbacks.
pub(crate) struct Callbacks {
    user: *mut c_void,
    load: unsafe extern "C-unwind" fn(
        *mut c_void,
        *const c_char,
        *mut countersign_buffer,
        *mut u64,
    ) -> i32,
    save: unsafe extern "C-unwind" fn(*mut c_void, *const c_char, *const u8, usize, u64) -> i32,
}

// SAFETY: the header says that callbacks are called on the thread of the call that needs them, one at
// a time.
unsafe impl Send for Callbacks {}

impl AnyStore {
    pub(crate) fn own(given: &countersign_store) -> Result<Self, Reject> {
        let absent = || misuse("a function of the store is NULL".into());
        Ok(Self::Own(Callbacks {
            user: given.user,
            load: given.load.ok_or_else(absent)?,
            save: given.save.ok_or_else(absent)?,
        }))
    }

    /// Where downloads grow, by default.
    pub(crate) fn partial_directory(&self) -> Result<PathBuf, Reject> {
        match self {
            Self::Dir(store) => Ok(store.partial_directory()),
            Self::Own(_) => Err(misuse("with a store of your own, give partial_dir".into())),
        }
    }
}

impl Store for AnyStore {
    fn load(&mut self, name: &StoreName) -> Result<Option<Stored>, StoreError> {
        match self {
            Self::Dir(store) => store.load(name),
            Self::Own(callbacks) => callbacks.load(&store_name(name)),
        }
    }

    fn save(
        &mut self,
        name: &StoreName,
        bytes: &[u8],
        root_version: u64,
    ) -> Result<(), StoreError> {
        match self {
            Self::Dir(store) => store.save(name, bytes, root_version),
            Self::Own(callbacks) => {
                if *name == StoreName::Root {
                    let history = StoreName::RootHistory(root_version);
                    callbacks.save(&store_name(&history), bytes, root_version)?;
                }
                callbacks.save(&store_name(name), bytes, root_version)
            }
        }
    }
}

impl Callbacks {
    fn load(&mut self, name: &str) -> Result<Option<Stored>, StoreError> {
        let c_name = c_name(name)?;
        let buffer = handles::put::<countersign_buffer>(Mutex::default());
        let object = get(buffer).map_err(|error| failed("read", name, &error.detail))?;
        let mut accepted_under = 0;
        // SAFETY: C has given this function for this purpose; the places are ours.
        let answer =
            unsafe { (self.load)(self.user, c_name.as_ptr(), buffer, &mut accepted_under) };
        free(buffer);
        if answer == countersign_answer::COUNTERSIGN_ANSWER_NOT_FOUND as i32 {
            return Ok(None);
        }
        if answer != countersign_answer::COUNTERSIGN_ANSWER_OK as i32 {
            return Err(failed("read", name, "the store says that it failed"));
        }
        let mut bytes =
            lock(&object, "buffer").map_err(|error| failed("read", name, &error.detail))?;
        Ok(Some(Stored {
            bytes: std::mem::take(&mut *bytes),
            accepted_under: (accepted_under > 0).then_some(accepted_under),
        }))
    }

    fn save(&mut self, name: &str, bytes: &[u8], accepted_under: u64) -> Result<(), StoreError> {
        let c_name = c_name(name)?;
        // SAFETY: C has given this function for this purpose.
        let answer = unsafe {
            let (bytes, len) = (bytes.as_ptr(), bytes.len());
            (self.save)(self.user, c_name.as_ptr(), bytes, len, accepted_under)
        };
        match answer == countersign_answer::COUNTERSIGN_ANSWER_OK as i32 {
            true => Ok(()),
            false => Err(failed("keep", name, "the store says that it failed")),
        }
    }
}

fn c_name(name: &str) -> Result<CString, StoreError> {
    CString::new(name).map_err(|_| failed("name", name, "it holds a NUL"))
}

fn failed(action: &'static str, name: &str, detail: &str) -> StoreError {
    StoreError::Io {
        action,
        path: name.into(),
        source: std::io::Error::other(detail.to_owned()),
    }
}
