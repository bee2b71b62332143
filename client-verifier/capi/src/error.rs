//! Refusals, as C sees them.

use std::ffi::{CString, c_char};
use std::ptr::null;

use countersign_verifier::{Code, Reject};

use crate::boundary::{OK, c_text, countersign_status, look, release, status_of};
use crate::handles::{get, handles};

/// Why a call failed: a refusal with its particulars. It never changes, and any number of threads
/// may read it.
pub struct countersign_error {
    _opaque: u8,
}

handles! {
    countersign_error = Told, "an error";
}

/// A refusal with its texts.
pub(crate) struct Told {
    code: countersign_status,
    name: CString,
    attack: CString,
    role: CString,
    repository: CString,
    message: CString,
    cause: Option<countersign_status>,
}

impl Told {
    pub(crate) fn of(reject: Reject) -> Self {
        Self {
            code: status_of(&reject),
            name: c_text(reject.code.name()),
            attack: c_text(reject.attack().name()),
            role: c_text(&reject.role),
            repository: c_text(&reject.repository),
            message: c_text(&reject.to_string()),
            cause: reject.cause.as_deref().map(status_of),
        }
    }
}

fn text(error: *const countersign_error, part: impl FnOnce(&Told) -> &CString) -> *const c_char {
    look(null(), || {
        let told = get(error)?;
        // The text lives as long as the handle, which keeps the object.
        Ok(part(&told).as_ptr())
    })
}

/// The number of the refusal: what the call that failed has returned. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_error_code(
    error: *const countersign_error,
) -> countersign_status {
    look(OK, || Ok(get(error)?.code))
}

/// The stable name of the refusal, such as "signature-threshold". NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_error_name(error: *const countersign_error) -> *const c_char {
    text(error, |told| &told.name)
}

/// The attack that was stopped, such as "rollback", or "none". NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_error_attack(
    error: *const countersign_error,
) -> *const c_char {
    text(error, |told| &told.attack)
}

/// The role whose file was refused; empty where no role is concerned. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_error_role(error: *const countersign_error) -> *const c_char {
    text(error, |told| &told.role)
}

/// The repository that is concerned, by the name that the session was given. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_error_repository(
    error: *const countersign_error,
) -> *const c_char {
    text(error, |told| &told.repository)
}

/// What went wrong, for people: one line without control characters. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_error_message(
    error: *const countersign_error,
) -> *const c_char {
    text(error, |told| &told.message)
}

/// For COUNTERSIGN_TARGET_NOT_FOUND: the number of what ended the search, or 0 if nothing was
/// refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_error_cause(
    error: *const countersign_error,
) -> countersign_status {
    look(OK, || Ok(get(error)?.cause.unwrap_or(OK)))
}

/// Gives an error up, and with it the texts that were read from it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_error_free(error: *mut countersign_error) {
    release(error);
}

/// The name of a status: "ok" for 0, NULL for a number that this version does not know. The text
/// lives for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_status_name(status: countersign_status) -> *const c_char {
    look(null(), || Ok(NAMES.with_status(status)))
}

/// All names with the NUL that C wants, made once.
struct Names;
static NAMES: Names = Names;

impl Names {
    fn with_status(&self, status: countersign_status) -> *const c_char {
        static TEXTS: std::sync::OnceLock<Vec<(countersign_status, CString)>> =
            std::sync::OnceLock::new();
        let texts = TEXTS.get_or_init(|| {
            let codes = Code::ALL.iter();
            let named = codes.map(|code| (i32::from(code.number()), c_text(code.name())));
            [(OK, c_text("ok"))].into_iter().chain(named).collect()
        });
        let known = texts.iter().find(|(number, _)| *number == status);
        known.map_or(null(), |(_, name)| name.as_ptr())
    }
}
