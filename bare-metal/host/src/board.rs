//! An emulated board, and the line to the firmware on it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use countersign_bare_metal_messages::{
    FROM_BOARD, Question, TO_BOARD, frame_length, from_frame, to_frame,
};
use countersign_vectors::run::RunError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use serde::Serialize;
use tempfile::TempDir;

/// The emulator.
pub(crate) const QEMU: &str = "qemu-system-arm";

/// A Cortex-M4 with enough memory, and files of the host's as its only devices.
pub(crate) const MACHINE: &[&str] = &[
    "-machine",
    "mps2-an386",
    "-display",
    "none",
    "-monitor",
    "none",
    "-serial",
    "none",
    "-semihosting-config",
    "enable=on,target=native",
];

/// Longer than a thousand Roots take.
const PATIENCE: Duration = Duration::from_secs(240);

/// How often somebody looks whether the emulator still runs.
const GLANCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Running firmware. Ends with this value.
pub(crate) struct Board {
    qemu: Child,
    to: File,
    from: File,
    _folder: TempDir,
}

impl Board {
    /// Starts it.
    pub(crate) fn start(firmware: &Path) -> Result<Self, RunError> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: io::Error| RunError(format!("{what}: {error}"))
        };
        let firmware = fs::canonicalize(firmware).map_err(failed("the firmware"))?;
        let folder = TempDir::new().map_err(failed("a temporary folder"))?;
        let line = |name| {
            let path = folder.path().join(name);
            let mode = Mode::RUSR | Mode::WUSR;
            mknodat(CWD, &path, FileType::Fifo, mode, 0)?;
            let mut options = File::options();
            // Both ways, so that opening waits for nobody.
            options.read(true).write(true);
            options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
            options.open(path)
        };
        let to = line(TO_BOARD).map_err(failed(TO_BOARD))?;
        let from = line(FROM_BOARD).map_err(failed(FROM_BOARD))?;
        let qemu = Command::new(QEMU)
            .args(MACHINE)
            .arg("-kernel")
            .arg(firmware)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed(QEMU))?;
        Ok(Self {
            qemu,
            to,
            from,
            _folder: folder,
        })
    }

    /// Sends an order or an answer.
    pub(crate) fn send(&mut self, message: &impl Serialize) -> Result<(), RunError> {
        let too_long = || RunError("a message is too long for a frame".into());
        let frame = to_frame(message).ok_or_else(too_long)?;
        let mut rest = frame.as_slice();
        while !rest.is_empty() {
            self.wait(PollFlags::OUT)?;
            match self.to.write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) => again(error)?,
            }
        }
        Ok(())
    }

    /// What the firmware asks next.
    pub(crate) fn question(&mut self) -> Result<Question, RunError> {
        let mut prefix = [0; 4];
        self.read(&mut prefix)?;
        let garbled = || RunError("the firmware has sent no message".into());
        let mut body = vec![0; frame_length(prefix).ok_or_else(garbled)?];
        self.read(&mut body)?;
        from_frame(&body).ok_or_else(garbled)
    }

    fn read(&mut self, mut rest: &mut [u8]) -> Result<(), RunError> {
        while !rest.is_empty() {
            self.wait(PollFlags::IN)?;
            match self.from.read(rest) {
                Ok(read) => rest = rest.get_mut(read..).unwrap_or_default(),
                Err(error) => again(error)?,
            }
        }
        Ok(())
    }

    /// Waits until the line is ready, as long as the firmware runs.
    fn wait(&mut self, ready: PollFlags) -> Result<(), RunError> {
        let start = Instant::now();
        loop {
            let ended = self.qemu.try_wait();
            let ended = ended.map_err(|error| RunError(error.to_string()))?;
            let line = match ready {
                PollFlags::OUT => &self.to,
                _ => &self.from,
            };
            let mut line = [PollFd::from_borrowed_fd(line.as_fd(), ready)];
            let found = poll(&mut line, Some(&GLANCE));
            if found.map_err(|error| RunError(error.to_string()))? > 0 {
                return Ok(());
            }
            if let Some(status) = ended {
                return Err(RunError(format!("the firmware ended: {status}")));
            }
            if start.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                return Err(RunError(format!("nothing came for {seconds} s")));
            }
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// Whether to go on after a read or a write that came to nothing.
fn again(error: io::Error) -> Result<(), RunError> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(()),
        _ => Err(RunError(error.to_string())),
    }
}
