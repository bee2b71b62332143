//! Writing a large file: in large pieces, by a second thread, and past the page cache where the file system can.
//!
//! Whoever receives an image computes while the disk writes. What goes into the page cache costs more
//! processor time than the hash does, and pushes out what the rest of the system works with, for bytes that
//! nobody reads soon.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::crash;

/// Bytes of a piece, which also begin at multiples of that. There are at most three: one that is filled, one
/// that waits, and one that is written.
pub(crate) const PIECE: usize = 1 << 20;

/// What memory, offset and length of a write past the page cache are multiples of: the largest block of any
/// disk in use.
const ALIGN: usize = 4096;

/// Bytes that are asked for at once: what is hashed next is still in the processor's own cache.
const ROOM: usize = 256 << 10;

/// Bytes that come slowly are written after this time, so that a power cut costs no more than that.
const LINGER: Duration = Duration::from_secs(1);

/// Memory for one piece.
struct Piece {
    bytes: Vec<u8>,
    start: usize,
    filled: usize,
}

impl Piece {
    fn new() -> Self {
        let bytes = vec![0; PIECE + ALIGN];
        // Anywhere else it can be written too, through the page cache.
        let start = bytes.as_ptr().align_offset(ALIGN).min(ALIGN);
        Self {
            bytes,
            start,
            filled: 0,
        }
    }

    fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.filled]
    }

    fn room(&mut self, most: usize) -> &mut [u8] {
        let from = self.start + self.filled;
        &mut self.bytes[from..from + most]
    }
}

/// Writes a file whose bytes are all there, and makes it durable.
pub(crate) fn write_all(file: File, bytes: &[u8]) -> io::Result<()> {
    let file = Arc::new(file);
    let mut disk = Disk::new(file.clone());
    let mut piece = Piece::new();
    let mut at = 0;
    for part in bytes.chunks(PIECE) {
        piece.filled = part.len();
        let start = piece.start;
        piece.bytes[start..start + part.len()].copy_from_slice(part);
        disk.write(at, piece.filled())?;
        at += part.len() as u64;
        crash::point();
    }
    file.sync_all()
}

/// A file that is written from some offset on.
pub(crate) struct PieceWriter {
    file: Arc<File>,
    out: Out,
    piece: Piece,
    /// Where the piece begins in the file.
    at: u64,
    /// When its first bytes came.
    since: Instant,
}

impl PieceWriter {
    /// Goes on at the offset `at` of `file`.
    pub(crate) fn new(file: File, at: u64) -> Self {
        let file = Arc::new(file);
        Self {
            out: Out::Here(Disk::new(file.clone())),
            file,
            piece: Piece::new(),
            at,
            since: Instant::now(),
        }
    }

    /// What is written goes to the offset `at` and behind it. Nothing was put in before.
    pub(crate) fn go_on_at(&mut self, at: u64) {
        self.at = at;
    }

    /// The file, in which the last bytes may be missing.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Bytes of the file so far, written or not.
    pub(crate) fn length(&self) -> u64 {
        self.at + self.piece.filled as u64
    }

    /// Where the next bytes go; never empty.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let most = self.left().min(ROOM);
        self.piece.room(most)
    }

    /// The first `n` bytes of [`PieceWriter::room`] belong to the file.
    pub(crate) fn filled(&mut self, n: usize) -> io::Result<()> {
        if self.piece.filled == 0 {
            self.since = Instant::now();
        }
        self.piece.filled += n.min(self.left());
        match self.left() == 0 || self.since.elapsed() > LINGER {
            true => self.pass_on(),
            false => Ok(()),
        }
    }

    /// Up to where the next piece begins, whatever the offset of the first one was.
    fn left(&self) -> usize {
        PIECE - (self.at % PIECE as u64) as usize - self.piece.filled
    }

    fn pass_on(&mut self) -> io::Result<()> {
        crash::point();
        let length = self.piece.filled as u64;
        // With a whole piece there, more will follow; a small file is not worth a thread.
        if self.piece.filled == PIECE {
            self.out.share();
        }
        match &mut self.out {
            Out::Here(disk) => disk.write(self.at, self.piece.filled())?,
            Out::There(writer) => writer.put(self.at, &mut self.piece)?,
        }
        self.piece.filled = 0;
        self.at += length;
        Ok(())
    }

    /// Writes what is left, and waits until all of it is written. Not durable yet.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.piece.filled > 0 {
            self.pass_on()?;
        }
        self.out.wait()
    }

    /// Makes all of it durable.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        crash::point();
        self.file.sync_all()
    }

    /// Starts over with an empty file.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        (self.piece.filled, self.at) = (0, 0);
        self.out.wait()?;
        self.file.set_len(0)
    }
}

impl Drop for PieceWriter {
    fn drop(&mut self) {
        // Best effort: another run may go on from there.
        let _ = self.flush();
    }
}

impl fmt::Debug for PieceWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PieceWriter")
            .field("file", &self.file)
            .field("length", &self.length())
            .finish_non_exhaustive()
    }
}

/// Who writes.
enum Out {
    /// Whoever fills the pieces.
    Here(Disk),
    /// A thread.
    There(Writer),
}

impl Out {
    /// Leaves the writing to a thread, where there is a processor for it.
    fn share(&mut self) {
        if let Self::Here(disk) = self
            && thread::available_parallelism().is_ok_and(|cores| cores.get() > 1)
            && let Ok(writer) = Writer::start(disk.clone())
        {
            *self = Self::There(writer);
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        match self {
            Self::Here(_) => Ok(()),
            Self::There(writer) => writer.wait(),
        }
    }
}

/// A thread that writes pieces in the order in which they come, and stops at the first error.
struct Writer {
    /// `None` when no more will come.
    pieces: Option<SyncSender<(u64, Piece)>>,
    written: Receiver<io::Result<Piece>>,
    /// Pieces that went out and have not come back.
    under_way: usize,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(mut disk: Disk) -> io::Result<Self> {
        let (pieces, to_write) = sync_channel::<(u64, Piece)>(1);
        let (tell, written) = channel();
        let work = move || {
            for (at, piece) in to_write {
                let outcome = disk.write(at, piece.filled()).map(|()| piece);
                let is_last = outcome.is_err();
                if tell.send(outcome).is_err() || is_last {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("image-writer".into());
        Ok(Self {
            thread: Some(thread.spawn(work)?),
            pieces: Some(pieces),
            written,
            under_way: 0,
        })
    }

    /// Takes `piece`, and leaves one in its place that can be filled.
    fn put(&mut self, at: u64, piece: &mut Piece) -> io::Result<()> {
        let empty = match self.under_way {
            0 | 1 => Piece::new(),
            _ => self.returned()?,
        };
        let full = std::mem::replace(piece, empty);
        self.under_way += 1;
        match self.pieces.as_ref().map(|pieces| pieces.send((at, full))) {
            Some(Ok(())) => Ok(()),
            // Why it has stopped is still to be heard.
            _ => self.wait().and_then(|()| Err(stopped())),
        }
    }

    fn returned(&mut self) -> io::Result<Piece> {
        let piece = self.written.recv().unwrap_or_else(|_| Err(stopped()))?;
        self.under_way -= 1;
        Ok(piece)
    }

    fn wait(&mut self) -> io::Result<()> {
        while self.under_way > 0 {
            self.returned()?;
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.pieces = None;
        // Until it has ended it holds the file, and with it the file's lock.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn stopped() -> io::Error {
    io::Error::other("an earlier write has failed")
}

/// The file, written past the page cache where that can be.
#[derive(Clone)]
struct Disk {
    file: Arc<File>,
    /// Writes go past the page cache now.
    direct: bool,
    /// The file system can do that, as far as is known.
    able: bool,
}

impl Disk {
    fn new(file: Arc<File>) -> Self {
        Self {
            file,
            direct: false,
            able: true,
        }
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        // Only whole pieces are aligned.
        self.go_direct(bytes.len() == PIECE)?;
        match self.file.write_all_at(bytes, at) {
            // It has larger blocks, or cannot do it after all.
            Err(e) if self.direct && Errno::from_io_error(&e) == Some(Errno::INVAL) => {
                self.able = false;
                self.go_direct(false)?;
                self.file.write_all_at(bytes, at)
            }
            written => written,
        }
    }

    fn go_direct(&mut self, wanted: bool) -> io::Result<()> {
        let wanted = wanted && self.able;
        if wanted == self.direct {
            return Ok(());
        }
        let mut flags = rustix::fs::fcntl_getfl(&self.file)?;
        flags.set(OFlags::DIRECT, wanted);
        match rustix::fs::fcntl_setfl(&self.file, flags) {
            Ok(()) => self.direct = wanted,
            Err(_) if wanted => self.able = false,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
