//! The record as JSON. docs/ecu-state.md says what each member means.

use std::collections::BTreeMap;

use countersign_metadata::json::{self, Object, Value};
use countersign_metadata::uptane::{DetectedAttack, EcuSerial, HardwareId, OfflineName, Outcome};
use countersign_metadata::{Hashes, TargetPath, UtcTime};
use serde::{Deserialize, Serialize};

use countersign_verifier::uptane::{Installed, Mark, TimeFloor};

use super::{EcuState, Installation, Order, Reports, Stage};
use crate::uptane::text::{self, Text};

/// The one format there is so far.
const FORMAT: &str = "countersign-ecu-state-1";

/// # Errors
/// What is wrong with the record.
pub(super) fn read(bytes: &[u8]) -> Result<EcuState, String> {
    // Stricter than serde: no member twice, no floats.
    json::parse(bytes).map_err(|error| error.to_string())?;
    let file: File = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    file.into_state()
}

/// # Errors
/// What cannot be written.
pub(super) fn write(state: &EcuState) -> Result<Vec<u8>, String> {
    let file = File::of(state)?;
    let mut bytes = serde_json::to_vec_pretty(&file).map_err(|error| error.to_string())?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    format: String,
    #[serde(with = "text")]
    serial: EcuSerial,
    installed: BTreeMap<String, Image>,
    installation: Option<InProgress>,
    processed: Option<Ordered>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    processed_offline: Option<Ordered>,
    time: Option<Time>,
    report: Report,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Image {
    path: String,
    release_counter: u64,
    length: u64,
    hashes: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InProgress {
    ordered_by: Ordered,
    /// The name of the Offline Targets file, if it was one.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "text::optional"
    )]
    offline: Option<OfflineName>,
    #[serde(with = "text")]
    hardware_id: HardwareId,
    image: Image,
    #[serde(with = "StageName")]
    stage: Stage,
    attempts: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Stage", rename_all = "kebab-case")]
enum StageName {
    Staging,
    Activating,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Ordered {
    targets_version: u64,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Time {
    #[serde(with = "text")]
    floor: UtcTime,
    keys: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Report {
    counter: u64,
    unacknowledged: Option<String>,
    attacks: Vec<Attack>,
    told: usize,
    outcome: Option<Ended>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attack {
    code: u16,
    name: String,
    attack: String,
    repository: String,
    role: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Ended {
    targets_version: u64,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "text::optional"
    )]
    offline: Option<OfflineName>,
    code: u16,
    name: String,
    message: String,
}

impl File {
    fn of(state: &EcuState) -> Result<Self, String> {
        let installed = state.installed.iter();
        Ok(Self {
            format: FORMAT.into(),
            serial: state.serial.clone(),
            installed: installed
                .map(|(id, image)| (id.to_text(), Image::of(image)))
                .collect(),
            installation: state.installation.as_ref().map(|i| InProgress {
                ordered_by: Ordered::of(&i.ordered_by.mark),
                offline: i.ordered_by.offline.clone(),
                hardware_id: i.image.hardware_id.clone(),
                image: Image::of(&i.image),
                stage: i.stage,
                attempts: i.attempts,
            }),
            processed: state.processed.as_ref().map(Ordered::of),
            processed_offline: state.processed_offline.as_ref().map(Ordered::of),
            time: state.time.as_ref().map(|time| Time {
                floor: time.time,
                keys: hex::encode(time.keys),
            }),
            report: Report::of(&state.reports)?,
        })
    }

    fn into_state(self) -> Result<EcuState, String> {
        if self.format != FORMAT {
            return Err(format!("its format is {:?}, not {FORMAT:?}", self.format));
        }
        let mut installed = BTreeMap::new();
        for (id, image) in self.installed {
            let id = HardwareId::from_text(&id)?;
            installed.insert(id.clone(), image.into_installed(id)?);
        }
        Ok(EcuState {
            serial: self.serial,
            installed,
            installation: match self.installation {
                Some(in_progress) => Some(in_progress.into_installation()?),
                None => None,
            },
            processed: self.processed.map(Ordered::into_mark).transpose()?,
            processed_offline: self.processed_offline.map(Ordered::into_mark).transpose()?,
            time: match self.time {
                Some(time) => Some(TimeFloor {
                    time: time.floor,
                    keys: digest(&time.keys)?,
                }),
                None => None,
            },
            reports: self.report.into_reports()?,
        })
    }
}

impl Image {
    fn of(image: &Installed) -> Self {
        let Hashes {
            sha256,
            sha512,
            other,
        } = &image.hashes;
        let known = [
            ("sha256", sha256.as_ref().map(hex::encode)),
            ("sha512", sha512.as_ref().map(hex::encode)),
        ];
        let known = known
            .into_iter()
            .filter_map(|(name, hex)| Some((name.to_owned(), hex?)));
        let other = other
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        Self {
            path: image.path.clone(),
            release_counter: image.release_counter,
            length: image.length,
            hashes: known.chain(other).collect(),
        }
    }

    fn into_installed(mut self, hardware_id: HardwareId) -> Result<Installed, String> {
        let sha256 = self.hashes.remove("sha256");
        let sha512 = self.hashes.remove("sha512");
        let other = self.hashes.into_iter();
        TargetPath::new(&self.path).map_err(|error| error.to_string())?;
        Ok(Installed {
            hardware_id,
            path: self.path,
            release_counter: self.release_counter,
            length: self.length,
            hashes: Hashes {
                sha256: sha256.map(|hex| digest(&hex)).transpose()?,
                sha512: sha512.map(|hex| digest(&hex)).transpose()?,
                other: other
                    .map(|(name, hex)| (name, Value::from(hex)))
                    .collect::<Object>(),
            },
        })
    }
}

impl InProgress {
    fn into_installation(self) -> Result<Installation, String> {
        Ok(Installation {
            ordered_by: Order {
                mark: self.ordered_by.into_mark()?,
                offline: self.offline,
            },
            image: self.image.into_installed(self.hardware_id)?,
            stage: self.stage,
            attempts: self.attempts,
        })
    }
}

impl Ordered {
    fn of(mark: &Mark) -> Self {
        Self {
            targets_version: mark.version,
            sha256: hex::encode(mark.digest),
        }
    }

    fn into_mark(self) -> Result<Mark, String> {
        Ok(Mark {
            version: self.targets_version,
            digest: digest(&self.sha256)?,
        })
    }
}

impl Report {
    fn of(reports: &Reports) -> Result<Self, String> {
        let unacknowledged = reports.unacknowledged.clone().map(String::from_utf8);
        Ok(Self {
            counter: reports.counter,
            unacknowledged: unacknowledged
                .transpose()
                .map_err(|_| "a report is JSON, and this one is not text".to_owned())?,
            attacks: reports.attacks.iter().map(Attack::of).collect(),
            told: reports.told,
            outcome: reports.outcome.as_ref().map(|outcome| Ended {
                targets_version: outcome.targets_version,
                offline: outcome.offline.clone(),
                code: outcome.code,
                name: outcome.name.clone(),
                message: outcome.message.clone(),
            }),
        })
    }

    fn into_reports(self) -> Result<Reports, String> {
        if self.told > self.attacks.len() {
            return Err("more attacks are told than there are".into());
        }
        Ok(Reports {
            counter: self.counter,
            unacknowledged: self.unacknowledged.map(String::into_bytes),
            attacks: self.attacks.into_iter().map(Attack::into_attack).collect(),
            told: self.told,
            outcome: self.outcome.map(|ended| Outcome {
                targets_version: ended.targets_version,
                offline: ended.offline,
                code: ended.code,
                name: ended.name,
                message: ended.message,
            }),
        })
    }
}

impl Attack {
    fn of(attack: &DetectedAttack) -> Self {
        Self {
            code: attack.code,
            name: attack.name.clone(),
            attack: attack.attack.clone(),
            repository: attack.repository.clone(),
            role: attack.role.clone(),
        }
    }

    fn into_attack(self) -> DetectedAttack {
        DetectedAttack {
            code: self.code,
            name: self.name,
            attack: self.attack,
            repository: self.repository,
            role: self.role,
        }
    }
}

fn digest<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let bytes = hex::decode(text).unwrap_or_default();
    <[u8; N]>::try_from(bytes).map_err(|_| format!("{text:?} is not {N} bytes in hexadecimal"))
}
