//! Snapshot: which Targets files are current (TUF 4.4).

mod meta_file;
mod meta_files;

use alloc::format;
use alloc::string::String;

use crate::canonical::{self, write_members, write_string};
use crate::document::{Decode, Document, SignatureForm};
use crate::envelope::Payload;
use crate::error::MetadataError;
use crate::field::{Fields, Large, with};
use crate::hashes::Hashes;
use crate::header::{Header, Role, RoleType};
use crate::json::{Object, Value};
use crate::places::Places;
use crate::scan::{PlainFile, Scanner};
use crate::time::UtcTime;

pub use meta_files::MetaFiles;

/// What Timestamp or Snapshot says of one metadata file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaFile {
    /// `version`, at least 1.
    pub version: u64,
    /// `length` in bytes, where given.
    pub length: Option<u64>,
    /// `hashes` of the file as published, where given.
    pub hashes: Option<Hashes>,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

impl MetaFile {
    /// By version alone.
    pub fn version(version: u64) -> Self {
        Self {
            version,
            length: None,
            hashes: None,
            extra: Object::new(),
        }
    }

    /// With length and hashes of `file`, the bytes to be published.
    pub fn describing(version: u64, file: &[u8]) -> Self {
        Self {
            length: Some(file.len() as u64),
            hashes: Some(Hashes::of(file)),
            ..Self::version(version)
        }
    }

    /// What stands somewhere else than in a file, as in a database.
    ///
    /// # Errors
    /// [`MetadataError::Field`] names what is missing or wrong.
    pub fn of(value: &Value) -> Result<Self, MetadataError> {
        Self::decode("meta", value.clone())
    }

    pub(crate) fn decode(path: impl Into<String>, value: Value) -> Result<Self, MetadataError> {
        let mut fields = Fields::of(path, value)?;
        let version = fields.unsigned("version", 1)?;
        let length = fields.optional_unsigned("length", 0)?;
        let hashes = fields.optional_fields("hashes")?;
        let hashes = hashes.map(Hashes::decode).transpose()?;
        Ok(Self {
            version,
            length,
            hashes,
            extra: fields.rest(),
        })
    }

    /// An entry as it stands in canonical text; `path` leads to it.
    fn read(
        scanner: &mut Scanner<'_>,
        path: impl FnOnce() -> String,
    ) -> Result<Self, MetadataError> {
        match scanner.plain_file(Self::of_plain) {
            Some(file) => Ok(file),
            None => Self::decode(path(), scanner.canonical_value()?),
        }
    }

    fn of_plain(file: PlainFile<'_>) -> Option<Self> {
        let hashes = match file.sha256.or(file.sha512) {
            Some(_) => Some(Hashes::of_plain(&file)?),
            None => None,
        };
        Some(Self {
            length: file.length,
            hashes,
            ..Self::version(file.version.filter(|version| *version >= 1)?)
        })
    }

    /// The form that [`MetaFile::of`] reads.
    pub fn to_value(&self) -> Value {
        let mut members = with(&self.extra, [("version", self.version.into())]);
        if let Some(length) = self.length {
            members.insert("length".into(), length.into());
        }
        if let Some(hashes) = &self.hashes {
            members.insert("hashes".into(), hashes.to_value());
        }
        members.into()
    }
}

/// The content of a Snapshot file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The fields all roles share.
    pub header: Header,
    /// `meta`, by file name: `targets.json` and one `ROLE.json` for each delegated role.
    pub meta: MetaFiles,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

impl Document for Snapshot {
    const NAME: &'static str = Self::TYPE.name();
    const SIGNATURES: SignatureForm = SignatureForm::Plain;
}

impl Role for Snapshot {
    const TYPE: RoleType = RoleType::Snapshot;

    fn header(&self) -> &Header {
        &self.header
    }

    fn extra(&self) -> &Object {
        &self.extra
    }
}

impl Snapshot {
    /// Version 1, listing nothing yet.
    pub fn new(expires: UtcTime) -> Self {
        Self {
            header: Header::new(1, expires),
            meta: MetaFiles::default(),
            extra: Object::new(),
        }
    }

    /// The same content as the next version, for editing.
    #[must_use]
    pub fn next(&self, expires: UtcTime) -> Self {
        Self {
            header: self.header.next(expires),
            ..self.clone()
        }
    }

    /// The entry of a Targets role (`targets` or a delegated one).
    pub fn role(&self, role: &str) -> Option<MetaFile> {
        self.meta.get(&format!("{role}.json"))
    }

    /// Sets the entry of a Targets role.
    pub fn set_role(&mut self, role: &str, file: MetaFile) {
        self.meta.insert(format!("{role}.json"), file);
    }

    /// The canonical payload of this content, to be signed.
    pub fn to_payload(&self) -> String {
        // "meta" is most of the file, so it is written in place rather than built first.
        let members = self.header.to_members(Self::TYPE, &self.extra);
        let members = with(&members, [("meta", Value::Null)]);
        let mut out = String::new();
        write_members(&mut out, &members, |out, (name, value)| {
            write_string(out, name);
            out.push(':');
            match name.as_str() {
                "meta" => self.meta.write(out),
                _ => canonical::write(out, value),
            }
        });
        out
    }
}

impl Decode for Snapshot {
    fn decode(payload: &Payload) -> Result<Self, MetadataError> {
        let mut listed = Large::new();
        let entries = |scanner: &mut Scanner<'_>| {
            Places::read(payload, scanner, |scanner, name| {
                MetaFile::read(scanner, || format!("signed.meta.{name}")).map(drop)
            })
        };
        let mut fields = Fields::beside(
            "signed",
            &mut Scanner::canonical(payload),
            &mut |scanner, name| match name {
                "meta" => Some(listed.read(scanner, entries)),
                _ => None,
            },
        )?;
        Ok(Self {
            header: Header::decode(&mut fields, Self::TYPE)?,
            meta: MetaFiles::of(listed.required(&fields, "meta")?),
            extra: fields.rest(),
        })
    }
}
