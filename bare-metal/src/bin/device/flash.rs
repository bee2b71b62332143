//! What survives a power cut: named records, and two slots for images.

use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use countersign_verifier::{Code, Reject};
use semihosting::fs::{self, File};
use semihosting::io::{Read as _, Write as _};

/// The longest record: a Targets file of 1 MiB and what it was accepted under.
const LONGEST: u64 = (1 << 20) + 8;

/// Here a folder of the host's; on a device, the driver of its flash.
pub(crate) struct Flash;

impl Flash {
    /// A record, if there is one.
    pub(crate) fn load(&mut self, name: &str) -> Result<Option<Vec<u8>>, Reject> {
        let Ok(mut file) = File::open(path(name)?) else {
            return Ok(None);
        };
        let length = file.metadata().map_err(|_| failed(name))?.len();
        let length = usize::try_from(length.min(LONGEST)).map_err(|_| failed(name))?;
        let mut record = alloc::vec![0; length];
        file.read_exact(&mut record).map_err(|_| failed(name))?;
        Ok(Some(record))
    }

    /// Replaces a record: afterwards there is the old one or the new one, whenever the power fails.
    pub(crate) fn save(&mut self, name: &str, parts: &[&[u8]]) -> Result<(), Reject> {
        let new = path("new")?;
        let mut file = File::create(&new).map_err(|_| failed(name))?;
        for part in parts {
            file.write_all(part).map_err(|_| failed(name))?;
        }
        drop(file);
        fs::rename(&new, path(name)?).map_err(|_| failed(name))
    }

    /// The slot that is not running, to be written from its start.
    pub(crate) fn free_slot(&mut self) -> Result<File, Reject> {
        File::create(path("slot")?).map_err(|_| failed("slot"))
    }

    /// The next bytes of the slot.
    pub(crate) fn write(slot: &mut File, bytes: &[u8]) -> Result<(), Reject> {
        slot.write_all(bytes).map_err(|_| failed("slot"))
    }

    /// Renames a record, if there is one.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<(), Reject> {
        let (from, to) = (path(from)?, path(to)?);
        match File::open(&from) {
            Ok(_) => fs::rename(&from, &to).map_err(|_| failed("rename")),
            Err(_) => Ok(()),
        }
    }

    /// Where the firmware panicked.
    pub(crate) fn note_panic(&mut self, file: &str, line: u32) {
        let note = |mut at: File| {
            let _ = at.write_all(file.as_bytes());
            let _ = at.write_all(&line.to_le_bytes());
        };
        let _ = File::create(c"flash/panic").map(note);
    }
}

fn path(name: &str) -> Result<CString, Reject> {
    let path: String = format!("flash/{name}");
    CString::new(path).map_err(|_| failed(name))
}

/// A device that cannot read or write its flash gives the update up and keeps what it has.
fn failed(name: &str) -> Reject {
    Reject::new(Code::StoreFailed, "", name)
}
