//! How the records look in flash: numbers are little-endian, and what is of variable length stands last.

use alloc::string::String;

use countersign_metadata::uptane::{EcuSerial, HardwareId, Vin};
use countersign_metadata::{Hashes, UtcTime};
use countersign_verifier::uptane::{Ecu, Installed, TimeFloor};
use countersign_verifier::{Code, Reject, Stored, VerifiedImage};

use semihosting::fs::File;
use semihosting::io::Read as _;

use crate::bus::CHUNK;
use crate::flash::{Flash, failed};

impl Flash {
    /// Who this is: the records `vin`, `serial` and `hardware` are written at manufacture.
    pub(crate) fn identity(&mut self) -> Result<(Vin, Ecu), Reject> {
        let vin = Vin::new(&self.text("vin")?).map_err(malformed)?;
        let serial = EcuSerial::new(&self.text("serial")?).map_err(malformed)?;
        let hardware_id = HardwareId::new(&self.text("hardware")?).map_err(malformed)?;
        let ecu = Ecu {
            serial,
            hardware_id,
        };
        Ok((vin, ecu))
    }

    /// A metadata file in one piece. Behind it stands the Root version that it was accepted under.
    pub(crate) fn stored(&mut self, name: &str) -> Result<Option<Stored>, Reject> {
        let Some(mut bytes) = self.load(name)? else {
            return Ok(None);
        };
        let accepted_under = bytes.last_chunk().copied().ok_or_else(broken)?;
        bytes.truncate(bytes.len().saturating_sub(8));
        Ok(Some(Stored {
            bytes,
            accepted_under: Some(u64::from_le_bytes(accepted_under)),
        }))
    }

    /// The same in chunks.
    pub(crate) fn open_stored(&mut self, name: &str) -> Result<Option<Kept>, Reject> {
        let kept = |(file, length): (File, usize)| Kept {
            file,
            left: length.saturating_sub(8),
        };
        Ok(self.open(name)?.map(kept))
    }

    /// What runs: release counter, length, SHA-256, path.
    pub(crate) fn installed(&mut self, ecu: &Ecu) -> Result<Option<Installed>, Reject> {
        let Some(record) = self.load("installed")? else {
            return Ok(None);
        };
        let part = |from: usize| first8(record.get(from..)?).map(u64::from_le_bytes);
        let read = || {
            Some(Installed {
                hardware_id: ecu.hardware_id.clone(),
                release_counter: part(0)?,
                length: part(8)?,
                hashes: Hashes {
                    sha256: Some(record.get(16..48)?.try_into().ok()?),
                    ..Hashes::default()
                },
                path: String::from_utf8(record.get(48..)?.to_vec()).ok()?,
            })
        };
        read().map(Some).ok_or_else(broken)
    }

    // [boot]
    /// Tells the boot loader to try what is in the free slot, and leaves what `confirm` will say of it. Takes
    /// the proof that the image was seen whole: nothing else gets this far.
    pub(crate) fn try_image(&mut self, image: &VerifiedImage) -> Result<(), Reject> {
        let directed = image.directed().ok_or_else(broken)?;
        let sha256 = directed.file().hashes.sha256.ok_or_else(broken)?;
        self.save(
            "boot",
            &[
                &directed.release_counter().to_le_bytes(),
                &directed.file().length.to_le_bytes(),
                &sha256,
                directed.path().as_str().as_bytes(),
            ],
        )
    }

    /// The image that runs has proved itself: in one step it is no longer tried but installed, and release
    /// counters are compared with its own. A boot loader that falls back removes the record `boot`.
    pub(crate) fn confirm(&mut self) -> Result<(), Reject> {
        self.rename("boot", "installed")
    }
    // [end boot]

    /// The latest attested time: Unix seconds, and whose keys said so.
    pub(crate) fn time_floor(&mut self) -> Result<Option<TimeFloor>, Reject> {
        let Some(record) = self.load("time")? else {
            return Ok(None);
        };
        let read = || {
            Some(TimeFloor {
                time: UtcTime::from_unix(i64::from_le_bytes(first8(&record)?))?,
                keys: record.get(8..40)?.try_into().ok()?,
            })
        };
        read().map(Some).ok_or_else(broken)
    }

    /// Keeps it.
    pub(crate) fn set_time_floor(&mut self, floor: &TimeFloor) -> Result<(), Reject> {
        let time = floor.time.unix().to_le_bytes();
        self.save("time", &[&time, &floor.keys])
    }

    fn text(&mut self, name: &str) -> Result<String, Reject> {
        let record = self.load(name)?.ok_or_else(broken)?;
        String::from_utf8(record).map_err(|_| broken())
    }
}

/// A metadata file on its way out of flash.
pub(crate) struct Kept {
    file: File,
    left: usize,
}

impl Kept {
    /// The next chunk; nothing at the end.
    pub(crate) fn next<'b>(&mut self, buffer: &'b mut [u8; CHUNK]) -> Result<&'b [u8], Reject> {
        let wanted = buffer.get_mut(..self.left.min(CHUNK)).unwrap_or_default();
        self.file.read_exact(wanted).map_err(|_| failed())?;
        self.left = self.left.saturating_sub(CHUNK);
        Ok(wanted)
    }

    /// What stands behind it.
    pub(crate) fn accepted_under(mut self) -> Result<u64, Reject> {
        let mut version = [0; 8];
        self.file.read_exact(&mut version).map_err(|_| failed())?;
        Ok(u64::from_le_bytes(version))
    }
}

fn first8(record: &[u8]) -> Option<[u8; 8]> {
    record.first_chunk().copied()
}

fn malformed(error: countersign_metadata::MetadataError) -> Reject {
    Reject::metadata("", error)
}

/// A record that is there and cannot be read is no reason to start from nothing.
fn broken() -> Reject {
    Reject::new(Code::StoreFailed, "", "a record cannot be read")
}
