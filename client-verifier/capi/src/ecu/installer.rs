//! A way of installing behind callbacks.

use std::ffi::{CString, c_char, c_void};
use std::io::{self, Read};

use countersign_client::install::{
    Description, InstallError, Installer, Measured, Phase, TakesEffect, measure,
};
use countersign_metadata::UtcTime;
use countersign_verifier::{Code, ImageStream, Reject, VerifiedImage};

use crate::boundary::c_text;
use crate::handles::{self, free, misuse};
use crate::image::{VerifiedObject, countersign_verified};

/// A way of installing images. Every effect is durable when a function returns; each returns 0 if it went
/// well, and COUNTERSIGN_INSTALL_FAILED or another status if it did not. They are called on the thread of
/// whichever call needs them, one at a time, and must not throw.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct countersign_installer {
    /// Handed to the functions.
    pub user: *mut c_void,
    /// Whether an activated image runs only when the ECU starts again.
    pub needs_restart: bool,
    /// Whether an image of `length` bytes could be staged now: COUNTERSIGN_PRECONDITION_FAILED if there is
    /// no room, or while the image that would be overwritten may still be needed.
    pub precheck: Option<unsafe extern "C-unwind" fn(user: *mut c_void, length: u64) -> i32>,
    /// Begins to stage an image, in the place of what was staged before. The active one is not touched.
    pub begin: Option<
        unsafe extern "C-unwind" fn(user: *mut c_void, path: *const c_char, length: u64) -> i32,
    >,
    /// Takes the next bytes. They are not proven yet.
    pub write:
        Option<unsafe extern "C-unwind" fn(user: *mut c_void, bytes: *const u8, len: usize) -> i32>,
    /// What was written is the image, and stays, staged; or, where `is_whole` is false, it is not, and is
    /// thrown away.
    pub end: Option<unsafe extern "C-unwind" fn(user: *mut c_void, is_whole: bool) -> i32>,
    /// Reads up to `len` bytes of the staged image from `offset` on, to check it again after a restart;
    /// returns their number, 0 at the end or if nothing is staged, less than 0 for a failure.
    pub read_staged: Option<
        unsafe extern "C-unwind" fn(
            user: *mut c_void,
            offset: u64,
            buffer: *mut u8,
            len: usize,
        ) -> isize,
    >,
    /// Switches to the staged image, on trial; the former one is kept. `verified` is the proof that it is
    /// the right one, and lives as long as the call.
    pub activate: Option<
        unsafe extern "C-unwind" fn(
            user: *mut c_void,
            verified: *const countersign_verified,
        ) -> i32,
    >,
    /// Ends the trial for good: the new image works.
    pub confirm: Option<unsafe extern "C-unwind" fn(user: *mut c_void) -> i32>,
    /// Ends the trial by going back to the former image.
    pub rollback: Option<unsafe extern "C-unwind" fn(user: *mut c_void) -> i32>,
    /// 1 while an image is on trial, 0 while none is, less than 0 if that cannot be told.
    pub is_on_trial: Option<unsafe extern "C-unwind" fn(user: *mut c_void) -> i32>,
    /// As `read_staged`, of the active image; 0 at `offset` 0 if there is none.
    pub read_active: Option<
        unsafe extern "C-unwind" fn(
            user: *mut c_void,
            offset: u64,
            buffer: *mut u8,
            len: usize,
        ) -> isize,
    >,
}

type ReadAt = unsafe extern "C-unwind" fn(*mut c_void, u64, *mut u8, usize) -> isize;
type Simple = unsafe extern "C-unwind" fn(*mut c_void) -> i32;

/// The callbacks, none of which is missing.
struct Functions {
    precheck: unsafe extern "C-unwind" fn(*mut c_void, u64) -> i32,
    begin: unsafe extern "C-unwind" fn(*mut c_void, *const c_char, u64) -> i32,
    write: unsafe extern "C-unwind" fn(*mut c_void, *const u8, usize) -> i32,
    end: unsafe extern "C-unwind" fn(*mut c_void, bool) -> i32,
    read_staged: ReadAt,
    activate: unsafe extern "C-unwind" fn(*mut c_void, *const countersign_verified) -> i32,
    confirm: Simple,
    rollback: Simple,
    is_on_trial: Simple,
    read_active: ReadAt,
}

/// An installer behind callbacks.
pub(super) struct OwnInstaller {
    user: *mut c_void,
    takes_effect: TakesEffect,
    functions: Functions,
    /// What this run has staged and verified: nothing else is activated.
    staged: Option<String>,
}

// SAFETY: the header says that callbacks are called on the thread of whichever call needs them, one at a
// time.
unsafe impl Send for OwnInstaller {}

impl OwnInstaller {
    pub(super) fn of(given: &countersign_installer) -> Result<Self, Reject> {
        let functions = || {
            Some(Functions {
                precheck: given.precheck?,
                begin: given.begin?,
                write: given.write?,
                end: given.end?,
                read_staged: given.read_staged?,
                activate: given.activate?,
                confirm: given.confirm?,
                rollback: given.rollback?,
                is_on_trial: given.is_on_trial?,
                read_active: given.read_active?,
            })
        };
        let absent = || misuse("a function of the installer is NULL".into());
        Ok(Self {
            user: given.user,
            takes_effect: match given.needs_restart {
                true => TakesEffect::AfterRestart,
                false => TakesEffect::Immediately,
            },
            functions: functions().ok_or_else(absent)?,
            staged: None,
        })
    }

    fn pass(&self, stream: &mut ImageStream, bytes: &mut dyn Read) -> Result<(), InstallError> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = match bytes.read(&mut buffer) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(InstallError::Source(error)),
            };
            if n == 0 {
                return Ok(());
            }
            stream.update(&buffer[..n])?;
            // SAFETY: C has given this function for this purpose.
            done("write", unsafe {
                (self.functions.write)(self.user, buffer.as_ptr(), n)
            })?;
        }
    }

    fn reader(&self, read: ReadAt) -> At {
        At {
            user: self.user,
            read,
            offset: 0,
        }
    }
}

/// What is activated is what was staged: the same content under the same name.
fn content(image: &VerifiedImage) -> String {
    let target = image.target();
    format!(
        "{} {:?} {}",
        target.file().length,
        target.file().hashes,
        target.path()
    )
}

fn done(what: &str, status: i32) -> Result<(), InstallError> {
    if status == 0 {
        return Ok(());
    }
    let code = match status == i32::from(Code::PreconditionFailed.number()) {
        true => Code::PreconditionFailed,
        false => Code::InstallFailed,
    };
    let detail = format!("the installer's {what} returned {status}");
    Err(Reject::new(code, "", detail).into())
}

impl Installer for OwnInstaller {
    fn describe(&self) -> Description {
        Description::new("callbacks", self.takes_effect)
    }

    fn precheck(&self, length: u64) -> Result<(), InstallError> {
        // SAFETY: C has given this function for this purpose; so for all below.
        done("precheck", unsafe {
            (self.functions.precheck)(self.user, length)
        })
    }

    fn stage(
        &mut self,
        mut stream: ImageStream,
        bytes: &mut dyn Read,
    ) -> Result<VerifiedImage, InstallError> {
        self.staged = None;
        let path: CString = c_text(stream.target().path().as_str());
        let length = stream.target().file().length;
        // SAFETY: as above.
        done("begin", unsafe {
            (self.functions.begin)(self.user, path.as_ptr(), length)
        })?;
        let passed = self.pass(&mut stream, bytes);
        let image = passed.and_then(|()| Ok(stream.finish()?));
        // SAFETY: as above.
        let ended = done("end", unsafe {
            (self.functions.end)(self.user, image.is_ok())
        });
        let image = image?;
        ended?;
        self.staged = Some(content(&image));
        Ok(image)
    }

    fn recheck(&mut self, mut stream: ImageStream) -> Result<VerifiedImage, InstallError> {
        self.staged = None;
        let mut staged = self.reader(self.functions.read_staged);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match staged.read(&mut buffer).map_err(InstallError::Source)? {
                0 => break,
                n => stream.update(&buffer[..n])?,
            }
        }
        let image = stream.finish()?;
        self.staged = Some(content(&image));
        Ok(image)
    }

    fn activate(&mut self, image: VerifiedImage, now: UtcTime) -> Result<(), InstallError> {
        image.check_fresh(now)?;
        if self.staged.take() != Some(content(&image)) {
            return Err(InstallError::NotStaged {
                what: image.target().path().to_string(),
            });
        }
        let proof: *mut countersign_verified = handles::put(VerifiedObject::of(image, None));
        // SAFETY: as above.
        let status = unsafe { (self.functions.activate)(self.user, proof) };
        free(proof);
        done("activate", status)
    }

    fn confirm(&mut self) -> Result<(), InstallError> {
        match self.phase()? {
            // SAFETY: as above.
            Phase::OnTrial => done("confirm", unsafe { (self.functions.confirm)(self.user) }),
            Phase::Settled => Err(InstallError::NotOnTrial),
        }
    }

    fn rollback(&mut self) -> Result<(), InstallError> {
        match self.phase()? {
            // SAFETY: as above.
            Phase::OnTrial => done("rollback", unsafe { (self.functions.rollback)(self.user) }),
            Phase::Settled => Err(InstallError::NotOnTrial),
        }
    }

    fn phase(&self) -> Result<Phase, InstallError> {
        // SAFETY: as above.
        match unsafe { (self.functions.is_on_trial)(self.user) } {
            0 => Ok(Phase::Settled),
            1 => Ok(Phase::OnTrial),
            status => done("is_on_trial", status).map(|()| Phase::Settled),
        }
    }

    fn installed(&self) -> Result<Option<Measured>, InstallError> {
        let measured = measure(&mut self.reader(self.functions.read_active))?;
        Ok((measured.length > 0).then_some(measured))
    }
}

/// An image that is read by offset.
struct At {
    user: *mut c_void,
    read: ReadAt,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: C has given this function for this purpose; the buffer has its length.
        let n = unsafe { (self.read)(self.user, self.offset, buffer.as_mut_ptr(), buffer.len()) };
        match usize::try_from(n) {
            Ok(n) if n <= buffer.len() => {
                self.offset += n as u64;
                Ok(n)
            }
            _ => Err(io::Error::other("the installer could not read the image")),
        }
    }
}
