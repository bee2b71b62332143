//! The line that no panic crosses, and what comes over it: texts, bytes, places for results.
//!
//! The pointers that the functions below follow are arguments of exported functions, all of which are
//! `unsafe`: that they are what the header asks for is the caller's promise, and can be checked only for
//! NULL. They are not handed anything else.

use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use countersign_metadata::UtcTime;
use countersign_verifier::{Code, Reject};

use crate::error::countersign_error;
use crate::handles::{self, Handle, misuse};

/// 0, or the number of a refusal: see the constants above.
pub type countersign_status = i32;

/// All went well.
pub(crate) const OK: countersign_status = 0;

/// Runs the body of an exported function that can fail. Where `error` is not NULL, it gets the
/// refusal, or NULL.
pub(crate) fn guard(
    error: *mut *mut countersign_error,
    body: impl FnOnce() -> Result<(), Reject>,
) -> countersign_status {
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(broken(panic)));
    let (status, told) = match outcome {
        Ok(()) => (OK, std::ptr::null_mut()),
        Err(reject) => {
            let status = status_of(&reject);
            let told = match error.is_null() {
                true => std::ptr::null_mut(),
                false => handles::put(crate::error::Told::of(reject)),
            };
            (status, told)
        }
    };
    if !error.is_null() {
        // SAFETY: not NULL, and the header asks for a place to write a pointer to.
        unsafe { error.write(told) };
    }
    status
}

/// Runs the body of an exported function that has nothing to say of a failure but `otherwise`.
pub(crate) fn look<T>(otherwise: T, body: impl FnOnce() -> Result<T, Reject>) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(_)) | Err(_) => otherwise,
    }
}

/// Gives a handle up; what goes wrong while its object is dropped stays here.
pub(crate) fn release<H: Handle>(handle: *mut H) {
    look((), || {
        handles::free(handle);
        Ok(())
    });
}

pub(crate) fn status_of(reject: &Reject) -> countersign_status {
    countersign_status::from(reject.code.number())
}

fn broken(panic: Box<dyn std::any::Any + Send>) -> Reject {
    let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic".to_owned(),
    };
    // Dropping what somebody threw may throw again.
    std::mem::forget(panic);
    Reject::new(Code::Internal, "", text)
}

/// A place for one result, which holds nothing until it succeeds.
pub(crate) struct Place<T>(*mut T);

impl<T> Place<T> {
    /// Writes the result.
    pub(crate) fn put(self, value: T) {
        // SAFETY: `place` has seen that it is not NULL; the header asks for a place for a `T`.
        unsafe { self.0.write(value) };
    }
}

/// Where a new handle goes; NULL until it is there.
pub(crate) fn place<H: Handle>(out: *mut *mut H, name: &str) -> Result<Place<*mut H>, Reject> {
    value_place(out, name, std::ptr::null_mut())
}

/// Where another value goes; `nothing` until it is there.
pub(crate) fn value_place<T>(out: *mut T, name: &str, nothing: T) -> Result<Place<T>, Reject> {
    if out.is_null() {
        return Err(missing(name));
    }
    // SAFETY: not NULL; the header asks for a place for a `T`.
    unsafe { out.write(nothing) };
    Ok(Place(out))
}

/// A struct that C has filled in.
pub(crate) fn given<'a, T>(pointer: *const T, name: &str) -> Result<&'a T, Reject> {
    // SAFETY: the header asks for NULL or a struct that lives as long as the call.
    unsafe { pointer.as_ref() }.ok_or_else(|| missing(name))
}

/// An array that C has filled in; NULL is fine where it has no elements.
pub(crate) fn items<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T], Reject> {
    match (pointer.is_null(), count) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(missing(name)),
        (false, count) if count > isize::MAX as usize / size_of::<T>().max(1) => {
            Err(misuse(format!("{name} has no possible length")))
        }
        // SAFETY: not NULL, and the header asks for so many elements that live as long as the call.
        (false, count) => Ok(unsafe { std::slice::from_raw_parts(pointer, count) }),
    }
}

/// A text in UTF-8.
pub(crate) fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str, Reject> {
    match optional_text(pointer, name)? {
        Some(text) => Ok(text),
        None => Err(missing(name)),
    }
}

/// A text in UTF-8, or NULL.
pub(crate) fn optional_text<'a>(
    pointer: *const c_char,
    name: &str,
) -> Result<Option<&'a str>, Reject> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and the header asks for a text that ends with a NUL.
    let text = unsafe { CStr::from_ptr(pointer) };
    match text.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(misuse(format!("{name} is not UTF-8"))),
    }
}

/// A time in seconds since 1970-01-01T00:00:00Z.
pub(crate) fn time(seconds: i64, name: &str) -> Result<UtcTime, Reject> {
    let time = UtcTime::from_unix(seconds);
    time.ok_or_else(|| misuse(format!("{name} is outside the years 0 to 9999")))
}

/// A text for C to read, as long as its owner lives. What comes out of files may hold NULs, which no
/// name that is used here has: such a text ends before the first.
pub(crate) fn c_text(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

fn missing(name: &str) -> Reject {
    misuse(format!("NULL was given for {name}"))
}
