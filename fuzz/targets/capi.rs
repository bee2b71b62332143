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

const MAPPING: &CStr =
    cr#"{"repositories":{"director":["https://example.com"],"image":["https://example.com"]},
"mapping":[{"paths":["*"],"repositories":["director","image"],"threshold":2,"terminating":true}]}"#;

fuzz_target!(|data: &[u8]| {
    if let Some(mut run) = Run::read(data) {
        run.go();
        // SAFETY: no arguments.
        assert_eq!(unsafe { countersign_live_handles() }, 0, "handles are left");
    }
});

struct Run<'d> {
    /// Which session is driven.
    mode: u8,
    /// How files are passed in, and which rules of the ABI are broken on the way.
    habits: u8,
    now: i64,
    target: CString,
    files: BTreeMap<&'d [u8], &'d [u8]>,
    store: BTreeMap<Vec<u8>, (Vec<u8>, u64)>,
    folder: &'static str,
    steps: usize,
}

type Error = *mut *mut countersign_error;

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
            steps: 0,
        })
    }

    fn go(&mut self) {
        self.provision("root", "");
        let context = self.context();
        // SAFETY: here and below: handles of the library, texts and places of ours.
        unsafe {
            match self.mode % 3 {
                0 => self.tuf(&context),
                mode => {
                    self.provision("director/root", "director/");
                    self.provision("image/root", "image/");
                    let session =
                        make(|out, error| countersign_session_follow_root(&context, out, error));
                    self.folder = "director/";
                    let root = session.and_then(|session| {
                        self.ended(session, |s, out, error| {
                            countersign_session_take_root(s, out, error)
                        })
                    });
                    if let Some(root) = root {
                        self.time(root);
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
                let image =
                    make(|out, error| countersign_target_open(target, self.now, out, error));
                self.pour(image);
                countersign_target_free(target);
            }
            countersign_trusted_free(trusted);
        }
    }

    unsafe fn full(&mut self, root: *mut countersign_root, context: &countersign_context) {
        let ecus = [
            countersign_ecu_id {
                serial: c"S1".as_ptr(),
                hardware_id: c"brake-b".as_ptr(),
            },
            countersign_ecu_id {
                serial: c"P1".as_ptr(),
                hardware_id: c"pcu-a".as_ptr(),
            },
            countersign_ecu_id {
                serial: c"S2".as_ptr(),
                hardware_id: c"lamp-c".as_ptr(),
            },
        ];
        let vehicle = countersign_vehicle {
            vin: c"VIN-OF-THIS-CAR".as_ptr(),
            ecus: ecus.as_ptr(),
            ecus_count: ecus.len(),
            is_secondary: false,
        };
        unsafe {
            let director = make(|out, error| {
                countersign_session_director(root, &vehicle, null(), context, out, error)
            });
            let director = director.and_then(|session| {
                self.ended(session, |s, out, error| {
                    countersign_session_take_director(s, out, error)
                })
            });
            let Some(director) = director else { return };
            let image = make(|out, error| countersign_session_image(director, context, out, error));
            self.folder = "image/";
            let trusted = image.and_then(|session| {
                self.ended(session, |s, out, error| {
                    countersign_session_take_trusted(s, out, error)
                })
            });
            let Some(trusted) = trusted else {
                countersign_director_free(director);
                return;
            };
            let update = make(|out, error| {
                countersign_session_resolve(
                    director,
                    trusted,
                    MAPPING.as_ptr(),
                    null(),
                    0,
                    out,
                    error,
                )
            });
            let update = update.and_then(|session| {
                self.ended(session, |s, out, error| {
                    countersign_session_take_update(s, out, error)
                })
            });
            countersign_trusted_free(trusted);
            self.images(update, &ecus);
        }
    }

    unsafe fn partial(&mut self, root: *mut countersign_root, context: &countersign_context) {
        let ecu = countersign_ecu_id {
            serial: c"S1".as_ptr(),
            hardware_id: c"brake-b".as_ptr(),
        };
        unsafe {
            let vin = c"VIN-OF-THIS-CAR".as_ptr();
            let session = make(|out, error| {
                countersign_session_partial(root, vin, &ecu, null(), context, out, error)
            });
            let update = session.and_then(|session| {
                self.ended(session, |s, out, error| {
                    countersign_session_take_update(s, out, error)
                })
            });
            self.images(update, &[ecu]);
        }
    }

    unsafe fn images(
        &mut self,
        update: Option<*mut countersign_update>,
        ecus: &[countersign_ecu_id],
    ) {
        let Some(update) = update else { return };
        unsafe {
            for index in 0..countersign_update_count(update) {
                let image = make(|out, error| countersign_update_image(update, index, out, error));
                let Some(directed) = image else { continue };
                let mut origin = countersign_origin {
                    kind: countersign_origin_kind::COUNTERSIGN_ORIGIN_IMAGE,
                    text: null(),
                };
                call(|error| countersign_directed_origin(directed, &mut origin, error));
                for ecu in ecus {
                    let image = make(|out, error| {
                        countersign_directed_open_image(directed, ecu, null(), self.now, out, error)
                    });
                    self.pour(image);
                }
                let image = make(|out, error| {
                    countersign_directed_open_download(directed, self.now, out, error)
                });
                self.pour(image);
                countersign_directed_free(directed);
            }
            countersign_update_free(update);
        }
    }

    unsafe fn time(&mut self, root: *mut countersign_root) {
        let attestation = self.files.get(&b"time"[..]).copied().unwrap_or_default();
        let mut floor = countersign_time_floor {
            is_set: 0,
            time: 0,
            keys: [0; 32],
        };
        let (mut now, mut attested) = (0, false);
        call(|error| unsafe {
            let (bytes, len) = (attestation.as_ptr(), attestation.len());
            countersign_root_attested_time(
                root,
                bytes,
                len,
                [7u8; 16].as_ptr(),
                &mut floor,
                &mut now,
                &mut attested,
                error,
            )
        });
        if attested {
            self.now = now;
        }
    }

    unsafe fn pour(&mut self, image: Option<*mut countersign_image>) {
        let Some(image) = image else { return };
        let bytes = self.files.get(&b"image"[..]).copied().unwrap_or_default();
        unsafe {
            for piece in bytes.chunks(usize::from(self.habits >> 4) * 16 + 1) {
                if !call(|error| {
                    countersign_image_update(image, piece.as_ptr(), piece.len(), error)
                }) {
                    break;
                }
            }
            let verified = make(|out, error| countersign_image_finish(image, out, error));
            if let Some(verified) = verified {
                call(|error| countersign_verified_check_fresh(verified, self.now, error));
                countersign_verified_free(verified);
            }
            // It was given up.
            countersign_image_free(image);
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
                countersign_step_kind::COUNTERSIGN_STEP_FETCH => match self.files.get(&key[..]) {
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
                },
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
