//! A transport and a store behind callbacks.

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::io::{Cursor, Read as _};

use countersign::*;
use countersign_vectors::tree::{Answer, Site};

use super::{Store, call, text};

/// What is served below https://example.com/, and whether images are changed on the way.
pub(crate) struct Transport {
    pub(crate) site: Site,
    pub(crate) tampering: bool,
    /// What was asked for.
    pub(crate) asked: RefCell<Vec<String>>,
}

impl Transport {
    pub(crate) fn new(site: Site) -> Self {
        Self {
            site,
            tampering: false,
            asked: RefCell::default(),
        }
    }

    /// The struct for C. It points here.
    pub(crate) fn fetcher(&self) -> countersign_fetcher {
        countersign_fetcher {
            user: std::ptr::from_ref(self).cast_mut().cast(),
            open: Some(open),
            read: Some(read),
            close: Some(close),
        }
    }
}

unsafe extern "C-unwind" fn open(
    user: *mut c_void,
    url: *const c_char,
    range_from: u64,
    body: *mut *mut c_void,
    starts_at: *mut u64,
    length: *mut u64,
) -> i32 {
    // SAFETY: here and in all callbacks: what the test has given, and places of the library.
    let (transport, url) = unsafe { (&*user.cast::<Transport>(), text(url)) };
    let path = url
        .strip_prefix("https://example.com/")
        .expect("our address");
    transport.asked.borrow_mut().push(path.to_owned());
    let mut bytes = match transport.site.get(path) {
        Answer::Found(bytes) => bytes,
        Answer::Status(403 | 404 | 410) => {
            return countersign_answer::COUNTERSIGN_ANSWER_NOT_FOUND as i32;
        }
        Answer::Status(_) => return countersign_answer::COUNTERSIGN_ANSWER_FAILED as i32,
    };
    if transport.tampering && path.contains("/targets/") {
        bytes[0] ^= 1;
    }
    let from = usize::try_from(range_from).expect("a small file");
    let rest = bytes.split_off(from.min(bytes.len()));
    // SAFETY: as above.
    unsafe {
        starts_at.write(range_from);
        length.write(rest.len() as u64);
        body.write(Box::into_raw(Box::new(Cursor::new(rest))).cast());
    }
    countersign_answer::COUNTERSIGN_ANSWER_OK as i32
}

pub(crate) unsafe extern "C-unwind" fn read(
    body: *mut c_void,
    buffer: *mut u8,
    len: usize,
) -> isize {
    // SAFETY: as above.
    let (body, buffer) = unsafe {
        let body = &mut *body.cast::<Cursor<Vec<u8>>>();
        (body, std::slice::from_raw_parts_mut(buffer, len))
    };
    body.read(buffer).map_or(-1, |n| n.cast_signed())
}

pub(crate) unsafe extern "C-unwind" fn close(body: *mut c_void) {
    // SAFETY: as above.
    drop(unsafe { Box::from_raw(body.cast::<Cursor<Vec<u8>>>()) });
}

/// A store in memory, as a struct for C that points to it.
pub(crate) fn store(kept: &mut Store) -> countersign_store {
    countersign_store {
        user: std::ptr::from_mut(kept).cast(),
        load: Some(load),
        save: Some(save),
    }
}

unsafe extern "C-unwind" fn load(
    user: *mut c_void,
    name: *const c_char,
    buffer: *mut countersign_buffer,
    accepted_under: *mut u64,
) -> i32 {
    // SAFETY: as above.
    let (kept, name) = unsafe { (&*user.cast::<Store>(), text(name)) };
    let Some((bytes, under)) = kept.get(&name) else {
        return countersign_answer::COUNTERSIGN_ANSWER_NOT_FOUND as i32;
    };
    for piece in bytes.chunks(1000) {
        let added = call(|error| unsafe {
            countersign_buffer_append(buffer, piece.as_ptr(), piece.len(), error)
        });
        added.expect("added");
    }
    // SAFETY: as above.
    unsafe { accepted_under.write(*under) };
    countersign_answer::COUNTERSIGN_ANSWER_OK as i32
}

unsafe extern "C-unwind" fn save(
    user: *mut c_void,
    name: *const c_char,
    bytes: *const u8,
    len: usize,
    accepted_under: u64,
) -> i32 {
    // SAFETY: as above.
    unsafe {
        let kept = &mut *user.cast::<Store>();
        let bytes = std::slice::from_raw_parts(bytes, len).to_vec();
        kept.insert(text(name), (bytes, accepted_under));
    }
    countersign_answer::COUNTERSIGN_ANSWER_OK as i32
}
