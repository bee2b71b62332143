//! What survives a power cut: named records, and a slot for the next image.

use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;

use countersign_verifier::{Code, Reject};
use semihosting::fs::{self, File};
use semihosting::io::{Read as _, Write as _};

/// The longest record that is read in one piece, in bytes: a Root and what it was accepted under.
const LONGEST: usize = (8 << 10) + 8;

/// Here a folder of the host's; on a device, the driver of its flash.
pub(crate) struct Flash;

/// Bytes that are written as they come, and mean nothing yet.
pub(crate) struct Aside(File);

impl Flash {
    /// A record, if there is one, and its length in bytes.
    pub(crate) fn open(&mut self, name: &str) -> Result<Option<(File, usize)>, Reject> {
        let Ok(file) = File::open(path(name)?) else {
            return Ok(None);
        };
        let length = file.metadata().map_err(|_| failed())?.len();
        let length = usize::try_from(length).map_err(|_| failed())?;
        Ok(Some((file, length)))
    }

    /// A record in one piece, if there is one.
    pub(crate) fn load(&mut self, name: &str) -> Result<Option<Vec<u8>>, Reject> {
        let Some((mut file, length)) = self.open(name)? else {
            return Ok(None);
        };
        let mut record = alloc::vec![0; length.min(LONGEST)];
        file.read_exact(&mut record).map_err(|_| failed())?;
        Ok(Some(record))
    }

    /// Replaces a record: afterwards there is the old one or the new one, whenever the power fails.
    pub(crate) fn save(&mut self, name: &str, parts: &[&[u8]]) -> Result<(), Reject> {
        let mut aside = self.aside()?;
        parts.iter().try_for_each(|part| aside.write(part))?;
        self.keep(aside, name)
    }

    /// A place for a record that comes bit by bit.
    pub(crate) fn aside(&mut self) -> Result<Aside, Reject> {
        let file = File::create(c"flash/aside").map_err(|_| failed())?;
        Ok(Aside(file))
    }

    /// What was written aside is the record of this name from now on.
    pub(crate) fn keep(&mut self, aside: Aside, name: &str) -> Result<(), Reject> {
        drop(aside);
        fs::rename(c"flash/aside", path(name)?).map_err(|_| failed())
    }

    /// Gives a record another name, if there is one.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<(), Reject> {
        match self.open(from)? {
            Some(_) => fs::rename(path(from)?, path(to)?).map_err(|_| failed()),
            None => Ok(()),
        }
    }

    /// The slot that does not run, to be written from its start.
    pub(crate) fn slot(&mut self) -> Result<Aside, Reject> {
        let file = File::create(c"flash/slot").map_err(|_| failed())?;
        Ok(Aside(file))
    }

    /// Where the firmware panicked.
    pub(crate) fn note_panic(&mut self, file: &str, line: u32) {
        if let Ok(mut note) = File::create(c"flash/panic") {
            // There is nobody left to be told if that fails.
            let _ = note.write_all(file.as_bytes());
            let _ = note.write_all(&line.to_le_bytes());
        }
    }
}

impl Aside {
    /// The next bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        self.0.write_all(bytes).map_err(|_| failed())
    }
}

fn path(name: &str) -> Result<CString, Reject> {
    CString::new(format!("flash/{name}")).map_err(|_| failed())
}

/// A device that cannot read or write its flash gives the update up and keeps what it has.
pub(crate) fn failed() -> Reject {
    Reject::new(Code::StoreFailed, "", "the flash")
}
