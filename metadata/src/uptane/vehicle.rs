//! Which vehicle a Director's file is for.
//!
//! The standard puts a vehicle id into an empty Targets (5.2.3.1). Here every online file of the
//! Director names its vehicle: otherwise another vehicle's high version numbers could be replayed
//! to this one and lock it out.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::header::Role;
use crate::json::{Object, Value};
use crate::limits::MAX_VINS;
use crate::targets::Targets;
use crate::uptane::Vin;

/// `custom.vin` of a Director's Timestamp, Snapshot or Targets.
///
/// # Errors
/// [`MetadataError::Field`] when `custom` is not an object or `vin` is not an identifier.
pub fn vin_of<T: Role>(role: &T) -> Result<Option<Vin>, MetadataError> {
    let Some(mut custom) = top_custom(role)? else {
        return Ok(None);
    };
    match custom.members_has("vin") {
        true => {
            let text = custom.string("vin")?;
            Ok(Some(Vin::at(&custom.path_of("vin"), &text)?))
        }
        false => Ok(None),
    }
}

/// `custom.vins` of an Offline Targets file: the only vehicles it is for, where given.
///
/// # Errors
/// [`MetadataError::Field`] when it is not a list of 1 to [`MAX_VINS`] identifiers.
pub fn vins_of(targets: &Targets) -> Result<Option<Vec<Vin>>, MetadataError> {
    let Some(mut custom) = top_custom(targets)? else {
        return Ok(None);
    };
    if !custom.members_has("vins") {
        return Ok(None);
    }
    let path = custom.path_of("vins");
    let texts = custom.strings("vins")?;
    if !(1..=MAX_VINS).contains(&texts.len()) {
        return custom.fail("vins", format!("must list 1 to {MAX_VINS} vehicles"));
    }
    let vins = texts.iter().map(|text| Vin::at(&path, text));
    vins.collect::<Result<_, _>>().map(Some)
}

/// A `custom` that names one vehicle, for the `extra` of a Director's role.
///
/// ```
/// use countersign_metadata::uptane::{Vin, custom_with_vin, vin_of};
/// use countersign_metadata::{Snapshot, UtcTime};
///
/// let vin = Vin::new("WDD2040082R088866")?;
/// let mut snapshot = Snapshot::new("2030-01-01T00:00:00Z".parse::<UtcTime>()?);
/// snapshot.extra.insert("custom".into(), custom_with_vin(&vin).into());
/// assert_eq!(vin_of(&snapshot)?, Some(vin));
/// # Ok::<(), countersign_metadata::MetadataError>(())
/// ```
pub fn custom_with_vin(vin: &Vin) -> Object {
    with(&Object::new(), [("vin", vin.as_str().into())])
}

/// A `custom` that names the vehicles of an Offline Targets file.
pub fn custom_with_vins(vins: &[Vin]) -> Object {
    let vins: Value = vins.iter().map(|vin| vin.as_str().into()).collect();
    with(&Object::new(), [("vins", vins)])
}

/// The top-level `custom` of a role file, where given.
pub(super) fn top_custom<T: Role>(role: &T) -> Result<Option<Fields>, MetadataError> {
    let custom = role.extra().get("custom").cloned();
    custom
        .map(|custom| Fields::of(String::from("signed.custom"), custom))
        .transpose()
}
