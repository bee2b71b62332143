//! The image gate: bytes on their way, and the proof that they were the image.

use std::ffi::{CString, c_char};
use std::ptr::{null, null_mut};
use std::sync::Mutex;

use countersign_verifier::uptane::DownloadStream;
use countersign_verifier::{ImageStream, Reject, VerifiedImage};

use crate::boundary::{c_text, countersign_status, guard, items, look, place, release, time};
use crate::error::countersign_error;
use crate::handles::{self, get, handles, lock, misuse, take};
use crate::target::{FileTexts, digest};
use crate::uptane::Sealed;

/// The bytes of one image on their way, bound to its length and hashes. You may stage what you
/// pass in, where nothing runs it, and do no more with it before countersign_image_finish says
/// that it is the image. One call at a time may use it.
pub struct countersign_image {
    _opaque: u8,
}

/// The proof that the bytes of an image were seen whole, and that its length and every listed
/// hash held. An installer should ask for one before it activates anything. It never changes, and
/// any number of threads may read it.
pub struct countersign_verified {
    _opaque: u8,
}

handles! {
    countersign_image = Mutex<Option<Stream>>, "an image";
    countersign_verified = VerifiedObject, "a verified image";
}

/// Bytes on their way to one of three gates.
pub(crate) enum Stream {
    /// To the image gate.
    Image(Box<ImageStream>),
    /// To the check of what is served: for a Primary, which passes it on.
    Download(Box<DownloadStream>),
    /// Encrypted, to the image gate.
    Sealed(Box<Sealed>),
}

/// A proof with its texts.
pub(crate) struct VerifiedObject {
    verified: VerifiedImage,
    path: CString,
    file: FileTexts,
    /// Where it lies, if this library has put it there.
    place: Option<CString>,
}

impl VerifiedObject {
    pub(crate) fn of(verified: VerifiedImage, place: Option<CString>) -> Self {
        Self {
            path: c_text(verified.target().path().as_str()),
            file: FileTexts::of(verified.target().file()),
            verified,
            place,
        }
    }
}

/// Takes the next bytes, as they are served: of an encrypted image the ciphertext, which
/// countersign_directed_open_encrypted decrypts into your sink.
///
/// Refuses with COUNTERSIGN_IMAGE_TOO_LONG as soon as they go beyond the signed length: stop reading.
/// After a refusal the stream refuses everything.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_image_update(
    image: *mut countersign_image,
    bytes: *const u8,
    len: usize,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let bytes = items(bytes, len, "bytes")?;
        let object = get(image)?;
        let mut stream = lock(&object, "image")?;
        match stream.as_mut() {
            Some(Stream::Image(stream)) => stream.update(bytes),
            Some(Stream::Download(stream)) => stream.update(bytes),
            Some(Stream::Sealed(stream)) => stream.update(bytes),
            None => Err(misuse("the image was finished".into())),
        }
    })
}

/// Ends the image, and gives the handle up, whatever comes of it.
///
/// `verified` gets the proof, which you free. It gets NULL after a success of
/// countersign_directed_open_download: that what is served was seen whole makes no image of it.
///
/// Refuses with COUNTERSIGN_IMAGE_HASH when it is too short or a listed hash differs; what was staged
/// must then not be used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_image_finish(
    image: *mut countersign_image,
    verified: *mut *mut countersign_verified,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        let object = take(image);
        let (out, object) = (place(verified, "verified")?, object?);
        let stream = lock(&object, "image")?.take();
        let proof = stream.ok_or_else(|| misuse("the image was finished".into()))?;
        out.put(match finish(proof)? {
            Some(verified) => handles::put(VerifiedObject::of(verified, None)),
            None => null_mut(),
        });
        Ok(())
    })
}

fn finish(stream: Stream) -> Result<Option<VerifiedImage>, Reject> {
    match stream {
        Stream::Image(stream) => stream.finish().map(Some),
        Stream::Download(stream) => stream.finish().map(|_| None),
        Stream::Sealed(stream) => stream.finish().map(Some),
    }
}

/// Gives an image up before its end. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_image_free(image: *mut countersign_image) {
    release(image);
}

/// The target path. It lives as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_verified_path(
    verified: *const countersign_verified,
) -> *const c_char {
    look(null(), || Ok(get(verified)?.path.as_ptr()))
}

/// Where this library has put the image, as a path of this system; NULL if the bytes went through
/// your hands. It lives as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_verified_file(
    verified: *const countersign_verified,
) -> *const c_char {
    look(null(), || {
        Ok(crate::target::optional(&get(verified)?.place))
    })
}

/// Its length in bytes. 0 for what is no handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_verified_length(verified: *const countersign_verified) -> u64 {
    look(0, || Ok(get(verified)?.file.length))
}

/// The 32 bytes of its SHA-256; NULL if none is listed. They live as long as the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_verified_sha256(
    verified: *const countersign_verified,
) -> *const u8 {
    look(null(), || Ok(digest(&get(verified)?.file.hashes.sha256)))
}

/// Whether the metadata that names the image is still fresh at `now`, in seconds since
/// 1970-01-01T00:00:00Z. Ask before you activate what was staged some time ago.
///
/// Refuses with COUNTERSIGN_EXPIRED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_verified_check_fresh(
    verified: *const countersign_verified,
    now: i64,
    error: *mut *mut countersign_error,
) -> countersign_status {
    guard(error, || {
        get(verified)?.verified.check_fresh(time(now, "now")?)
    })
}

/// Gives a proof up. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn countersign_verified_free(verified: *mut countersign_verified) {
    release(verified);
}
