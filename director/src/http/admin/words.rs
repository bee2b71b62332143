//! The words of the API: names in requests and answers, each with the rule that it keeps.

use std::borrow::Cow;
use std::fmt;

use countersign_metadata::uptane::{EcuSerial, Vin};
use countersign_metadata::{TargetPath, UtcTime};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::tokens::is_tenant;

/// One word: how it is read, and how the document describes it.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident($inner:ty), $read:expr, $schema:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) struct $name(pub(super) $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                let read: fn(&str) -> Result<$inner, String> = $read;
                read(&text).map(Self).map_err(D::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl $name {
            pub(super) fn described() -> Schema {
                let text = ObjectBuilder::new().schema_type(Type::String);
                let complete: fn(ObjectBuilder) -> ObjectBuilder = $schema;
                complete(text).build().into()
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                Self::described().into()
            }
        }

        impl ToSchema for $name {}
    };
}

/// As in certificates (docs/device-pki.md): the first character is a letter or digit, so that no name looks
/// like a step in a path.
const NAME: &str = r"^[A-Za-z0-9][!#-\[\]-~]*$";

fn begins_well(text: &str) -> Result<&str, String> {
    match text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        true => Ok(text),
        false => Err("a vehicle or ECU is called by a letter or digit first".into()),
    }
}

word!(
    /// A vehicle.
    VinText(Vin),
    |text| Vin::new(begins_well(text)?).map_err(|error| error.to_string()),
    |text| text
        .description(Some("The identifier of a vehicle"))
        .pattern(Some(NAME))
        .min_length(Some(1))
        .max_length(Some(64))
        .examples(["WVWZZZ1JZXW000001"])
);

word!(
    /// An ECU.
    Serial(EcuSerial),
    |text| EcuSerial::new(begins_well(text)?).map_err(|error| error.to_string()),
    |text| text
        .description(Some("The identifier of an ECU"))
        .pattern(Some(NAME))
        .min_length(Some(1))
        .max_length(Some(64))
        .examples(["BRAKE-1"])
);

word!(
    /// An image.
    Path(TargetPath),
    |text| TargetPath::new(text).map_err(|error| error.to_string()),
    |text| text
        .description(Some(
            "The path of an image in the Image repository: segments between `/`, none of them empty, `.` \
             or `..`; at most 2048 bytes"
        ))
        .pattern(Some(r"^(?!.*(^|/)(\.{0,2})(/|$))[^\\\x00-\x1f\x7f-\x9f]+$"))
        .min_length(Some(1))
        .max_length(Some(2048))
        .examples(["brake/3.1.img"])
);

word!(
    /// Whose a vehicle is.
    Tenant(String),
    |text| match is_tenant(text) {
        true => Ok(text.to_owned()),
        false => Err("a tenant has 1 to 64 letters, digits and -._, a letter or digit first".into()),
    },
    |text| text
        .description(Some("Whose a vehicle is"))
        .pattern(Some("^[A-Za-z0-9][A-Za-z0-9._-]*$"))
        .min_length(Some(1))
        .max_length(Some(64))
        .examples(["fleet-a"])
);

word!(
    /// Text for people.
    Remark(String),
    |text| {
        let fits = (1..=MAX_REMARK).contains(&text.chars().count());
        match fits && !text.chars().any(char::is_control) {
            true => Ok(text.to_owned()),
            false => Err(format!("write 1 to {MAX_REMARK} characters on one line")),
        }
    },
    |text| text
        .pattern(Some(r"^[^\x00-\x1f\x7f-\x9f]+$"))
        .min_length(Some(1))
        .max_length(Some(MAX_REMARK))
);

/// Characters of a text for people.
const MAX_REMARK: usize = 500;

/// A time, in UTC and whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(pub(super) UtcTime);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .examples(["2031-05-06T07:08:09Z"])
            .build()
            .into()
    }
}

impl ToSchema for Time {}
