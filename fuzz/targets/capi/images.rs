//! Images on their way, encrypted ones among them.

use std::ffi::{CStr, CString, c_void};
use std::ptr::{null, null_mut};

use countersign::*;

use super::{Run, call, make};

/// What the callbacks of an encrypted image are given: the result of the key agreement, and the plaintext.
struct Opening<'r> {
    shared: &'r [u8],
    plain: Vec<u8>,
    /// The sink has room for so much.
    room: usize,
}

unsafe extern "C-unwind" fn agree(
    user: *mut c_void,
    peer: *const u8,
    peer_len: usize,
    shared: *mut u8,
) -> i32 {
    // SAFETY: here and below: what this file has given, and places of the library.
    let opening = unsafe { &*user.cast::<Opening<'_>>() };
    assert!(!peer.is_null() && (peer_len == 32 || peer_len == 65));
    if opening.shared.len() < 32 {
        return 1;
    }
    unsafe { std::ptr::copy_nonoverlapping(opening.shared.as_ptr(), shared, 32) };
    0
}

pub(super) unsafe extern "C-unwind" fn collect(
    user: *mut c_void,
    bytes: *const u8,
    len: usize,
) -> i32 {
    let (opening, bytes) = unsafe {
        let bytes = std::slice::from_raw_parts(bytes, len);
        (&mut *user.cast::<Opening<'_>>(), bytes)
    };
    if opening.plain.len() + len > opening.room {
        return 1;
    }
    opening.plain.extend_from_slice(bytes);
    0
}

impl Run<'_> {
    pub(super) unsafe fn images(
        &mut self,
        update: Option<*mut countersign_update>,
        ecus: &[countersign_ecu_id],
    ) {
        let Some(update) = update else { return };
        unsafe {
            for index in 0..countersign_update_count(update) {
                let image = make(|out, error| countersign_update_image(update, index, out, error));
                let Some(directed) = image else { continue };
                let path = self.served_at(directed);
                for ecu in ecus {
                    match countersign_directed_is_encrypted(directed) {
                        false => {
                            let image = make(|out, error| {
                                countersign_directed_open_image(
                                    directed,
                                    ecu,
                                    null(),
                                    self.now,
                                    out,
                                    error,
                                )
                            });
                            self.pour(image, &path);
                        }
                        true => self.open(directed, ecu, &path),
                    }
                }
                let image = make(|out, error| {
                    countersign_directed_open_download(directed, self.now, out, error)
                });
                self.pour(image, &path);
                countersign_directed_free(directed);
            }
            countersign_update_free(update);
        }
    }

    /// Where the archive has what is served for an image.
    unsafe fn served_at(&self, directed: *const countersign_directed) -> Vec<u8> {
        let mut origin = countersign_origin {
            kind: countersign_origin_kind::COUNTERSIGN_ORIGIN_NONE,
            text: null(),
        };
        unsafe {
            let name = countersign_directed_content_name(directed);
            if !self.target.is_empty() && !name.is_null() {
                return [b"images/", CStr::from_ptr(name).to_bytes()].concat();
            }
            if !call(|error| countersign_directed_origin(directed, &mut origin, error)) {
                return Vec::new();
            }
            let text = CStr::from_ptr(origin.text).to_bytes();
            match origin.kind {
                countersign_origin_kind::COUNTERSIGN_ORIGIN_IMAGE => {
                    [b"image/targets/", text].concat()
                }
                countersign_origin_kind::COUNTERSIGN_ORIGIN_DIRECTOR => {
                    [b"director/targets/", text].concat()
                }
                _ => text.to_vec(),
            }
        }
    }

    /// Decrypts an image with the key of the archive. What comes out is the image, or it was refused.
    unsafe fn open(
        &mut self,
        directed: *const countersign_directed,
        ecu: &countersign_ecu_id,
        path: &[u8],
    ) {
        let Ok(public_key) = CString::new(self.file(b"key")) else {
            return;
        };
        let mut opening = Opening {
            shared: self.file(b"shared"),
            plain: Vec::new(),
            room: match self.habits & 8 {
                0 => usize::MAX,
                _ => 1000,
            },
        };
        let user: *mut c_void = std::ptr::from_mut(&mut opening).cast();
        let decryption = countersign_decryption {
            user,
            public_key: public_key.as_ptr(),
            agree: Some(agree),
        };
        let sink = countersign_sink {
            user,
            write: Some(collect),
        };
        unsafe {
            let image = make(|out, error| {
                countersign_directed_open_encrypted(
                    directed,
                    ecu,
                    null(),
                    self.now,
                    &decryption,
                    &sink,
                    out,
                    error,
                )
            });
            if self.pour(image, path) {
                assert_eq!(
                    opening.plain.len() as u64,
                    countersign_directed_length(directed)
                );
            }
        }
    }

    /// Passes the file at `path` in; whether it is the image.
    pub(super) unsafe fn pour(
        &mut self,
        image: Option<*mut countersign_image>,
        path: &[u8],
    ) -> bool {
        let Some(image) = image else { return false };
        let bytes = self.file(path);
        unsafe {
            for piece in bytes.chunks(self.piece()) {
                if !call(|error| {
                    countersign_image_update(image, piece.as_ptr(), piece.len(), error)
                }) {
                    break;
                }
            }
            let mut verified = null_mut();
            let whole = call(|error| countersign_image_finish(image, &mut verified, error));
            if !verified.is_null() {
                assert!(whole, "a proof of what was refused");
                call(|error| countersign_verified_check_fresh(verified, self.now, error));
                countersign_verified_free(verified);
            }
            // It was given up.
            countersign_image_free(image);
            whole
        }
    }

    /// How many bytes are passed in at a time.
    pub(super) fn piece(&self) -> usize {
        usize::from(self.habits >> 4) * 16 + 1
    }
}
