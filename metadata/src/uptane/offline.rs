//! What an Offline Targets file says of itself (PURE-2).
//!
//! An Offline Snapshot lists names and versions, and one key signs all Offline Targets files. So each
//! says in its signed part which one it is: otherwise the bytes of one could stand under the name of
//! another one of the same version.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::header::RoleType;
use crate::json::{Object, Value};
use crate::limits::{MAX_OFFLINE_NAME, MAX_VINS};
use crate::targets::Targets;
use crate::uptane::Vin;
use crate::uptane::vehicle::{CUSTOM, top_custom};

/// The name of an Offline Targets file: 1 to 64 ASCII letters, digits, `-`, `_` and `.`, of which the
/// first is a letter or digit; not that of a top-level role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfflineName(String);

impl OfflineName {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`MetadataError::Field`]
    pub fn new(text: &str) -> Result<Self, MetadataError> {
        Self::at("name", text)
    }

    pub(crate) fn at(path: &str, text: &str) -> Result<Self, MetadataError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let plain = (1..=MAX_OFFLINE_NAME).contains(&text.len())
            && text.bytes().all(allowed)
            && text.starts_with(|first: char| first.is_ascii_alphanumeric());
        match plain && RoleType::from_name(text).is_none() {
            true => Ok(Self(text.into())),
            false => Err(MetadataError::field(
                path,
                format!(
                    "must be 1 to {MAX_OFFLINE_NAME} letters, digits, '-', '_' or '.', start with a \
                     letter or digit, and not be the name of a top-level role"
                ),
            )),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OfflineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `custom` at the top level of an Offline Targets file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineCustom {
    /// `name`: which file it is.
    pub name: OfflineName,
    /// `vins`: the only vehicles it is for, where given; 1 to 4,096.
    pub vins: Option<Vec<Vin>>,
}

impl OfflineCustom {
    /// What `targets` says.
    ///
    /// # Errors
    /// [`MetadataError::Field`] names what is missing or wrong.
    pub fn of(targets: &Targets) -> Result<Self, MetadataError> {
        Self::decode(top_custom(targets)?)
    }

    pub(crate) fn decode(custom: Option<Fields<'_>>) -> Result<Self, MetadataError> {
        let Some(mut custom) = custom else {
            return Err(MetadataError::field(CUSTOM, "is missing"));
        };
        let name = OfflineName::at(&custom.path_of("name"), &custom.string("name")?)?;
        if !custom.members_has("vins") {
            return Ok(Self { name, vins: None });
        }
        let path = custom.path_of("vins");
        let texts = custom.strings("vins")?;
        if !(1..=MAX_VINS).contains(&texts.len()) {
            return custom.fail("vins", format!("must list 1 to {MAX_VINS} vehicles"));
        }
        let vins = texts.iter().map(|text| Vin::at(&path, text));
        let vins = vins.collect::<Result<_, _>>().map(Some)?;
        Ok(Self { name, vins })
    }

    /// As the value of `custom`.
    pub fn to_object(&self) -> Object {
        let mut custom = with(&Object::new(), [("name", self.name.as_str().into())]);
        if let Some(vins) = &self.vins {
            let vins: Value = vins.iter().map(|vin| vin.as_str().into()).collect();
            custom.insert("vins".into(), vins);
        }
        custom
    }
}
