//! Offline bundles: both repositories' metadata for one update, and its images, in one file (PURE-2).

use std::ffi::{CString, c_char};
use std::path::Path;
use std::ptr::null;
use std::sync::Mutex;

use countersign_client::fetch::Fetcher;
use countersign_client::uptane::bundle::Bundle;
use countersign_verifier::{Code, Reject};

use super::directed::{Sink, countersign_sink};
use crate::boundary::{c_text, countersign_status, guard, look, place, release, text, value_place};
use crate::client::usage;
use crate::error::countersign_error;
use crate::handles::{self, get, handles, lock};

/// An offline bundle, such as a file on a stick, open for reading. Nothing in it is believed. One call at
/// a time may read from it.
pub struct countersign_bundle {
    _opaque: u8,
}

handles! {
    countersign_bundle = BundleObject, "a bundle";
}

pub(crate) struct BundleObject {
    pub(crate) bundle: Mutex<Bundle>,
    offline_name: CString,
}

/// Opens the bundle at `path` (docs/offline-bundles.md). `bundle` gets a new handle, which you free.
///
/// Refuses with COUNTERSIGN_USAGE what cannot be read or is no bundle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_bundle_open(
    path: *const c_char,
    bundle: *mut *mut countersign_bundle,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(bundle, "bundle")?;
        let opened = Bundle::open(Path::new(text(path, "path")?));
        let opened = opened.map_err(|error| usage(error.to_string()))?;
        out.put(handles::put(BundleObject {
            offline_name: c_text(opened.targets_name().as_str()),
            bundle: Mutex::new(opened),
        }));
        Ok(())
    })
}

/// The name of its Offline Targets file, for countersign_session_director or
/// countersign_session_partial. It lives as long as the handle; NULL for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_bundle_offline_name(
    bundle: *const countersign_bundle,
) -> *const c_char {
    look(null(), || Ok(get(bundle)?.offline_name.as_ptr()))
}

/// Passes the file `name` of a bundle to `sink`, such as "director/metadata/2.root.json". What a session
/// fetches is below "director/metadata/" (the chain of Roots), "director/offline/" (Offline Snapshot and
/// Targets) and "image/metadata/"; the image with the content name NAME is "images/NAME", of which at
/// most 100 characters count. `found` says whether there is such a file.
///
/// Refuses with COUNTERSIGN_TOO_LARGE what goes on after `max_len` bytes, with
/// COUNTERSIGN_FETCH_FAILED what cannot be read, and with COUNTERSIGN_INSTALL_FAILED if the sink does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_bundle_read(
    bundle: *mut countersign_bundle,
    name: *const c_char,
    max_len: u64,
    sink: *const countersign_sink,
    found: *mut bool,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = value_place(found, "found", false)?;
        let (name, sink) = (text(name, "name")?, Sink::of(sink)?);
        let object = get(bundle)?;
        let mut bundle = lock(&object.bundle, "bundle")?;
        let mut file = match bundle.open(name, 0) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(unread(&error)),
        };
        let (mut buffer, mut left) = (vec![0; 64 << 10], max_len);
        loop {
            let n = file.read(&mut buffer).map_err(|error| unread(&error))?;
            let Some(rest) = left.checked_sub(n as u64) else {
                let detail = format!("{name} goes on after {max_len} bytes");
                return Err(Reject::new(Code::TooLarge, "", detail));
            };
            left = rest;
            match &buffer[..n] {
                [] => break,
                bytes => sink.take(bytes)?,
            }
        }
        out.put(true);
        Ok(())
    })
}

fn unread(error: &dyn std::error::Error) -> Reject {
    Reject::new(Code::FetchFailed, "", error.to_string())
}

/// Gives a bundle up. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_bundle_free(bundle: *mut countersign_bundle) {
    release(bundle);
}
