//! What a Primary must not forget, beside the record of its own ECU: the last report of every ECU,
//! what was processed to the end, and the time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use countersign_metadata::UtcTime;
use countersign_metadata::uptane::EcuSerial;
use countersign_verifier::uptane::{Mark, TimeFloor};
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::store::StoreError;
use crate::uptane::text;

const NAME: &str = "primary.json";
const FORMAT: u32 = 1;

/// 256 reports of 64 KiB each, doubled by escapes.
const MAX_LEN: u64 = 32 << 20;

/// Why the record cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It is not what this version writes.
    #[error(
        "{}: {detail}; put a backup in its place, or remove it: the Primary then asks again for what it has forgotten",
        .path.display()
    )]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// It cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The record, in a directory.
#[derive(Debug)]
pub(super) struct Record {
    directory: PathBuf,
    content: Content,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Content {
    format: u32,
    /// The last report of each ECU, as signed.
    reports: BTreeMap<String, Kept>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    processed: Option<Processed>,
    /// The same of offline bundles: neither makes the other be done again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    processed_offline: Option<Processed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<Time>,
}

/// A report that was verified when it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Kept {
    /// `report_counter` in it.
    pub(super) counter: u64,
    /// The id of the key that has signed it. Counters of another key say nothing.
    pub(super) keyid: String,
    /// The file.
    pub(super) file: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Processed {
    targets_version: u64,
    digest: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Time {
    #[serde(with = "text")]
    floor: UtcTime,
    keys: String,
}

impl Record {
    /// The record in `directory`; an empty one where there is none.
    pub(super) fn open(directory: &Path) -> Result<Self, RecordError> {
        durable::create_directory(directory)
            .map_err(StoreError::io("make the directory", directory))?;
        durable::remove_unfinished(directory)
            .map_err(StoreError::io("remove what a killed run left", directory))?;
        let path = directory.join(NAME);
        let bytes = durable::read(&path, MAX_LEN).map_err(StoreError::io("read", &path))?;
        let content = match bytes {
            Some(bytes) => read(&bytes).map_err(|detail| RecordError::Damaged { path, detail })?,
            None => Content {
                format: FORMAT,
                ..Content::default()
            },
        };
        Ok(Self {
            directory: directory.to_owned(),
            content,
        })
    }

    /// Where images are kept until every ECU is through.
    pub(super) fn images(&self) -> PathBuf {
        self.directory.join("images")
    }

    /// Where a download is kept until it is proven.
    pub(super) fn partial(&self) -> PathBuf {
        self.directory.join("partial")
    }

    /// The last reports by serial.
    pub(super) fn reports(&self) -> &BTreeMap<String, Kept> {
        &self.content.reports
    }

    /// An ECU has reported.
    pub(super) fn reported(&mut self, serial: &EcuSerial, kept: Kept) -> Result<(), RecordError> {
        self.change(|content| drop(content.reports.insert(serial.to_string(), kept)))
    }

    /// Whether every ECU has done what this Director Targets asks for.
    pub(super) fn is_processed(&self, mark: &Mark) -> bool {
        let of = |processed: &Processed| *processed == Processed::from(mark);
        let Content {
            processed,
            processed_offline,
            ..
        } = &self.content;
        processed.iter().chain(processed_offline).any(of)
    }

    pub(super) fn processed(&mut self, mark: Mark) -> Result<(), RecordError> {
        self.change(|content| content.processed = Some(Processed::from(&mark)))
    }

    /// As [`Record::processed`], for what came out of an offline bundle.
    pub(super) fn processed_offline(&mut self, mark: Mark) -> Result<(), RecordError> {
        self.change(|content| content.processed_offline = Some(Processed::from(&mark)))
    }

    /// The time floor.
    pub(super) fn time(&self) -> Option<TimeFloor> {
        let time = self.content.time.as_ref()?;
        Some(TimeFloor {
            time: time.floor,
            keys: hex::decode(&time.keys).ok()?.try_into().ok()?,
        })
    }

    pub(super) fn attested(&mut self, floor: TimeFloor) -> Result<(), RecordError> {
        let time = Time {
            floor: floor.time,
            keys: hex::encode(floor.keys),
        };
        self.change(|content| content.time = Some(time))
    }

    fn change(&mut self, change: impl FnOnce(&mut Content)) -> Result<(), RecordError> {
        let mut next = self.content.clone();
        change(&mut next);
        if next == self.content {
            return Ok(());
        }
        let path = self.directory.join(NAME);
        let bytes = serde_json::to_vec_pretty(&next).map_err(|error| RecordError::Damaged {
            path: path.clone(),
            detail: error.to_string(),
        })?;
        durable::write(&self.directory, NAME, &bytes).map_err(StoreError::io("write", &path))?;
        self.content = next;
        Ok(())
    }
}

impl From<&Mark> for Processed {
    fn from(mark: &Mark) -> Self {
        Self {
            targets_version: mark.version,
            digest: hex::encode(mark.digest),
        }
    }
}

fn read(bytes: &[u8]) -> Result<Content, String> {
    let content: Content = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if content.format != FORMAT {
        return Err(format!("its format is {}, not {FORMAT}", content.format));
    }
    let whole = |text: &String| hex::decode(text).is_ok_and(|bytes| bytes.len() == 32);
    let marks = content.processed.iter().chain(&content.processed_offline);
    let marks = marks.map(|processed| &processed.digest);
    let times = content.time.iter().map(|time| &time.keys);
    match marks.chain(times).all(whole) {
        true => Ok(content),
        false => Err("a digest is not 32 bytes in hexadecimal".into()),
    }
}
