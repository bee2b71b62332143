//! Which vehicle a Director's file is for.
//!
//! The standard puts a vehicle id into an empty Targets (5.2.3.1). Here every online file of the
//! Director names its vehicle: otherwise another vehicle's high version numbers could be replayed
//! to this one and lock it out.

use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::header::Role;
use crate::json::Object;
use crate::uptane::Vin;

/// `custom.vin` of a Director's Timestamp, Snapshot or Targets.
///
/// # Errors
/// [`MetadataError::Field`] when `custom` is not an object or `vin` is not an identifier.
pub fn vin_of<T: Role>(role: &T) -> Result<Option<Vin>, MetadataError> {
    vin_in(top_custom(role)?)
}

/// The vehicle that the top-level `custom` of a role file names.
pub(crate) fn vin_in(custom: Option<Fields<'_>>) -> Result<Option<Vin>, MetadataError> {
    let Some(mut custom) = custom else {
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

/// The path of the top-level `custom`.
pub(crate) const CUSTOM: &str = "signed.custom";

/// The top-level `custom` of a role file, where given.
pub(super) fn top_custom<T: Role>(role: &T) -> Result<Option<Fields<'static>>, MetadataError> {
    let custom = role.extra().get("custom").cloned();
    custom.map(|custom| Fields::of(CUSTOM, custom)).transpose()
}
