//! What every role file states about itself (TUF 4.2: `_type`, `spec_version`, `version`,
//! `expires`).

use alloc::string::{String, ToString};
use core::fmt;

use crate::document::Document;
use crate::error::{MetadataError, cut};
use crate::field::Fields;
use crate::json::{Object, Value};
use crate::time::UtcTime;

/// The four kinds of role files. Delegated roles are of kind Targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleType {
    /// Lists the keys of the four top-level roles.
    Root,
    /// Names the current Snapshot.
    Timestamp,
    /// Names the current Targets files.
    Snapshot,
    /// Describes images and delegates.
    Targets,
}

impl RoleType {
    /// All four, in the order a client meets them.
    pub const ALL: [Self; 4] = [Self::Root, Self::Timestamp, Self::Snapshot, Self::Targets];

    /// The name in `_type`, in Root's `roles` and in file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for RoleType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The fields all role files share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// `spec_version`: major version 1, two or three parts.
    pub spec_version: String,
    /// `version`, at least 1.
    pub version: u64,
    /// `expires`
    pub expires: UtcTime,
}

/// The specification version this project writes.
pub(crate) const SPEC_VERSION: &str = "1.0.34";

impl Header {
    /// A header for a file this project writes.
    pub fn new(version: u64, expires: UtcTime) -> Self {
        Self {
            spec_version: SPEC_VERSION.into(),
            version,
            expires,
        }
    }

    /// The header of the next version of the same file.
    #[must_use]
    pub fn next(&self, expires: UtcTime) -> Self {
        Self::new(self.version.saturating_add(1), expires)
    }

    /// Takes `_type` and the header fields.
    pub(crate) fn decode(fields: &mut Fields<'_>, kind: RoleType) -> Result<Self, MetadataError> {
        let found = fields.string("_type")?;
        if found != kind.name() {
            return Err(MetadataError::WrongRoleType {
                expected: kind,
                found: cut(&found),
            });
        }
        let spec_version = fields.string("spec_version")?;
        check_spec_version(&spec_version)?;
        let version = fields.unsigned("version", 1)?;
        Ok(Self {
            spec_version,
            version,
            expires: fields.time("expires")?,
        })
    }

    /// `extra` with `_type` and the header fields.
    pub(crate) fn to_members(&self, kind: RoleType, extra: &Object) -> Object {
        let known: [(&str, Value); 4] = [
            ("_type", kind.name().into()),
            ("spec_version", self.spec_version.as_str().into()),
            ("version", self.version.into()),
            ("expires", self.expires.to_string().into()),
        ];
        crate::field::with(extra, known)
    }
}

/// TUF 4.2: clients verify that `spec_version` is one they support. Ours is any 1.x or 1.x.y.
fn check_spec_version(text: &str) -> Result<(), MetadataError> {
    let number = |part: &str| {
        !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit())
    };
    let parts = text.split('.').count();
    let supported =
        text.starts_with("1.") && (2..=3).contains(&parts) && text.split('.').all(number);
    match supported {
        true => Ok(()),
        false => Err(MetadataError::UnsupportedSpecVersion { found: cut(text) }),
    }
}

/// A role file's content. Only this crate's four role types have it.
pub trait Role: Document {
    /// Which of the four it is.
    const TYPE: RoleType;

    /// The fields all roles share.
    fn header(&self) -> &Header;

    /// Unknown fields, kept and signed over.
    fn extra(&self) -> &Object;

    /// `version`.
    fn version(&self) -> u64 {
        self.header().version
    }

    /// `expires`.
    fn expires(&self) -> UtcTime {
        self.header().expires
    }
}
