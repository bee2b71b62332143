//! A ceremony's folder: the transcript and what belongs to it, on the lead's machine.
//!
//! `transcript.jsonl` is the record. A line is written only after it was checked, whole and
//! durably, and files that it names before it; so a process killed at any point leaves a
//! transcript that can go on, and running the same command again is always right.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use countersign_metadata::UtcTime;
use rustix::fs::{FlockOperation, flock};

use crate::ceremony::Ceremony;
use crate::crash;
use crate::error::CeremonyError;
use crate::event::{Attachment, Event, Line, digest};
use crate::files::{self, Existing};
use crate::profile::Accepted;
use crate::statement::Statement;

/// The transcript's name.
pub const TRANSCRIPT: &str = "transcript.jsonl";
/// The name of the copy of the Root before.
pub const PREVIOUS: &str = "previous.root.json";
/// The largest transcript that is read, in bytes; one of 8 holders has 30 KB.
const MAX_TRANSCRIPT: u64 = 16 << 20;
/// The largest file beside the transcript that is read, in bytes.
pub(crate) const MAX_ATTACHMENT: u64 = 32 << 20;
/// The largest Root that is read, in bytes, as the verifier's default limit.
pub(crate) const MAX_ROOT: u64 = 512_000;

/// An open ceremony, locked against other processes.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    transcript: File,
    /// How long the transcript is up to its last whole line, in bytes.
    length: u64,
    ceremony: Ceremony,
}

/// A transcript as it was read.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) ceremony: Ceremony,
    pub(crate) lines: Vec<Line>,
    /// Bytes of them.
    pub(crate) length: u64,
    /// Bytes at the end that are no whole line: a run was interrupted while it wrote.
    pub(crate) torn: usize,
}

impl Folder {
    /// Makes the folder and writes the first line. A ceremony that was planned out of just the
    /// same, and did not get further, is taken for that of an interrupted run, and opened.
    ///
    /// # Errors
    /// [`CeremonyError::Exists`] if another ceremony is there already.
    pub(crate) fn create(
        path: &Path,
        event: Event,
        previous: Option<Vec<u8>>,
        now: UtcTime,
    ) -> Result<Self, CeremonyError> {
        let line = Line {
            line: 1,
            previous: "0".repeat(64),
            time: now.to_string(),
            event,
        };
        let ceremony = Ceremony::begin(&line, previous.clone())?;
        let file = path.join(TRANSCRIPT);
        if file.symlink_metadata().is_ok() {
            let planned = Self::open_planned(path, &line.event);
            return planned.ok_or(CeremonyError::Exists { path: file });
        }
        let copy = path.join(PREVIOUS);
        if previous.is_none() && copy.symlink_metadata().is_ok() {
            return Err(CeremonyError::Exists { path: copy });
        }
        files::make_folder(path)?;
        if let Some(previous) = previous {
            files::write(&copy, &previous, Existing::Replace)?;
        }
        // The name appears with the whole first line in it, so a plan is there or not.
        let text = format!("{}\n", line.to_text());
        files::write(&file, text.as_bytes(), Existing::Keep)?;
        let transcript = lock(&file)?;
        Ok(Self {
            path: path.into(),
            transcript,
            length: text.len() as u64,
            ceremony,
        })
    }

    fn open_planned(path: &Path, event: &Event) -> Option<Self> {
        let folder = Self::open(path).ok()?;
        let record = read(path).ok()?;
        let [only] = record.lines.as_slice() else {
            return None;
        };
        (asked(&only.event) == asked(event)).then_some(folder)
    }

    /// Opens a ceremony to go on with it. A last line that an interrupted run left unfinished is
    /// dropped: nothing had been said on the strength of it.
    ///
    /// # Errors
    /// [`CeremonyError::Transcript`] and others
    pub fn open(path: &Path) -> Result<Self, CeremonyError> {
        let transcript = lock(&path.join(TRANSCRIPT))?;
        let record = read(path)?;
        let folder = Self {
            path: path.into(),
            transcript,
            length: record.length,
            ceremony: record.ceremony,
        };
        if record.torn > 0 {
            folder.cut()?;
        }
        Ok(folder)
    }

    /// Reads a ceremony's state without changing or locking anything, as of an archive.
    ///
    /// # Errors
    /// [`CeremonyError::Transcript`] and others
    pub fn look(path: &Path) -> Result<Ceremony, CeremonyError> {
        Ok(read(path)?.ceremony)
    }

    /// The ceremony's state.
    pub fn ceremony(&self) -> &Ceremony {
        &self.ceremony
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Records an event, if it may come next. After an error it is not in the transcript.
    pub(crate) fn append(&mut self, event: Event, now: UtcTime) -> Result<(), CeremonyError> {
        let line = self.ceremony.next_line(event, now);
        let mut next = self.ceremony.clone();
        next.apply(&line)?;
        let text = format!("{}\n", line.to_text());
        crash::point();
        if let Err(error) = self.write(text.as_bytes()) {
            // A full disk leaves half a line; if even this fails, the next line or start cuts it.
            let _ = self.cut();
            return Err(CeremonyError::io(
                "write",
                self.path.join(TRANSCRIPT),
                error,
            ));
        }
        crash::point();
        self.length += text.len() as u64;
        self.ceremony = next;
        Ok(())
    }

    /// Writes a line behind the last whole one, whatever a write that failed may have left there.
    fn write(&self, line: &[u8]) -> io::Result<()> {
        let mut transcript = &self.transcript;
        transcript.set_len(self.length)?;
        transcript.seek(SeekFrom::Start(self.length))?;
        // Two writes in tests, so that they can cut the power in the middle of a line.
        let (first, second) = line.split_at(line.len() / 2);
        transcript.write_all(first)?;
        crash::point();
        transcript.write_all(second)?;
        transcript.sync_all()
    }

    /// Cuts off what is no whole line.
    fn cut(&self) -> Result<(), CeremonyError> {
        let cut = self.transcript.set_len(self.length);
        let cut = cut.and_then(|()| self.transcript.sync_all());
        cut.map_err(|error| CeremonyError::io("repair", self.path.join(TRANSCRIPT), error))
    }
}

/// The release that wrote the first line, as that line says.
pub(crate) fn release(path: &Path) -> Option<String> {
    let bytes = files::read(&path.join(TRANSCRIPT), MAX_TRANSCRIPT).ok()?;
    let first = bytes.split(|byte| *byte == b'\n').next()?;
    match Line::parse(first).ok()?.event {
        Event::Planned { software, .. } => Some(software),
        _ => None,
    }
}

/// What a ceremony was planned out of.
fn asked(event: &Event) -> Option<(&str, Option<&Attachment>, &[Accepted])> {
    match event {
        Event::Planned {
            profile,
            previous,
            accepted,
            ..
        } => Some((profile, previous.as_ref(), accepted)),
        _ => None,
    }
}

/// Reads a ceremony without changing anything, and checks every line of it.
pub(crate) fn read(path: &Path) -> Result<Record, CeremonyError> {
    let bytes = files::read(&path.join(TRANSCRIPT), MAX_TRANSCRIPT)?;
    let previous = files::read_if_there(&path.join(PREVIOUS), MAX_ROOT);
    replay(&bytes, previous.map_err(|error| at(1, &error))?)
}

/// Checks every line of a transcript that follows the Root file `previous`.
pub(crate) fn replay(bytes: &[u8], previous: Option<Vec<u8>>) -> Result<Record, CeremonyError> {
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let mut previous = Some(previous);
    let mut state: Option<Ceremony> = None;
    let mut lines = Vec::new();
    let mut texts = (1..)
        .zip(bytes[..whole].split_inclusive(|byte| *byte == b'\n'))
        .map(|(number, text)| (number, text.strip_suffix(b"\n").unwrap_or(text)))
        .peekable();
    while let Some((number, text)) = texts.next() {
        let line = Line::parse(text).map_err(|why| CeremonyError::Transcript {
            line: number,
            why: format!("it is not a line of a transcript, or was changed: {why}"),
        })?;
        match &mut state {
            None => {
                let begun = Ceremony::begin(&line, previous.take().flatten());
                state = Some(begun.map_err(|error| at(number, &error))?);
            }
            Some(ceremony) if line.previous != ceremony.head() => {
                let changed =
                    changed_line(number, &line, text, texts.peek().map(|(_, next)| *next));
                return Err(CeremonyError::Transcript {
                    line: changed,
                    why: format!(
                        "it was changed, or a line is missing or came on top: line {number} says \
                         that it follows another one"
                    ),
                });
            }
            Some(ceremony) => ceremony.apply(&line).map_err(|error| at(number, &error))?,
        }
        lines.push(line);
    }
    match state {
        Some(ceremony) => Ok(Record {
            ceremony,
            lines,
            length: whole as u64,
            torn: bytes.len() - whole,
        }),
        None => Err(CeremonyError::Transcript {
            line: 1,
            why: "it is not there, or not whole, so no ceremony was begun; plan again in another \
                  folder"
                .into(),
        }),
    }
}

fn at(line: u64, error: &CeremonyError) -> CeremonyError {
    CeremonyError::Transcript {
        line,
        why: error.to_string(),
    }
}

/// Which line was changed when `line` does not follow the one before it: `line` itself, or that
/// one. What comes after it, or the seal in it, knows how it was.
fn changed_line(number: u64, line: &Line, text: &[u8], next: Option<&[u8]>) -> u64 {
    let intact = match (next.map(Line::parse), &line.event) {
        (Some(Ok(next)), _) => next.previous == digest(text),
        (Some(Err(_)), _) => false,
        (None, Event::Sealed { seals, .. }) => seals.iter().any(|seal| {
            matches!(&seal.statement, Statement::Seal { transcript, .. } if *transcript == line.previous)
        }),
        (None, _) => true,
    };
    match intact {
        true => number - 1,
        false => number,
    }
}

fn lock(path: &Path) -> Result<File, CeremonyError> {
    let fail = |error| CeremonyError::io("open", path, error);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CeremonyError::Usage(format!(
                "{} is not there: name a folder that 'key-ceremony plan' made",
                path.display()
            )),
            _ => fail(error),
        })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(CeremonyError::Refused(format!(
            "another key-ceremony is working in {}; wait until it is done",
            path.parent().unwrap_or(path).display()
        ))),
        Err(error) => Err(fail(error.into())),
    }
}
