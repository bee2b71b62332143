//! What the image repository says of an image beyond length and hashes (Uptane 5.2.3.1.1).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::json::{Object, Value};
use crate::limits::{MAX_CONSTRAINTS, MAX_HARDWARE_IDS, MAX_TARGET_PATH, MAX_TEXT};
use crate::targets::TargetFile;
use crate::uptane::HardwareId;

/// `custom` of a target in the image repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageCustom {
    /// `hardwareIds`: the hardware it runs on; at least one, no repetition.
    pub hardware_ids: Vec<HardwareId>,
    /// `releaseCounter`: an ECU never goes from a higher one to a lower one.
    pub release_counter: u64,
    /// `version`, for people.
    pub version: Option<String>,
    /// `class`: what kind of software it is; constraints can name it.
    pub class: Option<String>,
    /// `installer`: which installer of the ECU takes it.
    pub installer: Option<String>,
    /// `dependencies`: images that must be installed in the same vehicle.
    pub dependencies: Vec<Constraint>,
    /// `conflicts`: images that must not be installed in the same vehicle.
    pub conflicts: Vec<Constraint>,
    /// `encryption`
    pub confidentiality: Confidentiality,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

/// Whether an ECU may take the image unencrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confidentiality {
    /// It may: no `encryption`.
    #[default]
    Public,
    /// It must not: `"encryption": "required"`.
    Required,
}

/// Some other image, by file name or class, within a range of release counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// Which images are meant.
    pub image: ConstrainedImage,
    /// `minReleaseCounter`, inclusive.
    pub min_release_counter: Option<u64>,
    /// `maxReleaseCounter`, inclusive.
    pub max_release_counter: Option<u64>,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

/// How a constraint names images.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConstrainedImage {
    /// `filename`: one target path.
    Filename(String),
    /// `class`: all images of a class.
    Class(String),
}

impl ImageCustom {
    /// What every image needs; the rest is empty.
    pub fn new(hardware_ids: Vec<HardwareId>, release_counter: u64) -> Self {
        Self {
            hardware_ids,
            release_counter,
            version: None,
            class: None,
            installer: None,
            dependencies: Vec::new(),
            conflicts: Vec::new(),
            confidentiality: Confidentiality::Public,
            extra: Object::new(),
        }
    }

    /// What `file`, an entry of the image repository's Targets, says.
    ///
    /// # Errors
    /// [`MetadataError::Field`] when there is no `custom`, or names what is wrong in it.
    pub fn of(file: &TargetFile) -> Result<Self, MetadataError> {
        let mut fields = Fields::custom_of(file)?;
        let hardware_ids = take_hardware_ids(&mut fields, "hardwareIds")?;
        Ok(Self {
            hardware_ids,
            release_counter: fields.unsigned("releaseCounter", 0)?,
            version: fields.optional_text("version", MAX_TEXT)?,
            class: fields.optional_text("class", MAX_TEXT)?,
            installer: fields.optional_text("installer", MAX_TEXT)?,
            dependencies: constraints(&mut fields, "dependencies")?,
            conflicts: constraints(&mut fields, "conflicts")?,
            confidentiality: confidentiality(&mut fields)?,
            extra: fields.rest(),
        })
    }

    /// The object that stands under `custom`.
    pub fn to_object(&self) -> Object {
        let ids = self.hardware_ids.iter().map(|id| id.as_str().into());
        let mut members = with(
            &self.extra,
            [
                ("hardwareIds", ids.collect()),
                ("releaseCounter", self.release_counter.into()),
            ],
        );
        let texts = [
            ("version", &self.version),
            ("class", &self.class),
            ("installer", &self.installer),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                members.insert(name.into(), text.as_str().into());
            }
        }
        for (name, list) in [
            ("dependencies", &self.dependencies),
            ("conflicts", &self.conflicts),
        ] {
            if !list.is_empty() {
                let list = list.iter().map(Constraint::to_value).collect();
                members.insert(name.into(), list);
            }
        }
        if self.confidentiality == Confidentiality::Required {
            members.insert("encryption".into(), "required".into());
        }
        members
    }
}

impl Constraint {
    /// Any release of the image.
    pub fn new(image: ConstrainedImage) -> Self {
        Self {
            image,
            min_release_counter: None,
            max_release_counter: None,
            extra: Object::new(),
        }
    }

    fn decode(path: String, value: Value) -> Result<Self, MetadataError> {
        let mut fields = Fields::of(path, value)?;
        let filename = fields.optional_text("filename", MAX_TARGET_PATH)?;
        let class = fields.optional_text("class", MAX_TEXT)?;
        let image = match (filename, class) {
            (Some(filename), None) => ConstrainedImage::Filename(filename),
            (None, Some(class)) => ConstrainedImage::Class(class),
            _ => return fields.fail("filename", "must stand there, or class, and not both"),
        };
        Ok(Self {
            image,
            min_release_counter: fields.optional_unsigned("minReleaseCounter", 0)?,
            max_release_counter: fields.optional_unsigned("maxReleaseCounter", 0)?,
            extra: fields.rest(),
        })
    }

    fn to_value(&self) -> Value {
        let image = match &self.image {
            ConstrainedImage::Filename(text) => ("filename", text.as_str().into()),
            ConstrainedImage::Class(text) => ("class", text.as_str().into()),
        };
        let mut members = with(&self.extra, [image]);
        let bounds = [
            ("minReleaseCounter", self.min_release_counter),
            ("maxReleaseCounter", self.max_release_counter),
        ];
        for (name, bound) in bounds {
            if let Some(bound) = bound {
                members.insert(name.into(), bound.into());
            }
        }
        members.into()
    }
}

/// A list of at least one hardware id, without repetition.
pub(crate) fn take_hardware_ids(
    fields: &mut Fields<'_>,
    name: &str,
) -> Result<Vec<HardwareId>, MetadataError> {
    let path = fields.path_of(name);
    let texts = fields.strings(name)?;
    if !(1..=MAX_HARDWARE_IDS).contains(&texts.len()) {
        return fields.fail(name, format!("must list 1 to {MAX_HARDWARE_IDS}"));
    }
    let ids = texts.iter().map(|text| HardwareId::at(&path, text));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    match ids.iter().collect::<BTreeSet<_>>().len() == ids.len() {
        true => Ok(ids),
        false => fields.fail(name, "lists one hardware id twice"),
    }
}

fn constraints(fields: &mut Fields<'_>, name: &str) -> Result<Vec<Constraint>, MetadataError> {
    let path = fields.path_of(name);
    let items = match fields.members_has(name) {
        true => fields.array(name)?,
        false => Vec::new(),
    };
    if items.len() > MAX_CONSTRAINTS {
        return fields.fail(name, format!("lists more than {MAX_CONSTRAINTS}"));
    }
    let items = items.into_iter().enumerate();
    items
        .map(|(index, value)| Constraint::decode(format!("{path}[{index}]"), value))
        .collect()
}

/// A word that this version does not know could ask for more than it can give, so it is refused.
fn confidentiality(fields: &mut Fields<'_>) -> Result<Confidentiality, MetadataError> {
    match fields.optional_text("encryption", MAX_TEXT)?.as_deref() {
        None => Ok(Confidentiality::Public),
        Some("required") => Ok(Confidentiality::Required),
        Some(_) => fields.fail("encryption", "must be \"required\" where it stands"),
    }
}
