//! The way to the Primary: files come in chunks, as the frames of a bus bring them.

use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;

use countersign_verifier::{Code, Reject};
use semihosting::fs::File;
use semihosting::io::{Read as _, Write as _};

/// Here a folder of the host's; on a device, the driver of its bus.
pub(crate) struct Bus;

/// A file on its way.
pub(crate) struct Incoming(File);

/// What one frame carries, in bytes.
pub(crate) const CHUNK: usize = 64;

impl Bus {
    /// Asks for a file; `None` if the Primary says that there is no such file.
    pub(crate) fn ask(&mut self, name: &str) -> Option<Incoming> {
        let path = CString::new(format!("bus/{name}")).ok()?;
        File::open(path).ok().map(Incoming)
    }

    /// Sends the Primary why there is no update.
    pub(crate) fn report(&mut self, reject: &Reject) {
        let send = |mut to: File| to.write_all(&reject.code.number().to_le_bytes());
        // A Primary that cannot be reached now is told with the next report.
        let _ = File::create(c"bus/report").map(send);
    }
}

impl Incoming {
    /// The next chunk; nothing at the end.
    pub(crate) fn next<'b>(&mut self, buffer: &'b mut [u8; CHUNK]) -> Result<&'b [u8], Reject> {
        let failed = |_| Reject::new(Code::FetchFailed, "", "the bus");
        let length = self.0.read(buffer).map_err(failed)?;
        Ok(buffer.get(..length).unwrap_or_default())
    }

    /// All of it; `None` if it has more than `max_len` bytes. The Primary says how long it is, so that memory is
    /// taken once; that is believed no further than `max_len`.
    pub(crate) fn whole(&mut self, max_len: u64) -> Result<Option<Vec<u8>>, Reject> {
        let failed = |_| Reject::new(Code::FetchFailed, "", "the bus");
        let stated = self.0.metadata().map_err(failed)?.len();
        let Some(length) = usize::try_from(stated).ok().filter(|_| stated <= max_len) else {
            return Ok(None);
        };
        let mut bytes = alloc::vec![0; length];
        self.0.read_exact(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
    }
}
