//! The blocking client, with a transport and a store that answer out of the input.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};

use countersign::*;

use super::{Run, Store, call, make};

const OK: i32 = countersign_answer::COUNTERSIGN_ANSWER_OK as i32;
const NOT_FOUND: i32 = countersign_answer::COUNTERSIGN_ANSWER_NOT_FOUND as i32;
const FAILED: i32 = countersign_answer::COUNTERSIGN_ANSWER_FAILED as i32;

/// What the callbacks are given. The client has no other copy of it.
struct World<'r> {
    files: &'r BTreeMap<&'r [u8], &'r [u8]>,
    store: &'r mut Store,
    habits: u8,
    piece: usize,
    calls: usize,
}

/// What is left of a file that is read.
struct Body<'r> {
    rest: &'r [u8],
    piece: usize,
}

unsafe extern "C-unwind" fn open(
    user: *mut c_void,
    url: *const c_char,
    range_from: u64,
    body: *mut *mut c_void,
    starts_at: *mut u64,
    length: *mut u64,
) -> i32 {
    // SAFETY: here and below: what this file has given, and places and texts of the library.
    let (world, url) = unsafe { (&mut *user.cast::<World<'_>>(), CStr::from_ptr(url)) };
    let path = url.to_bytes().strip_prefix(b"https://example.com/");
    let path = path.expect("an address below ours");
    let path = path.strip_prefix(b"metadata/").unwrap_or(path);
    // No answer that would be tried again: the client waits before it does.
    let Some(file) = world.files.get(path) else {
        return NOT_FOUND;
    };
    let from = match world.habits & 4 {
        0 => usize::try_from(range_from).map_or(0, |from| from.min(file.len())),
        _ => 0,
    };
    let rest = &file[from..];
    let piece = world.piece;
    unsafe {
        starts_at.write(from as u64);
        if world.habits & 8 == 0 {
            length.write(rest.len() as u64);
        }
        body.write(Box::into_raw(Box::new(Body { rest, piece })).cast());
    }
    OK
}

unsafe extern "C-unwind" fn read(body: *mut c_void, buffer: *mut u8, len: usize) -> isize {
    let body = unsafe { &mut *body.cast::<Body<'_>>() };
    let n = body.rest.len().min(len).min(body.piece);
    unsafe { std::ptr::copy_nonoverlapping(body.rest.as_ptr(), buffer, n) };
    body.rest = &body.rest[n..];
    n.cast_signed()
}

unsafe extern "C-unwind" fn close(body: *mut c_void) {
    drop(unsafe { Box::from_raw(body.cast::<Body<'_>>()) });
}

unsafe extern "C-unwind" fn load(
    user: *mut c_void,
    name: *const c_char,
    buffer: *mut countersign_buffer,
    accepted_under: *mut u64,
) -> i32 {
    let (world, name) = unsafe { (&mut *user.cast::<World<'_>>(), CStr::from_ptr(name)) };
    world.calls += 1;
    if world.habits & 1 != 0 && world.calls.is_multiple_of(11) {
        return FAILED;
    }
    let Some((bytes, under)) = world.store.get(name.to_bytes()) else {
        return NOT_FOUND;
    };
    for piece in bytes.chunks(world.piece) {
        let added = call(|error| unsafe {
            countersign_buffer_append(buffer, piece.as_ptr(), piece.len(), error)
        });
        assert!(added);
    }
    unsafe { accepted_under.write(*under) };
    OK
}

unsafe extern "C-unwind" fn save(
    user: *mut c_void,
    name: *const c_char,
    bytes: *const u8,
    len: usize,
    accepted_under: u64,
) -> i32 {
    let (world, name) = unsafe { (&mut *user.cast::<World<'_>>(), CStr::from_ptr(name)) };
    let bytes = unsafe { std::slice::from_raw_parts(bytes, len) };
    let record = (bytes.to_vec(), accepted_under);
    world.store.insert(name.to_bytes().to_vec(), record);
    OK
}

/// The sink of a download counts.
unsafe extern "C-unwind" fn count(user: *mut c_void, _: *const u8, len: usize) -> i32 {
    unsafe { *user.cast::<u64>() += len as u64 };
    0
}

impl Run<'_> {
    /// Twice: the second time goes on from what the first one has kept.
    pub(super) unsafe fn client(&mut self) {
        for _ in 0..2 {
            unsafe { self.follow() };
        }
    }

    unsafe fn follow(&mut self) {
        let root = self.file(b"root");
        let (target, now, piece) = (self.target.clone(), self.now, self.piece());
        let mut world = World {
            files: &self.files,
            store: &mut self.store,
            habits: self.habits,
            piece,
            calls: 0,
        };
        let user: *mut c_void = std::ptr::from_mut(&mut world).cast();
        let fetcher = countersign_fetcher {
            user,
            open: Some(open),
            read: Some(read),
            close: Some(close),
        };
        let store = countersign_store {
            user,
            load: Some(load),
            save: Some(save),
        };
        unsafe {
            // SAFETY: all zero is the default.
            let mut options: countersign_client_options = std::mem::zeroed();
            options.size = size_of::<countersign_client_options>();
            options.metadata_url = c"https://example.com/metadata".as_ptr();
            options.store = &store;
            options.fetcher = &fetcher;
            let client = make(|out, error| countersign_client_new(&options, out, error));
            let client = client.expect("a client");
            call(|error| countersign_client_init(client, root.as_ptr(), root.len(), error));
            let trusted = make(|out, error| countersign_client_refresh(client, now, out, error));
            if let Some(trusted) = trusted {
                let target = make(|out, error| {
                    countersign_client_find(client, trusted, target.as_ptr(), out, error)
                });
                if let Some(target) = target {
                    self::download(client, target, now);
                    countersign_target_free(target);
                }
                countersign_trusted_free(trusted);
            }
            countersign_client_free(client);
        }
    }
}

unsafe fn download(client: *mut countersign_client, target: *const countersign_target, now: i64) {
    let mut seen = 0_u64;
    let sink = countersign_sink {
        user: std::ptr::from_mut(&mut seen).cast(),
        write: Some(count),
    };
    unsafe {
        let url = c"https://example.com/targets".as_ptr();
        let verified = make(|out, error| {
            countersign_client_download_to(client, target, url, now, &sink, out, error)
        });
        if let Some(verified) = verified {
            assert_eq!(seen, countersign_verified_length(verified));
            countersign_verified_free(verified);
        }
    }
}
