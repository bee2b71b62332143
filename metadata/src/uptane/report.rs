//! ECU version report: what an ECU has installed and what it has met (Uptane 5.4.2.1.2).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::canonical;
use crate::document::{Decode, Document, SignatureForm, take_type};
use crate::envelope::Payload;
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::hashes::Hashes;
use crate::json::{Object, Value, parse_canonical};
use crate::limits::{MAX_ATTACKS, MAX_TEXT};
use crate::path::TargetPath;
use crate::time::UtcTime;
use crate::uptane::{EcuSerial, OfflineName};

/// The content of an ECU version report. Signed by the ECU's own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcuVersionReport {
    /// `ecu_serial`
    pub ecu_serial: EcuSerial,
    /// `installed_image`; `None` if the ECU does not know what it runs.
    pub installed_image: Option<InstalledImage>,
    /// `attacks_detected` since the last report that was acknowledged; at most
    /// [`MAX_ATTACKS`] are written.
    pub attacks_detected: Vec<DetectedAttack>,
    /// `latest_time`: the latest time the ECU could verify.
    pub latest_time: UtcTime,
    /// `report_counter`: higher in each report than in the one before.
    pub report_counter: u64,
    /// `outcome` of the last update that was attempted.
    pub outcome: Option<Outcome>,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

/// `installed_image`: what the Targets metadata said of it, without `custom`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledImage {
    /// `filepath`: its target path.
    pub filepath: TargetPath,
    /// `fileinfo.length` in bytes.
    pub length: u64,
    /// `fileinfo.hashes`
    pub hashes: Hashes,
}

/// One refusal that looks like an attack. The texts are cut at [`MAX_TEXT`] characters when
/// written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectedAttack {
    /// `code` of the refusal.
    pub code: u16,
    /// `name` of the refusal.
    pub name: String,
    /// `attack`: its class, such as `rollback`.
    pub attack: String,
    /// `repository` in which it was met; may be empty.
    pub repository: String,
    /// `role` in which it was met; may be empty.
    pub role: String,
}

/// How an update ended. The texts are cut at [`MAX_TEXT`] characters when written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `targets_version`: the version of the Director's Targets that ordered it, or of the Offline
    /// Targets file.
    pub targets_version: u64,
    /// `offline`: the name of the Offline Targets file, if it was one (PURE-2).
    pub offline: Option<OfflineName>,
    /// `code`: 0 for success, else that of the refusal.
    pub code: u16,
    /// `name` of the code.
    pub name: String,
    /// `message`, for people.
    pub message: String,
}

impl Document for EcuVersionReport {
    const NAME: &'static str = "ecu-version-report";
    const SIGNATURES: SignatureForm = SignatureForm::Report;
}

impl EcuVersionReport {
    /// The canonical payload of this content, to be signed.
    pub fn to_payload(&self) -> String {
        let attacks = self.attacks_detected.iter().take(MAX_ATTACKS);
        let installed = self.installed_image.as_ref();
        let mut members = with(
            &self.extra,
            [
                ("_type", Self::NAME.into()),
                ("ecu_serial", self.ecu_serial.as_str().into()),
                (
                    "installed_image",
                    installed.map_or(Value::Null, InstalledImage::to_value),
                ),
                (
                    "attacks_detected",
                    attacks.map(DetectedAttack::to_value).collect(),
                ),
                ("latest_time", self.latest_time.to_string().into()),
                ("report_counter", self.report_counter.into()),
            ],
        );
        if let Some(outcome) = &self.outcome {
            members.insert("outcome".into(), outcome.to_value());
        }
        canonical::encode(&members.into())
    }
}

impl Decode for EcuVersionReport {
    fn decode(payload: &Payload) -> Result<Self, MetadataError> {
        let mut fields = Fields::of("signed", parse_canonical(payload)?)?;
        take_type::<Self>(&mut fields)?;
        let serial = fields.string("ecu_serial")?;
        // `null` says that it is unknown; saying nothing does not.
        let installed_image = match fields.required("installed_image")? {
            Value::Null => None,
            value => {
                let path = fields.path_of("installed_image");
                Some(InstalledImage::decode(path, value)?)
            }
        };
        let outcome = match fields.take("outcome") {
            Some(value) => Some(Outcome::decode(fields.path_of("outcome"), value)?),
            None => None,
        };
        Ok(Self {
            ecu_serial: EcuSerial::at(&fields.path_of("ecu_serial"), &serial)?,
            installed_image,
            attacks_detected: attacks(&mut fields)?,
            latest_time: fields.time("latest_time")?,
            report_counter: fields.unsigned("report_counter", 0)?,
            outcome,
            extra: fields.rest(),
        })
    }
}

fn attacks(fields: &mut Fields<'_>) -> Result<Vec<DetectedAttack>, MetadataError> {
    let path = fields.path_of("attacks_detected");
    let items = fields.array("attacks_detected")?;
    if items.len() > MAX_ATTACKS {
        return fields.fail("attacks_detected", format!("has more than {MAX_ATTACKS}"));
    }
    let items = items.into_iter().enumerate();
    items
        .map(|(index, value)| DetectedAttack::decode(format!("{path}[{index}]"), value))
        .collect()
}

impl InstalledImage {
    fn decode(path: String, value: Value) -> Result<Self, MetadataError> {
        let mut fields = Fields::of(path, value)?;
        let filepath = fields.target_path("filepath")?;
        let mut info = Fields::of(fields.path_of("fileinfo"), fields.required("fileinfo")?)?;
        Ok(Self {
            filepath,
            length: info.unsigned("length", 0)?,
            hashes: Hashes::decode(info.fields("hashes")?)?,
        })
    }

    fn to_value(&self) -> Value {
        let info = [
            ("length", self.length.into()),
            ("hashes", self.hashes.to_value()),
        ];
        let members = [
            ("filepath", self.filepath.as_str().into()),
            ("fileinfo", with(&Object::new(), info).into()),
        ];
        with(&Object::new(), members).into()
    }
}

impl DetectedAttack {
    fn decode(path: String, value: Value) -> Result<Self, MetadataError> {
        let mut fields = Fields::of(path, value)?;
        Ok(Self {
            code: code(&mut fields)?,
            name: fields.text("name", MAX_TEXT)?,
            attack: fields.text("attack", MAX_TEXT)?,
            repository: fields.text("repository", MAX_TEXT)?,
            role: fields.text("role", MAX_TEXT)?,
        })
    }

    fn to_value(&self) -> Value {
        let members = [
            ("code", u32::from(self.code).into()),
            ("name", cut(&self.name)),
            ("attack", cut(&self.attack)),
            ("repository", cut(&self.repository)),
            ("role", cut(&self.role)),
        ];
        with(&Object::new(), members).into()
    }
}

impl Outcome {
    fn decode(path: String, value: Value) -> Result<Self, MetadataError> {
        let mut fields = Fields::of(path, value)?;
        let offline = match fields.members_has("offline") {
            true => {
                let name = fields.string("offline")?;
                Some(OfflineName::at(&fields.path_of("offline"), &name)?)
            }
            false => None,
        };
        Ok(Self {
            targets_version: fields.unsigned("targets_version", 0)?,
            offline,
            code: code(&mut fields)?,
            name: fields.text("name", MAX_TEXT)?,
            message: fields.text("message", MAX_TEXT)?,
        })
    }

    fn to_value(&self) -> Value {
        let members = [
            ("targets_version", self.targets_version.into()),
            ("code", u32::from(self.code).into()),
            ("name", cut(&self.name)),
            ("message", cut(&self.message)),
        ];
        let mut outcome = with(&Object::new(), members);
        if let Some(name) = &self.offline {
            outcome.insert("offline".into(), name.as_str().into());
        }
        outcome.into()
    }
}

fn code(fields: &mut Fields<'_>) -> Result<u16, MetadataError> {
    match u16::try_from(fields.unsigned("code", 0)?) {
        Ok(code) => Ok(code),
        Err(_) => fields.fail("code", "must be at most 65535"),
    }
}

/// A report that its own writer made too long would be refused.
fn cut(text: &str) -> Value {
    text.chars().take(MAX_TEXT).collect::<String>().into()
}
