//! The names of vehicles, ECUs and kinds of hardware.
//!
//! Uptane 5.2 asks for strings of RFC 5198 (Net-Unicode, form C), so that comparing is exact.
//! Printable ASCII is that by construction, and reads the same in every log and on every label.

use alloc::string::String;
use core::borrow::Borrow;
use core::fmt;

use crate::error::MetadataError;
use crate::limits::{MAX_HARDWARE_ID, MAX_SERIAL, MAX_VIN};

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $field:literal, $longest:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks `text`.
            ///
            /// # Errors
            /// [`MetadataError::Field`] when it is empty, too long, or has anything but printable
            /// ASCII without space, `"` and `\`.
            pub fn new(text: &str) -> Result<Self, MetadataError> {
                Self::at($field, text)
            }

            /// As [`Self::new`]; an error names `path`.
            pub(crate) fn at(path: &str, text: &str) -> Result<Self, MetadataError> {
                check(path, text, $longest)?;
                Ok(Self(text.into()))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

identifier! {
    /// The identifier of a vehicle: its VIN, or any other unique name of 1 to 64 characters.
    Vin, "vin", MAX_VIN
}
identifier! {
    /// The unique identifier of one ECU, 1 to 64 characters.
    EcuSerial, "ecu_serial", MAX_SERIAL
}
identifier! {
    /// The kind of hardware an image runs on, 1 to 200 characters.
    HardwareId, "hardwareId", MAX_HARDWARE_ID
}

fn check(path: &str, text: &str, longest: usize) -> Result<(), MetadataError> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    match (1..=longest).contains(&text.len()) && text.bytes().all(allowed) {
        true => Ok(()),
        false => Err(MetadataError::field(
            path,
            alloc::format!(
                "must be 1 to {longest} printable ASCII characters without space, quote or backslash"
            ),
        )),
    }
}
