//! Types of the metadata as JSON strings, for serde.

use countersign_metadata::uptane::{EcuSerial, HardwareId, Nonce, OfflineName, Vin};
use countersign_metadata::{TargetPath, UtcTime};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What has one text form, strict to read.
pub(super) trait Text: Sized {
    fn to_text(&self) -> String;
    /// # Errors
    /// What is wrong with it.
    fn from_text(text: &str) -> Result<Self, String>;
}

/// For `#[serde(with = "text")]`.
pub(super) fn serialize<T: Text, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    value.to_text().serialize(to)
}

/// For `#[serde(with = "text")]`.
pub(super) fn deserialize<'de, T: Text, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    T::from_text(&text).map_err(D::Error::custom)
}

/// For `#[serde(with = "text::optional")]`.
pub(super) mod optional {
    use super::{Deserialize, Deserializer, Error, Serialize, Serializer, Text};

    pub(in crate::uptane) fn serialize<T: Text, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Text::to_text).serialize(to)
    }

    pub(in crate::uptane) fn deserialize<'de, T: Text, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let read = text.map(|text| T::from_text(&text));
        read.transpose().map_err(D::Error::custom)
    }
}

macro_rules! text {
    ($($type:ty, $read:expr;)*) => {
        $(impl Text for $type {
            fn to_text(&self) -> String {
                self.to_string()
            }

            fn from_text(text: &str) -> Result<Self, String> {
                let read: fn(&str) -> Result<Self, _> = $read;
                read(text).map_err(|error| error.to_string())
            }
        })*
    };
}

text! {
    Vin, Vin::new;
    EcuSerial, EcuSerial::new;
    HardwareId, HardwareId::new;
    OfflineName, OfflineName::new;
    TargetPath, |text| TargetPath::new(text);
    UtcTime, |text| text.parse::<UtcTime>();
    Nonce, nonce;
}

fn nonce(text: &str) -> Result<Nonce, &'static str> {
    match <[u8; 16]>::try_from(hex::decode(text).unwrap_or_default()) {
        Ok(bytes) => Ok(Nonce(bytes)),
        Err(_) => Err("a nonce has 16 bytes in hexadecimal"),
    }
}
