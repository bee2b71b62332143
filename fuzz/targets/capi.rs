//! The C ABI, driven as a device would drive it, against a repository that the input holds.
//!
//! The input is a small archive: how to drive in the first bytes, then files by name. See seeds.py.
#![no_main]
// It calls what C calls.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::ptr::{null, null_mut};

use countersign::*;
use libfuzzer_sys::fuzz_target;

#[path = "capi/client.rs"]
mod client;
#[path = "capi/ecu.rs"]
mod ecu;
#[path = "capi/images.rs"]
mod images;

fuzz_target!(|data: &[u8]| {
    if let Some(mut run) = Run::read(data) {
        run.go();
        // SAFETY: no arguments.
        assert_eq!(unsafe { countersign_live_handles() }, 0, "handles are left");
    }
});

struct Run<'d> {
    /// 0: sessions of a TUF client; 1 and 2: an ECU that verifies in full or in part; 3: the blocking client.
    mode: u8,
    /// How files are passed in, and which rules of the ABI are broken on the way.
    habits: u8,
    now: i64,
    /// The image that is looked for; of an ECU the name of its Offline Targets file, or empty.
    target: CString,
    files: BTreeMap<&'d [u8], &'d [u8]>,
    store: Store,
    /// Where the files of a repository are kept, and where they are fetched.
    folder: &'static str,
    source: &'static str,
    steps: usize,
}

type Error = *mut *mut countersign_error;

/// Files by name, each with the Root version that it was accepted under.
type Store = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

/// Calls a function, and frees what it says.
fn call(function: impl FnOnce(Error) -> i32) -> bool {
    let mut error = null_mut();
    let status = function(&mut error);
    assert_eq!(status == 0, error.is_null());
    // SAFETY: the library's handle, or NULL.
    unsafe {
        assert_eq!(countersign_error_code(error), status);
        assert_ne!(status, 805, "a panic: {:?}", message(error));
        countersign_error_free(error);
    }
    status == 0
}

fn message(error: *const countersign_error) -> String {
    // SAFETY: a live handle.
    unsafe { CStr::from_ptr(countersign_error_message(error)) }
        .to_string_lossy()
        .into_owned()
}

fn make<H>(function: impl FnOnce(*mut *mut H, Error) -> i32) -> Option<*mut H> {
    let mut handle = null_mut();
    call(|error| function(&mut handle, error)).then_some(handle)
}

impl<'d> Run<'d> {
    fn read(data: &'d [u8]) -> Option<Self> {
        let (&[mode, habits], rest) = data.split_first_chunk()?;
        let (days, rest) = rest.split_first_chunk::<2>()?;
        let (&length, rest) = rest.split_first()?;
        let (target, mut rest) = rest.split_at_checked(length.into())?;
        let mut files = BTreeMap::new();
        while let Some((&length, more)) = rest.split_first() {
            let (name, more) = more.split_at_checked(length.into())?;
            let (length, more) = more.split_first_chunk::<3>()?;
            let length = u32::from_le_bytes([length[0], length[1], length[2], 0]);
            let (file, more) = more.split_at_checked(length as usize)?;
            files.insert(name, file);
            rest = more;
        }
        Some(Self {
            mode,
            habits,
            // From 2025 on, for 179 years.
            now: 1_735_689_600 + i64::from(u16::from_le_bytes(*days)) * 86_400,
            target: CString::new(target).ok()?,
            files,
            store: BTreeMap::new(),
            folder: "",
            source: "",
            steps: 0,
        })
    }

    fn go(&mut self) {
        self.provision("root", "");
        let context = self.context();
        // SAFETY: here and below: handles of the library, texts and places of ours.
        unsafe {
            match self.mode % 4 {
                0 => self.tuf(&context),
                3 => self.client(),
                mode => {
                    self.provision("director/root", "director/");
                    self.provision("image/root", "image/");
                    let session =
                        make(|out, error| countersign_session_follow_root(&context, out, error));
                    (self.folder, self.source) = ("director/", "director/metadata/");
                    let root = session.and_then(|session| {
                        self.ended(session, |s, out, error| {
                            countersign_session_take_root(s, out, error)
                        })
                    });
                    if let Some(root) = root {
                        self.time(root);
                        if !self.target.is_empty() {
                            self.source = "director/offline/";
                        }
                        match mode {
                            1 => self.full(root, &context),
                            _ => self.partial(root, &context),
                        }
                        countersign_root_free(root);
                    }
                }
            }
        }
    }

    fn context(&self) -> countersign_context {
        countersign_context {
            now: self.now,
            repository: null(),
            limits: countersign_limits::default(),
        }
    }

    /// A file of the archive, or nothing.
    fn file(&self, name: &[u8]) -> &'d [u8] {
        self.files.get(name).copied().unwrap_or_default()
    }

    fn offline_name(&self) -> Option<CString> {
        (!self.target.is_empty()).then(|| self.target.clone())
    }

    fn provision(&mut self, name: &str, folder: &str) {
        let Some(root) = self.files.get(name.as_bytes()).map(|root| root.to_vec()) else {
            return;
        };
        let mut version = 0;
        // SAFETY: bytes and places of ours.
        if call(|error| unsafe {
            countersign_provision_root(root.as_ptr(), root.len(), &mut version, error)
        }) {
            let history = format!("{folder}root+{version}").into_bytes();
            self.store.insert(history, (root.clone(), version));
        }
        self.store
            .insert(format!("{folder}root").into_bytes(), (root, 0));
    }

    unsafe fn tuf(&mut self, context: &countersign_context) {
        unsafe {
            let Some(session) = make(|out, error| countersign_session_refresh(context, out, error))
            else {
                return;
            };
            let trusted = self.ended(session, |s, out, error| {
                countersign_session_take_trusted(s, out, error)
            });
            let Some(trusted) = trusted else { return };
            let versions = countersign_trusted_versions(trusted);
            assert!(versions.root > 0 && versions.targets > 0);
            let path = self.target.clone();
            let session =
                make(|out, error| countersign_session_search(trusted, path.as_ptr(), out, error));
            if self.habits & 4 != 0 {
                // Borrowed.
                assert!(
                    make(|out, error| countersign_session_search(
                        trusted,
                        path.as_ptr(),
                        out,
                        error
                    ))
                    .is_none()
                );
            }
            let target = session.and_then(|session| {
                self.ended(session, |s, out, error| {
                    countersign_session_take_target(s, out, error)
                })
            });
            if let Some(target) = target {
                let remote = countersign_target_remote_path(target);
                if !remote.is_null() {
                    let path = [b"targets/", CStr::from_ptr(remote).to_bytes()].concat();
                    let image =
                        make(|out, error| countersign_target_open(target, self.now, out, error));
                    self.pour(image, &path);
                }
                countersign_target_free(target);
            }
            countersign_trusted_free(trusted);
        }
    }

    /// Drives a session to its end, or to a refusal; takes the result and frees it.
    unsafe fn ended<H>(
        &mut self,
        session: *mut countersign_session,
        take: impl FnOnce(*mut countersign_session, *mut *mut H, Error) -> i32,
    ) -> Option<*mut H> {
        let mut step = std::mem::MaybeUninit::<countersign_step>::uninit();
        let mut taken = None;
        unsafe {
            while self.steps < 4000
                && call(|error| countersign_session_next(session, step.as_mut_ptr(), error))
            {
                self.steps += 1;
                let step = step.assume_init_ref();
                if step.kind == countersign_step_kind::COUNTERSIGN_STEP_DONE {
                    taken = make(|out, error| take(session, out, error));
                    break;
                }
                if self.habits & 1 != 0 && self.steps.is_multiple_of(7) {
                    // An answer that fits only some steps.
                    call(|error| countersign_session_supply_saved(session, error));
                    continue;
                }
                self.answer(session, step);
            }
            countersign_session_free(session);
        }
        taken
    }

    unsafe fn answer(&mut self, session: *mut countersign_session, step: &countersign_step) {
        unsafe {
            let name = CStr::from_ptr(step.name).to_bytes();
            let key = [self.folder.as_bytes(), name].concat();
            match step.kind {
                countersign_step_kind::COUNTERSIGN_STEP_LOAD => match self.store.get(&key) {
                    Some((bytes, under)) => call(|error| {
                        let (data, len) = (bytes.as_ptr(), bytes.len());
                        countersign_session_supply_stored(session, data, len, *under, error)
                    }),
                    None => call(|error| countersign_session_supply_not_found(session, error)),
                },
                countersign_step_kind::COUNTERSIGN_STEP_FETCH => {
                    match self.files.get(&[self.source.as_bytes(), name].concat()[..]) {
                        Some(bytes) if self.habits & 2 != 0 => {
                            for piece in bytes.chunks(61) {
                                if !call(|error| {
                                    countersign_session_feed(
                                        session,
                                        piece.as_ptr(),
                                        piece.len(),
                                        error,
                                    )
                                }) {
                                    break;
                                }
                            }
                            call(|error| countersign_session_end_of_file(session, error))
                        }
                        Some(bytes) => call(|error| {
                            countersign_session_supply_fetched(
                                session,
                                bytes.as_ptr(),
                                bytes.len(),
                                error,
                            )
                        }),
                        None => call(|error| countersign_session_supply_not_found(session, error)),
                    }
                }
                _ => {
                    let bytes = std::slice::from_raw_parts(step.bytes, step.len).to_vec();
                    if !step.history_name.is_null() {
                        let name = CStr::from_ptr(step.history_name).to_bytes();
                        let key = [self.folder.as_bytes(), name].concat();
                        self.store.insert(key, (bytes.clone(), step.accepted_under));
                    }
                    self.store.insert(key, (bytes, step.accepted_under));
                    call(|error| countersign_session_supply_saved(session, error))
                }
            };
        }
    }
}
