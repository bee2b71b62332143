//! Two slots of files and two links that say which is which.
//!
//! ```text
//! DIR/a/image  DIR/b/image   one image in each slot
//! DIR/active -> a            what runs: DIR/active/image
//! DIR/confirmed -> b         the last one known to work
//! DIR/lock                   one process at a time
//! ```
//!
//! Where the two links differ, the active image is on trial. A link is replaced by renaming
//! another one over it, so each step is one effect: there is no record that could contradict the
//! links after a power cut.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_metadata::{Hashes, TargetPath, UtcTime};
use countersign_verifier::{ImageStream, VerifiedImage};

use super::slot_files::{at, empty, keep, measure, read_through, replace_link};
use super::{Description, InstallError, Installer, Measured, Phase, TakesEffect};
use crate::store::Lock;
use crate::{crash, durable};

/// The image's name in its slot.
pub(super) const IMAGE: &str = "image";
const ACTIVE: &str = "active";
const CONFIRMED: &str = "confirmed";

/// Two slots in a directory, used by one process at a time.
#[derive(Debug)]
pub struct FileSlots {
    directory: PathBuf,
    /// What lies in the idle slot, once this process has seen all of it.
    staged: Option<Content>,
    _lock: Lock,
}

/// What makes two images the same.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    path: TargetPath,
    length: u64,
    hashes: Hashes,
}

impl Content {
    fn of(image: &VerifiedImage) -> Self {
        let target = image.target();
        Self {
            path: target.path().clone(),
            length: target.file().length,
            hashes: target.file().hashes.clone(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    A,
    B,
}

impl Slot {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

impl FileSlots {
    /// Opens the slots in `directory`, which are made if they are missing, and locks them until
    /// the value is dropped. Waits for another process for at most `patience`. What a killed run
    /// left unfinished is removed.
    ///
    /// # Errors
    /// [`InstallError::Lock`] if the other process does not finish in that time,
    /// [`InstallError::Damaged`] if something else stands in the place of a link.
    pub fn open(directory: &Path, patience: Duration) -> Result<Self, InstallError> {
        for slot in [Slot::A, Slot::B] {
            let path = directory.join(slot.name());
            durable::create_directory(&path)
                .map_err(InstallError::io("make the directory", &path))?;
        }
        let lock = Lock::take(&directory.join("lock"), directory, patience)?;
        let slots = Self {
            directory: directory.to_owned(),
            staged: None,
            _lock: lock,
        };
        for folder in [directory, &slots.slot(Slot::A), &slots.slot(Slot::B)] {
            durable::remove_unfinished(folder)
                .map_err(InstallError::io("remove what a killed run left", folder))?;
        }
        slots.phase()?;
        Ok(slots)
    }

    /// Where the active image is, whether there is one or not.
    pub fn active_image(&self) -> PathBuf {
        self.directory.join(ACTIVE).join(IMAGE)
    }

    fn slot(&self, slot: Slot) -> PathBuf {
        self.directory.join(slot.name())
    }

    /// Where a link points to; `None` if there is no such link.
    fn link(&self, name: &str) -> Result<Option<Slot>, InstallError> {
        let path = self.directory.join(name);
        match fs::read_link(&path) {
            Ok(to) if to == Path::new("a") => Ok(Some(Slot::A)),
            Ok(to) if to == Path::new("b") => Ok(Some(Slot::B)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() != io::ErrorKind::InvalidInput => {
                Err(InstallError::io("read the link", &path)(e))
            }
            _ => Err(InstallError::Damaged {
                path,
                why: "it is not a link to a or b",
            }),
        }
    }

    /// Points a link at `slot`, or removes it.
    fn point(&self, name: &str, slot: Option<Slot>) -> Result<(), InstallError> {
        let path = self.directory.join(name);
        replace_link(&self.directory, name, slot)
            .map_err(InstallError::io("replace the link", &path))
    }

    /// The slot that nothing runs from. While an image is on trial it holds the fallback.
    fn idle(&self) -> Result<Slot, InstallError> {
        Ok(match self.link(ACTIVE)? {
            Some(Slot::A) => Slot::B,
            Some(Slot::B) | None => Slot::A,
        })
    }

    /// The idle slot, if it may be overwritten.
    fn free_slot(&self) -> Result<PathBuf, InstallError> {
        match self.phase()? {
            Phase::OnTrial => Err(InstallError::OnTrial),
            Phase::Settled => Ok(self.slot(self.idle()?)),
        }
    }
}

impl Installer for FileSlots {
    fn describe(&self) -> Description {
        Description {
            name: "file-slots",
            takes_effect: TakesEffect::Immediately,
        }
    }

    fn precheck(&self, length: u64) -> Result<(), InstallError> {
        let slot = self.free_slot()?;
        let replaced = match durable::open_regular(&slot.join(IMAGE)) {
            Ok(Some((_, length))) => length,
            _ => 0,
        };
        let space =
            rustix::fs::statvfs(&slot).map_err(InstallError::io("ask for the space of", &slot))?;
        let free = (space.f_bavail.saturating_mul(space.f_frsize)).saturating_add(replaced);
        match length <= free {
            true => Ok(()),
            false => Err(InstallError::NoSpace {
                path: slot,
                needed: length,
                free,
            }),
        }
    }

    fn stage(
        &mut self,
        stream: ImageStream,
        bytes: &mut dyn Read,
    ) -> Result<VerifiedImage, InstallError> {
        let slot = self.free_slot()?;
        self.staged = None;
        let unfinished = slot.join(durable::UNFINISHED);
        // The former image goes first: an idle slot never holds an old image beside a new one.
        empty(&slot).map_err(InstallError::io("empty the slot", &slot))?;
        let kept = keep(&unfinished, stream, bytes).and_then(|image| {
            crash::point();
            fs::rename(&unfinished, slot.join(IMAGE))
                .and_then(|()| durable::sync_directory(&slot))
                .map_err(InstallError::io("finish the slot", &slot))?;
            crash::point();
            Ok(image)
        });
        match kept {
            Ok(image) => {
                self.staged = Some(Content::of(&image));
                Ok(image)
            }
            Err(error) => {
                // Best effort: its name says that it is nothing, and the next start removes it.
                let _ = fs::remove_file(&unfinished);
                Err(error)
            }
        }
    }

    fn recheck(&mut self, mut stream: ImageStream) -> Result<VerifiedImage, InstallError> {
        let slot = self.free_slot()?;
        self.staged = None;
        let path = slot.join(IMAGE);
        let opened = durable::open_regular(&path).map_err(InstallError::io("open", &path))?;
        let Some((mut file, _)) = opened else {
            return Err(InstallError::NotStaged {
                what: stream.target().path().to_string(),
            });
        };
        let checked = read_through(&mut file, |bytes| Ok(stream.update(bytes)?))
            .map_err(|error| at(&path, error))
            .and_then(|_| Ok(stream.finish()?));
        match checked {
            Ok(image) => {
                self.staged = Some(Content::of(&image));
                Ok(image)
            }
            Err(error) => {
                empty(&slot).map_err(InstallError::io("empty the slot", &slot))?;
                Err(error)
            }
        }
    }

    fn activate(&mut self, image: VerifiedImage, now: UtcTime) -> Result<(), InstallError> {
        image.check_fresh(now)?;
        // What was staged is activated once; a second time it would have to be staged again.
        if self.staged.take() != Some(Content::of(&image)) {
            return Err(InstallError::NotStaged {
                what: image.target().path().to_string(),
            });
        }
        self.free_slot()?;
        self.point(ACTIVE, Some(self.idle()?))
    }

    fn confirm(&mut self) -> Result<(), InstallError> {
        match self.phase()? {
            Phase::OnTrial => self.point(CONFIRMED, self.link(ACTIVE)?),
            Phase::Settled => Err(InstallError::NotOnTrial),
        }
    }

    fn rollback(&mut self) -> Result<(), InstallError> {
        match self.phase()? {
            Phase::OnTrial => self.point(ACTIVE, self.link(CONFIRMED)?),
            Phase::Settled => Err(InstallError::NotOnTrial),
        }
    }

    fn phase(&self) -> Result<Phase, InstallError> {
        match self.link(ACTIVE)? == self.link(CONFIRMED)? {
            true => Ok(Phase::Settled),
            false => Ok(Phase::OnTrial),
        }
    }

    fn installed(&self) -> Result<Option<Measured>, InstallError> {
        let Some(slot) = self.link(ACTIVE)? else {
            return Ok(None);
        };
        let path = self.slot(slot).join(IMAGE);
        let opened = durable::open_regular(&path).map_err(InstallError::io("open", &path))?;
        let Some((mut file, _)) = opened else {
            return Err(InstallError::Damaged {
                path,
                why: "the active slot is empty",
            });
        };
        measure(&mut file)
            .map(Some)
            .map_err(|error| at(&path, error))
    }
}

/// Lays out the slots as they leave the factory: the first image, which came here out of band,
/// confirmed. Nothing about it is verified.
///
/// # Errors
/// [`InstallError::Damaged`] if there is an image already.
pub fn provision_slots(directory: &Path, image: &mut dyn Read) -> Result<(), InstallError> {
    let slots = FileSlots::open(directory, Duration::ZERO)?;
    if slots.link(ACTIVE)?.is_some() {
        return Err(InstallError::Damaged {
            path: directory.join(ACTIVE),
            why: "there is an active image already",
        });
    }
    let slot = slots.slot(Slot::A);
    let path = slot.join(durable::UNFINISHED);
    let mut file = File::create_new(&path).map_err(InstallError::io("make", &path))?;
    read_through(image, |bytes| {
        file.write_all(bytes)
            .map_err(InstallError::io("write", &path))
    })?;
    file.sync_all()
        .and_then(|()| fs::rename(&path, slot.join(IMAGE)))
        .and_then(|()| durable::sync_directory(&slot))
        .map_err(InstallError::io("finish the slot", &slot))?;
    // The active link comes last, because it is what makes a second attempt refuse.
    slots.point(CONFIRMED, Some(Slot::A))?;
    slots.point(ACTIVE, Some(Slot::A))
}
