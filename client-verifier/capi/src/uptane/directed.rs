//! One image for one ECU, and the gates that its bytes go through (5.4.3.4).

use std::ffi::{CString, c_char, c_void};
use std::ptr::null;
use std::sync::Mutex;

use countersign_client::uptane::Sealed as Opening;
use countersign_encryption::{Decapsulate, DeviceError};
use countersign_metadata::json;
use countersign_metadata::uptane::EncryptionKey;
use countersign_verifier::uptane::{Directed, Ecu, Installed, Origin};
use countersign_verifier::{Code, ImageStream, Reject, VerifiedImage};
use zeroize::Zeroizing;

use super::ids::{countersign_ecu_id, countersign_installed, ecu, installed, parsed};
use crate::boundary::{
    c_text, countersign_status, given, guard, look, place, release, time, value_place,
};
use crate::context::unix;
use crate::error::countersign_error;
use crate::handles::{self, get, handles, misuse};
use crate::image::{Stream, countersign_image};
use crate::target::{FileTexts, digest};

/// One image that the Director wants on one ECU and that everybody who was asked has signed for.
/// It never changes, and any number of threads may read it.
pub struct countersign_directed {
    _opaque: u8,
}

handles! {
    countersign_directed = DirectedObject, "a directed image";
}

pub(crate) struct DirectedObject {
    directed: Directed,
    file: FileTexts,
    serial: CString,
    hardware_id: CString,
    path: CString,
    content_name: Option<CString>,
    origin: Option<(countersign_origin_kind, CString)>,
}

impl DirectedObject {
    pub(crate) fn of(directed: Directed) -> Self {
        let origin = directed.origin().ok().map(|origin| match origin {
            Origin::Image(path) => (countersign_origin_kind::COUNTERSIGN_ORIGIN_IMAGE, path),
            Origin::Director(path) => (countersign_origin_kind::COUNTERSIGN_ORIGIN_DIRECTOR, path),
            Origin::Uri(uri) => (countersign_origin_kind::COUNTERSIGN_ORIGIN_URI, uri),
        });
        Self {
            file: FileTexts::of(directed.file()),
            serial: c_text(directed.ecu().serial.as_str()),
            hardware_id: c_text(directed.ecu().hardware_id.as_str()),
            path: c_text(directed.path().as_str()),
            content_name: directed.content_name().ok().map(|name| c_text(&name)),
            origin: origin.map(|(kind, text)| (kind, c_text(&text))),
            directed,
        }
    }
}

/// Where the bytes of an image are served.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum countersign_origin_kind {
    /// Nowhere: the call failed.
    COUNTERSIGN_ORIGIN_NONE = 0,
    /// Below the targets URL of the Image repository.
    COUNTERSIGN_ORIGIN_IMAGE = 1,
    /// Below the Director's targets URL: the encrypted image.
    COUNTERSIGN_ORIGIN_DIRECTOR = 2,
    /// At an address of its own.
    COUNTERSIGN_ORIGIN_URI = 3,
}

/// Where the bytes of an image are served.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct countersign_origin {
    /// Below what.
    pub kind: countersign_origin_kind,
    /// The rest of the URL, or the whole of it. It lives as long as the image's handle.
    pub text: *const c_char,
}

/// Takes the bytes of an image on their way to be staged. They are bound to no image before the proof
/// is there: keep them where nothing runs them.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct countersign_sink {
    /// Handed to `write`.
    pub user: *mut c_void,
    /// Takes the next bytes; 0 if that went well. Anything else ends the image with
    /// COUNTERSIGN_INSTALL_FAILED. NULL is refused.
    pub write:
        Option<unsafe extern "C-unwind" fn(user: *mut c_void, bytes: *const u8, len: usize) -> i32>,
}

/// A sink that has what it needs: a proof for bytes that nobody took would say too much.
pub(crate) struct Sink {
    user: *mut c_void,
    write: unsafe extern "C-unwind" fn(*mut c_void, *const u8, usize) -> i32,
}

impl Sink {
    pub(crate) fn of(sink: *const countersign_sink) -> Result<Self, Reject> {
        let countersign_sink { user, write } = *given(sink, "sink")?;
        let write = write.ok_or_else(|| misuse("sink->write is NULL".into()))?;
        Ok(Self { user, write })
    }

    /// Passes bytes on.
    pub(crate) fn take(&self, bytes: &[u8]) -> Result<(), Reject> {
        // SAFETY: C has given this function for this purpose.
        match unsafe { (self.write)(self.user, bytes.as_ptr(), bytes.len()) } {
            0 => Ok(()),
            status => {
                let detail = format!("the sink returned {status}");
                Err(Reject::new(Code::InstallFailed, "", detail))
            }
        }
    }
}

/// The key that content keys are wrapped to, wherever it lives. It is used on the thread of the call
/// that it is given to.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct countersign_decryption {
    /// Handed to `agree`.
    pub user: *mut c_void,
    /// The public key as JSON, as the Director has it (docs/pouf.md).
    pub public_key: *const c_char,
    /// The raw Diffie-Hellman result of the private key with `peer`: 65 bytes of an uncompressed
    /// point on P-256, or 32 bytes for X25519. Writes 32 bytes to `shared`: the x-coordinate, or
    /// X25519's output. 0 if that went well; otherwise the image is refused with
    /// COUNTERSIGN_PRECONDITION_FAILED.
    pub agree: Option<
        unsafe extern "C-unwind" fn(
            user: *mut c_void,
            peer: *const u8,
            peer_len: usize,
            shared: *mut u8,
        ) -> i32,
    >,
}

/// A decryption key behind callbacks.
pub(crate) struct DecryptionKey {
    public: EncryptionKey,
    user: *mut c_void,
    agree: unsafe extern "C-unwind" fn(*mut c_void, *const u8, usize, *mut u8) -> i32,
}

// SAFETY: the header says that the callback is called on the thread of the call it is given to, or,
// for an ECU, on that of whichever call uses the ECU: one at a time.
unsafe impl Send for DecryptionKey {}

impl DecryptionKey {
    pub(crate) fn of(key: &countersign_decryption) -> Result<Self, Reject> {
        let public = parsed(key.public_key, "decryption->public_key", |text| {
            EncryptionKey::of(&json::parse(text.as_bytes())?)
        });
        let agree = key.agree;
        Ok(Self {
            public: public?,
            user: key.user,
            agree: agree.ok_or_else(|| misuse("decryption->agree is NULL".into()))?,
        })
    }
}

impl Decapsulate for DecryptionKey {
    fn public_key(&self) -> &EncryptionKey {
        &self.public
    }

    fn agree(&self, peer: &EncryptionKey) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        let mut shared = Zeroizing::new(vec![0; 32]);
        let peer = peer.public_bytes();
        // SAFETY: C has given this function for this purpose; `shared` has its 32 bytes.
        let status =
            unsafe { (self.agree)(self.user, peer.as_ptr(), peer.len(), shared.as_mut_ptr()) };
        match status {
            0 => Ok(shared),
            status => Err(format!("the callback returned {status}").into()),
        }
    }
}

/// An encrypted image: the ciphertext comes in, and the plaintext goes to the image gate and to the
/// sink.
pub(crate) struct Sealed {
    opening: Opening,
    gate: ImageStream,
    sink: Sink,
}

// SAFETY: as for `DecryptionKey`, with the sink, which is called on the thread that passes bytes in.
unsafe impl Send for Sealed {}

impl Sealed {
    pub(crate) fn update(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        let Self {
            opening,
            gate,
            sink,
        } = self;
        opening.update(bytes, &mut |plain| {
            gate.update(plain)?;
            sink.take(plain)
        })
    }

    pub(crate) fn finish(self) -> Result<VerifiedImage, Reject> {
        self.opening.finish()?;
        self.gate.finish()
    }
}

/// The serial of the ECU that it is for. It lives as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_ecu_serial(
    directed: *const countersign_directed,
) -> *const c_char {
    look(null(), || Ok(get(directed)?.serial.as_ptr()))
}

/// The hardware that it is for. It lives as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_hardware_id(
    directed: *const countersign_directed,
) -> *const c_char {
    look(null(), || Ok(get(directed)?.hardware_id.as_ptr()))
}

/// The image's filename. It lives as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_path(
    directed: *const countersign_directed,
) -> *const c_char {
    look(null(), || Ok(get(directed)?.path.as_ptr()))
}

/// Length of the plaintext in bytes. 0 for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_length(directed: *const countersign_directed) -> u64 {
    look(0, || Ok(get(directed)?.file.length))
}

/// The 32 bytes of the plaintext's SHA-256; NULL if none is listed. They live as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_sha256(
    directed: *const countersign_directed,
) -> *const u8 {
    look(null(), || Ok(digest(&get(directed)?.file.hashes.sha256)))
}

/// The 64 bytes of the plaintext's SHA-512; NULL if none is listed. They live as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_sha512(
    directed: *const countersign_directed,
) -> *const u8 {
    look(null(), || Ok(digest(&get(directed)?.file.hashes.sha512)))
}

/// Its release counter. 0 for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_release_counter(
    directed: *const countersign_directed,
) -> u64 {
    look(0, || Ok(get(directed)?.directed.release_counter()))
}

/// Whether what is served is encrypted for this ECU. False for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_is_encrypted(
    directed: *const countersign_directed,
) -> bool {
    look(false, || Ok(get(directed)?.directed.encryption().is_some()))
}

/// Length of what is served, in bytes: of the ciphertext where there is one. 0 for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_download_length(
    directed: *const countersign_directed,
) -> u64 {
    look(0, || Ok(get(directed)?.directed.download().0))
}

/// What is served, named by its content: "sha256-" or "sha512-" and hexadecimal digits. A Primary
/// keeps it under this name, and Secondaries ask for it so. NULL if no hash that is known here is
/// listed. It lives as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_content_name(
    directed: *const countersign_directed,
) -> *const c_char {
    look(null(), || {
        Ok(crate::target::optional(&get(directed)?.content_name))
    })
}

/// Where it is served. `origin` is filled in; its text lives as long as the handle.
///
/// Refuses with COUNTERSIGN_NO_KNOWN_HASH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_origin(
    directed: *const countersign_directed,
    origin: *mut countersign_origin,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let nowhere = countersign_origin {
            kind: countersign_origin_kind::COUNTERSIGN_ORIGIN_NONE,
            text: null(),
        };
        let out = value_place(origin, "origin", nowhere)?;
        let directed = get(directed)?;
        match &directed.origin {
            Some((kind, text)) => {
                out.put(countersign_origin {
                    kind: *kind,
                    text: text.as_ptr(),
                });
                Ok(())
            }
            None => directed.directed.origin().map(drop),
        }
    })
}

/// When the first of the files that lead to it expires, in either repository, in seconds since
/// 1970-01-01T00:00:00Z. INT64_MIN for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_valid_until(
    directed: *const countersign_directed,
) -> i64 {
    look(i64::MIN, || Ok(unix(get(directed)?.directed.valid_until())))
}

/// Starts checking what is served, at `now`: a Primary does so for all its ECUs (5.4.2.4). `image`
/// gets a new handle, which you free or finish; it yields no countersign_verified.
///
/// Refuses with COUNTERSIGN_EXPIRED and COUNTERSIGN_NO_KNOWN_HASH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_open_download(
    directed: *const countersign_directed,
    now: i64,
    image: *mut *mut countersign_image,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(image, "image")?;
        let stream = get(directed)?.directed.open_download(time(now, "now")?)?;
        out.put(handles::put(Mutex::new(Some(Stream::Download(Box::new(
            stream,
        ))))));
        Ok(())
    })
}

/// The image gate (5.4.3.4): on `ecu`, where `last_installed` (or NULL) is the last image of its
/// hardware, at `now`. The stream takes the plaintext. `image` gets a new handle, which you free or
/// finish.
///
/// Refuses with COUNTERSIGN_ECU_UNKNOWN, COUNTERSIGN_HARDWARE_MISMATCH,
/// COUNTERSIGN_RELEASE_COUNTER_ROLLBACK, COUNTERSIGN_SAME_VERSION_DIFFERENT_CONTENT,
/// COUNTERSIGN_EXPIRED and COUNTERSIGN_NO_KNOWN_HASH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_open_image(
    directed: *const countersign_directed,
    ecu: *const countersign_ecu_id,
    last_installed: *const countersign_installed,
    now: i64,
    image: *mut *mut countersign_image,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(image, "image")?;
        let stream = gate(&get(directed)?.directed, ecu, last_installed, now)?;
        out.put(handles::put(Mutex::new(Some(Stream::Image(Box::new(
            stream,
        ))))));
        Ok(())
    })
}

/// As countersign_directed_open_image, for an image that is encrypted: the stream takes the
/// ciphertext, and `sink` gets the plaintext. `sink` and `decryption` are copied; what their `user`
/// points to has to live as long as the image's handle.
///
/// Refuses with COUNTERSIGN_KEY_UNWRAP_FAILED, COUNTERSIGN_UNKNOWN_ENCRYPTION and
/// COUNTERSIGN_DECRYPT_FAILED besides.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_open_encrypted(
    directed: *const countersign_directed,
    ecu: *const countersign_ecu_id,
    last_installed: *const countersign_installed,
    now: i64,
    decryption: *const countersign_decryption,
    sink: *const countersign_sink,
    image: *mut *mut countersign_image,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let out = place(image, "image")?;
        let directed = get(directed)?;
        let gate = gate(&directed.directed, ecu, last_installed, now)?;
        let key = DecryptionKey::of(given(decryption, "decryption")?)?;
        let sealed = Sealed {
            opening: Opening::open(&directed.directed, &key, time(now, "now")?)?,
            gate,
            sink: Sink::of(sink)?,
        };
        out.put(handles::put(Mutex::new(Some(Stream::Sealed(Box::new(
            sealed,
        ))))));
        Ok(())
    })
}

fn gate(
    directed: &Directed,
    own: *const countersign_ecu_id,
    last: *const countersign_installed,
    now: i64,
) -> Result<ImageStream, Reject> {
    let own: Ecu = ecu(given(own, "ecu")?)?;
    let last: Option<Installed> = match last.is_null() {
        true => None,
        false => Some(installed(given(last, "last_installed")?)?.1),
    };
    directed.open_image(&own, last.as_ref(), time(now, "now")?)
}

/// Gives an image up. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_directed_free(directed: *mut countersign_directed) {
    release(directed);
}
