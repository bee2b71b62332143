//! The exported functions, called as C calls them.
#![allow(dead_code)] // Each test file uses some of it.

pub(crate) mod blocking;
pub(crate) mod ecu;
pub(crate) mod transport;
pub(crate) mod tuf;

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::null_mut;

use countersign::*;
use countersign_vectors::format::Verdict;
use countersign_vectors::run::{Observed, Refusal};
use countersign_vectors::tree::{Answer, Site};

/// What a client keeps of one repository: bytes, and the Root version they were accepted under.
pub(crate) type Store = BTreeMap<String, (Vec<u8>, u64)>;

/// A call that was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) refusal: Box<Refusal>,
    pub(crate) message: String,
}

/// Calls a function with a place for its error.
pub(crate) fn call(
    function: impl FnOnce(*mut *mut countersign_error) -> countersign_status,
) -> Result<(), Refused> {
    let mut error = null_mut();
    let status = function(&mut error);
    match status {
        0 => {
            assert!(error.is_null(), "a success with an error");
            Ok(())
        }
        status => Err(refused(status, error)),
    }
}

/// A function that makes a handle.
pub(crate) fn make<H>(
    function: impl FnOnce(*mut *mut H, *mut *mut countersign_error) -> countersign_status,
) -> Result<*mut H, Refused> {
    let mut handle = null_mut();
    call(|error| function(&mut handle, error))?;
    Ok(handle)
}

fn refused(status: i32, error: *mut countersign_error) -> Refused {
    // SAFETY: a handle that the library has just given.
    unsafe {
        assert_eq!(countersign_error_code(error), status);
        let cause = countersign_error_cause(error);
        let cause = match cause {
            0 => "none".into(),
            cause => text(countersign_status_name(cause)),
        };
        let refusal = Box::new(Refusal {
            code: text(countersign_error_name(error)),
            role: text(countersign_error_role(error)),
            repository: Some(text(countersign_error_repository(error))),
            attack: text(countersign_error_attack(error)),
            cause: Some(cause),
        });
        let message = text(countersign_error_message(error));
        countersign_error_free(error);
        Refused { refusal, message }
    }
}

/// A refusal that the driver of a session comes to by itself.
pub(crate) fn own_refusal(code: &str, role: &str, repository: &str) -> Refused {
    let attack = countersign_verifier::Code::from_name(code)
        .expect("a code")
        .attack();
    Refused {
        refusal: Box::new(Refusal {
            code: code.into(),
            role: role.into(),
            repository: Some(repository.into()),
            attack: attack.name().into(),
            cause: Some("none".into()),
        }),
        message: String::new(),
    }
}

/// A text that the library has handed out.
pub(crate) fn text(pointer: *const c_char) -> String {
    assert!(!pointer.is_null());
    // SAFETY: texts of the library end with a NUL, and live as long as their handle.
    unsafe { CStr::from_ptr(pointer) }
        .to_str()
        .expect("UTF-8")
        .to_owned()
}

pub(crate) fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

/// Where files come from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Served(&'a Site),
    /// An open bundle.
    Carried(*mut countersign_bundle),
}

impl Source<'_> {
    pub(crate) fn get(self, path: &str) -> Answer {
        match self {
            Self::Served(site) => site.get(path),
            Self::Carried(bundle) => carried(bundle, path),
        }
    }
}

fn carried(bundle: *mut countersign_bundle, path: &str) -> Answer {
    let (mut bytes, mut found, path) = (Vec::new(), false, c(path));
    let sink = collecting(&mut bytes);
    let done = call(|error| unsafe {
        countersign_bundle_read(bundle, path.as_ptr(), u64::MAX, &sink, &mut found, error)
    });
    match (done, found) {
        (Ok(()), true) => Answer::Found(bytes),
        (Ok(()), false) => Answer::Status(404),
        (Err(_), _) => Answer::Status(500),
    }
}

/// A sink that puts everything into `bytes`.
pub(crate) fn collecting(bytes: &mut Vec<u8>) -> countersign_sink {
    unsafe extern "C-unwind" fn write(user: *mut c_void, bytes: *const u8, len: usize) -> i32 {
        // SAFETY: the vector of the test, and bytes of the library.
        unsafe {
            let taken = &mut *user.cast::<Vec<u8>>();
            taken.extend_from_slice(std::slice::from_raw_parts(bytes, len));
        }
        0
    }
    countersign_sink {
        user: std::ptr::from_mut(bytes).cast(),
        write: Some(write),
    }
}

/// One repository as a session sees it.
pub(crate) struct Line<'l> {
    pub(crate) store: &'l mut Store,
    pub(crate) source: Source<'l>,
    /// Where its metadata is.
    pub(crate) folder: &'static str,
    /// What requests are noted under.
    pub(crate) prefix: &'static str,
    pub(crate) requests: &'l mut Vec<String>,
}

impl Line<'_> {
    /// Drives a session to its end.
    pub(crate) fn drive(&mut self, session: *mut countersign_session) -> Result<(), Refused> {
        loop {
            let mut step = std::mem::MaybeUninit::uninit();
            // SAFETY: places of ours; the step is written where the call succeeds.
            let step: countersign_step = unsafe {
                call(|error| countersign_session_next(session, step.as_mut_ptr(), error))?;
                step.assume_init()
            };
            match step.kind {
                countersign_step_kind::COUNTERSIGN_STEP_DONE => return Ok(()),
                countersign_step_kind::COUNTERSIGN_STEP_LOAD => self.load(session, &step)?,
                countersign_step_kind::COUNTERSIGN_STEP_FETCH => self.fetch(session, &step)?,
                countersign_step_kind::COUNTERSIGN_STEP_SAVE => self.save(session, &step)?,
                countersign_step_kind::COUNTERSIGN_STEP_NONE => panic!("a call without a step"),
            }
        }
    }

    fn load(
        &mut self,
        session: *mut countersign_session,
        step: &countersign_step,
    ) -> Result<(), Refused> {
        match self.store.get(&text(step.name)) {
            // SAFETY: bytes of ours, that live as long as the call. So below.
            Some((bytes, under)) => call(|error| unsafe {
                let (data, len) = (bytes.as_ptr(), bytes.len());
                countersign_session_supply_stored(session, data, len, *under, error)
            }),
            None => call(|error| unsafe { countersign_session_supply_not_found(session, error) }),
        }
    }

    fn fetch(
        &mut self,
        session: *mut countersign_session,
        step: &countersign_step,
    ) -> Result<(), Refused> {
        let name = text(step.name);
        let answer = self.source.get(&format!("{}{name}", self.folder));
        self.requests.push(format!("{}{name}", self.prefix));
        match answer {
            // Every other file in pieces.
            Answer::Found(bytes) if self.requests.len().is_multiple_of(2) => {
                for piece in bytes.chunks(37) {
                    let fed = call(|error| unsafe {
                        countersign_session_feed(session, piece.as_ptr(), piece.len(), error)
                    });
                    if let Err(refused) = fed {
                        assert_eq!(refused.refusal.code, "too-large");
                        break;
                    }
                }
                call(|error| unsafe { countersign_session_end_of_file(session, error) })
            }
            Answer::Found(bytes) => call(|error| unsafe {
                countersign_session_supply_fetched(session, bytes.as_ptr(), bytes.len(), error)
            }),
            Answer::Status(403 | 404 | 410) => {
                call(|error| unsafe { countersign_session_supply_not_found(session, error) })
            }
            Answer::Status(_) => {
                let repository = self.prefix.trim_end_matches('/');
                Err(own_refusal("fetch-failed", &text(step.role), repository))
            }
        }
    }

    fn save(
        &mut self,
        session: *mut countersign_session,
        step: &countersign_step,
    ) -> Result<(), Refused> {
        // SAFETY: bytes of the session, that live until its next call.
        let bytes = unsafe { std::slice::from_raw_parts(step.bytes, step.len) }.to_vec();
        if !step.history_name.is_null() {
            let name = text(step.history_name);
            self.store
                .insert(name, (bytes.clone(), step.accepted_under));
        }
        self.store
            .insert(text(step.name), (bytes, step.accepted_under));
        call(|error| unsafe { countersign_session_supply_saved(session, error) })
    }
}

/// A store with the first Root, as one out of a factory.
pub(crate) fn provisioned(root: &[u8]) -> Store {
    let mut store = Store::from([("root".to_owned(), (root.to_vec(), 0))]);
    if let Ok(root) = countersign_verifier::provision_root(root.to_vec()) {
        use countersign_metadata::Role as _;
        let version = root.content().version();
        let name = format!("root+{version}");
        store.insert(name, (root.received().to_vec(), version));
    }
    store
}

/// The files of a store by role, each name after `prefix`.
pub(crate) fn trusted<'s>(
    store: &'s Store,
    prefix: &'s str,
) -> impl Iterator<Item = (String, Vec<u8>)> + 's {
    let roles = store.iter().filter(|(name, _)| !name.contains('+'));
    roles.map(move |(name, (bytes, _))| (format!("{prefix}{}", decoded(name)), bytes.clone()))
}

fn decoded(name: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                bytes.extend(hex::decode(digits).expect("hexadecimal"));
            }
            plain => bytes.push(plain),
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// An outcome as it is compared.
pub(crate) fn observed(outcome: &Result<(), Refused>) -> Observed {
    let refused = outcome.as_ref().err();
    Observed {
        verdict: match refused {
            None => Verdict::Accept,
            Some(_) => Verdict::Reject,
        },
        refusal: refused.map(|refused| (*refused.refusal).clone()),
        messages: refused.map_or_else(String::new, |refused| refused.message.clone()),
        ..Observed::default()
    }
}
