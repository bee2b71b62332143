//! An image that is listed, and where it is.

use std::ffi::{CString, c_char};
use std::ptr::null;
use std::sync::Mutex;

use countersign_metadata::{Hashes, TargetFile, canonical};
use countersign_verifier::ListedTarget;

use crate::boundary::{c_text, countersign_status, guard, look, place, release, time};
use crate::context::unix;
use crate::error::countersign_error;
use crate::handles::{self, get, handles};
use crate::image::{Stream, countersign_image};

/// An image that current metadata lists. It never changes, and any number of threads may read it.
pub struct countersign_target {
    _opaque: u8,
}

handles! {
    countersign_target = ListedObject, "a target";
}

/// A listed image with its texts.
pub(crate) struct ListedObject {
    pub(crate) listed: ListedTarget,
    pub(crate) file: FileTexts,
    path: CString,
    role: CString,
    remote: Option<CString>,
}

/// Length and hashes of a file, as C reads them.
pub(crate) struct FileTexts {
    pub(crate) length: u64,
    pub(crate) hashes: Hashes,
    pub(crate) custom: Option<CString>,
}

impl FileTexts {
    pub(crate) fn of(file: &TargetFile) -> Self {
        let custom = file.custom.clone();
        let json = custom.map(|custom| canonical::to_json(&canonical::encode(&custom.into())));
        Self {
            length: file.length,
            hashes: file.hashes.clone(),
            custom: json.map(|json| c_text(&json)),
        }
    }
}

impl ListedObject {
    pub(crate) fn of(listed: ListedTarget) -> Self {
        Self {
            file: FileTexts::of(listed.file()),
            path: c_text(listed.path().as_str()),
            role: c_text(listed.role()),
            remote: listed.remote_path().ok().map(|path| c_text(&path)),
            listed,
        }
    }
}

pub(crate) fn digest<const N: usize>(digest: &Option<[u8; N]>) -> *const u8 {
    digest.as_ref().map_or(null(), |bytes| bytes.as_ptr())
}

pub(crate) fn optional(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(null(), |text| text.as_ptr())
}

/// The target path, as it was looked for. It lives as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_target_path(
    target: *const countersign_target,
) -> *const c_char {
    look(null(), || Ok(get(target)?.path.as_ptr()))
}

/// Its length in bytes. 0 for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_target_length(target: *const countersign_target) -> u64 {
    look(0, || Ok(get(target)?.file.length))
}

/// The 32 bytes of its SHA-256; NULL if none is listed. They live as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_target_sha256(target: *const countersign_target) -> *const u8 {
    look(null(), || Ok(digest(&get(target)?.file.hashes.sha256)))
}

/// The 64 bytes of its SHA-512; NULL if none is listed. They live as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_target_sha512(target: *const countersign_target) -> *const u8 {
    look(null(), || Ok(digest(&get(target)?.file.hashes.sha512)))
}

/// Its `custom` as a JSON object; NULL if there is none. It lives as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_target_custom(
    target: *const countersign_target,
) -> *const c_char {
    look(null(), || Ok(optional(&get(target)?.file.custom)))
}

/// The role that lists it. It lives as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_target_role(
    target: *const countersign_target,
) -> *const c_char {
    look(null(), || Ok(get(target)?.role.as_ptr()))
}

/// Where it is below the targets URL, as it stands in a URL: "dir/HASH.name" in a consistent
/// repository (TUF 5.7.3). NULL if no hash that is known here is listed. It lives as long as the
/// handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_target_remote_path(
    target: *const countersign_target,
) -> *const c_char {
    look(null(), || Ok(optional(&get(target)?.remote)))
}

/// When the first of the files that lead to it expires, in seconds since 1970-01-01T00:00:00Z.
/// INT64_MIN for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_target_valid_until(target: *const countersign_target) -> i64 {
    look(i64::MIN, || Ok(unix(get(target)?.listed.valid_until())))
}

/// Starts checking the image's bytes (TUF 5.7) at `now`, in seconds since 1970-01-01T00:00:00Z.
/// `image` gets a new handle, which you free or finish.
///
/// Refuses with COUNTERSIGN_EXPIRED when the metadata that names it has expired since, and with
/// COUNTERSIGN_NO_KNOWN_HASH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_target_open(
    target: *const countersign_target,
    now: i64,
    image: *mut *mut countersign_image,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(image, "image")?;
        let listed = get(target)?.listed.clone();
        let stream = listed.open(time(now, "now")?)?;
        out.put(handles::put(Mutex::new(Some(Stream::Image(Box::new(
            stream,
        ))))));
        Ok(())
    })
}

/// Gives a target up. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_target_free(target: *mut countersign_target) {
    release(target);
}
