//! Everything a CA ever signed, rebuilt from its journal.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use countersign_metadata::{UtcTime, sha256};

use crate::CeremonyError;

use super::error::PkiError;
use super::files::{self, Durable};
use super::identity::{DeviceId, Subject};
use super::journal::{self, Content, Journal, Place};
use super::limits;
use super::record::{KeyHash, Line, Record, Revocation, Serial};

/// A certificate that was issued.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its serial number.
    pub serial: Serial,
    /// Who it is for.
    pub subject: Subject,
    /// Its first second.
    pub not_before: UtcTime,
    /// Its last second.
    pub not_after: UtcTime,
    /// The certificate that it renews.
    pub renews: Option<Serial>,
    /// That and when it was revoked.
    pub revoked: Option<Revocation>,
    pub(crate) key: KeyHash,
    place: Place,
}

/// Whether a certificate holds at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It does.
    Valid,
    /// Its last second has passed.
    Ended,
    /// It was revoked, whether or not it would have ended since.
    Revoked,
}

/// Which certificates to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those of one vehicle.
    pub vehicle: Option<String>,
    /// Those in one state.
    pub status: Option<Status>,
}

impl Entry {
    /// Whether it holds at `now`.
    pub fn status(&self, now: UtcTime) -> Status {
        match self.revoked {
            Some(_) => Status::Revoked,
            None if now > self.not_after => Status::Ended,
            None => Status::Valid,
        }
    }
}

impl Status {
    /// A stable name for scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Ended => "ended",
            Self::Revoked => "revoked",
        }
    }
}

impl Filter {
    pub(crate) fn takes(&self, entry: &Entry, now: UtcTime) -> bool {
        let vehicle = entry.subject.device().map(DeviceId::vehicle);
        let of_vehicle = self.vehicle.is_none() || self.vehicle.as_deref() == vehicle;
        of_vehicle && self.status.is_none_or(|status| status == entry.status(now))
    }
}

/// The index in memory, and the file it is kept in.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    /// None when only looked at.
    journal: Option<Journal>,
    /// SHA-256 of the newest line.
    head: [u8; 32],
    /// The key of the CA whose index it is.
    opened: Option<KeyHash>,
    entries: Vec<Entry>,
    by_serial: HashMap<Serial, usize>,
    by_key: HashMap<KeyHash, Vec<usize>>,
    by_device: HashMap<DeviceId, Vec<usize>>,
    renewed_by: HashMap<Serial, usize>,
    reserved: HashSet<Serial>,
    last_crl: Option<(u64, UtcTime)>,
    latest: Option<UtcTime>,
}

impl Index {
    /// The index of a CA that is being made. The caller holds the lock of the CA, and knows that
    /// what may be there is not needed.
    pub(crate) fn create(path: &Path, ca: KeyHash, now: UtcTime) -> Result<Self, CeremonyError> {
        let first = Line {
            previous: [0; 32],
            event: Record::Opened { at: now, key: ca },
        };
        files::replace(path, &first.to_text()?, Durable::Now)?;
        Self::open(path)
    }

    /// For reading alone.
    pub(crate) fn view(path: &Path) -> Result<Self, CeremonyError> {
        Ok(Self::read(path)?.0)
    }

    /// For writing. The caller holds the lock of the CA.
    pub(crate) fn open(path: &Path) -> Result<Self, CeremonyError> {
        let (mut index, content) = Self::read(path)?;
        index.journal = Some(Journal::open(path, &content)?);
        Ok(index)
    }

    /// A missing file is not an empty index: to go on without one would bring revoked keys back.
    fn read(path: &Path) -> Result<(Self, Content), CeremonyError> {
        let content = Content::read(path, limits::INDEX).map_err(|error| match error {
            CeremonyError::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
                PkiError::IndexMissing(path.into()).into()
            }
            error => error,
        })?;
        let mut index = Self::empty(path);
        index.load(&content)?;
        Ok((index, content))
    }

    fn empty(path: &Path) -> Self {
        Self {
            path: path.into(),
            journal: None,
            head: [0; 32],
            opened: None,
            entries: Vec::new(),
            by_serial: HashMap::new(),
            by_key: HashMap::new(),
            by_device: HashMap::new(),
            renewed_by: HashMap::new(),
            reserved: HashSet::new(),
            last_crl: None,
            latest: None,
        }
    }

    fn load(&mut self, content: &Content) -> Result<(), PkiError> {
        let path = self.path.clone();
        let fail = |number: usize, what: String| PkiError::Index {
            path: path.clone(),
            line: number + 1,
            what,
        };
        for (number, (place, text)) in content.lines().enumerate() {
            self.load_line(text, place)
                .map_err(|what| fail(number, what))?;
        }
        match self.opened {
            Some(_) => Ok(()),
            None => Err(fail(0, "it is empty".into())),
        }
    }

    fn load_line(&mut self, text: &[u8], place: Place) -> Result<(), String> {
        let line: Line = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if line.previous != self.head {
            return Err(
                "it does not follow the line before it: that one was changed, or lines are missing"
                    .into(),
            );
        }
        self.head = digest(text);
        self.take(line.event, place)
    }

    /// Makes records durable, then part of the index.
    pub(crate) fn append(&mut self, records: Vec<Record>) -> Result<(), CeremonyError> {
        let mut lines = Vec::new();
        let mut texts = Vec::new();
        let mut head = self.head;
        for event in records {
            let line = Line {
                previous: head,
                event,
            };
            let text = line.to_text()?;
            head = digest(&text);
            lines.push(line);
            texts.push(text);
        }
        let Some(journal) = &mut self.journal else {
            return Err(PkiError::Locked(self.path.clone()).into());
        };
        let places = journal.append(&texts)?;
        self.head = head;
        for (line, place) in lines.into_iter().zip(places) {
            self.take(line.event, place).map_err(PkiError::Encode)?;
        }
        Ok(())
    }

    fn take(&mut self, record: Record, place: Place) -> Result<(), String> {
        if self.opened.is_none() && !matches!(record, Record::Opened { .. }) {
            return Err("the first line is missing, which names the CA".into());
        }
        self.latest = self.latest.max(Some(record.at()));
        match record {
            Record::Opened { key, .. } => {
                if self.opened.replace(key).is_some() {
                    return Err("only the first line names the CA".into());
                }
            }
            Record::Reserved { serials, .. } => {
                for serial in serials {
                    if !self.reserved.insert(serial) {
                        return Err(format!("serial {serial} comes twice"));
                    }
                }
            }
            Record::Issued {
                serial,
                subject,
                key,
                not_before,
                not_after,
                renews,
                ..
            } => {
                let number = self.entries.len();
                if !self.reserved.contains(&serial) {
                    return Err(format!("serial {serial} was not reserved"));
                }
                if self.by_serial.insert(serial, number).is_some() {
                    return Err(format!("serial {serial} was issued twice"));
                }
                self.by_key.entry(key).or_default().push(number);
                if let Some(device) = subject.device() {
                    let of_device = self.by_device.entry(device.clone());
                    of_device.or_default().push(number);
                }
                if let Some(renews) = renews {
                    self.renewed_by.insert(renews, number);
                }
                self.entries.push(Entry {
                    serial,
                    subject,
                    not_before,
                    not_after,
                    renews,
                    revoked: None,
                    key,
                    place,
                });
            }
            Record::Revoked { at, serial, reason } => {
                let number = self.by_serial.get(&serial);
                let entry = number.and_then(|number| self.entries.get_mut(*number));
                let entry = entry.ok_or_else(|| format!("serial {serial} was never issued"))?;
                if entry.revoked.replace(Revocation { at, reason }).is_some() {
                    return Err(format!("serial {serial} was revoked twice"));
                }
            }
            Record::Crl { at, number, .. } => {
                if number != self.next_crl() {
                    return Err(format!("revocation list {number} is out of order"));
                }
                self.last_crl = Some((number, at));
            }
        }
        Ok(())
    }

    /// The key of the CA whose index it is.
    pub(crate) fn ca(&self) -> Option<KeyHash> {
        self.opened
    }

    /// Whether nobody has anything from this CA yet.
    pub(crate) fn is_unused(&self) -> bool {
        self.entries.is_empty() && self.last_crl.is_none()
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn is_known(&self, serial: Serial) -> bool {
        self.reserved.contains(&serial)
    }

    pub(crate) fn get(&self, serial: Serial) -> Option<&Entry> {
        self.by_serial
            .get(&serial)
            .map(|number| &self.entries[*number])
    }

    pub(crate) fn with_key(&self, key: KeyHash) -> impl Iterator<Item = &Entry> {
        let numbers = self.by_key.get(&key).into_iter().flatten();
        numbers.map(|number| &self.entries[*number])
    }

    pub(crate) fn of_device(&self, device: &DeviceId) -> impl Iterator<Item = &Entry> {
        let numbers = self.by_device.get(device).into_iter().flatten();
        numbers.map(|number| &self.entries[*number])
    }

    pub(crate) fn renewed_by(&self, serial: Serial) -> Option<&Entry> {
        self.renewed_by
            .get(&serial)
            .map(|number| &self.entries[*number])
    }

    /// The time of the newest event.
    pub(crate) fn latest(&self) -> Option<UtcTime> {
        self.latest
    }

    /// When the newest revocation list was made.
    pub(crate) fn last_crl(&self) -> Option<UtcTime> {
        self.last_crl.map(|(_, at)| at)
    }

    pub(crate) fn next_crl(&self) -> u64 {
        self.last_crl.map_or(1, |(number, _)| number + 1)
    }

    /// The PEM text of a certificate, from the file.
    pub(crate) fn certificate(&self, entry: &Entry) -> Result<String, CeremonyError> {
        let damaged = |what: String| PkiError::Settings {
            path: self.path.clone(),
            what,
        };
        let line = journal::line(&self.path, entry.place)?;
        let line: Result<Line, _> = serde_json::from_slice(&line);
        match line.map_err(|error| damaged(error.to_string()))?.event {
            Record::Issued {
                serial,
                certificate,
                ..
            } if serial == entry.serial => Ok(certificate),
            _ => Err(damaged("it changed while it was read".into()).into()),
        }
    }
}

fn digest(text: &[u8]) -> [u8; 32] {
    sha256(text.strip_suffix(b"\n").unwrap_or(text))
}
