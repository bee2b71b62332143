//! Timestamp: which Snapshot is current (TUF 4.6).

use alloc::string::String;

use crate::canonical;
use crate::document::{Decode, Document, SignatureForm};
use crate::envelope::Payload;
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::header::{Header, Role, RoleType};
use crate::json::{Object, parse_canonical};
use crate::snapshot::MetaFile;
use crate::time::UtcTime;

/// The content of a Timestamp file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    /// The fields all roles share.
    pub header: Header,
    /// `meta["snapshot.json"]`
    pub snapshot: MetaFile,
    /// Further entries of `meta`, kept and signed over but never used: the specification has none.
    pub other_meta: Object,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

impl Document for Timestamp {
    const NAME: &'static str = Self::TYPE.name();
    const SIGNATURES: SignatureForm = SignatureForm::Plain;
}

impl Role for Timestamp {
    const TYPE: RoleType = RoleType::Timestamp;

    fn header(&self) -> &Header {
        &self.header
    }

    fn extra(&self) -> &Object {
        &self.extra
    }
}

impl Timestamp {
    /// Version 1.
    pub fn new(expires: UtcTime, snapshot: MetaFile) -> Self {
        Self {
            header: Header::new(1, expires),
            snapshot,
            other_meta: Object::new(),
            extra: Object::new(),
        }
    }

    /// The next version, naming `snapshot`.
    #[must_use]
    pub fn next(&self, expires: UtcTime, snapshot: MetaFile) -> Self {
        Self {
            header: self.header.next(expires),
            snapshot,
            ..self.clone()
        }
    }

    /// The canonical payload of this content, to be signed.
    pub fn to_payload(&self) -> String {
        let meta = with(
            &self.other_meta,
            [("snapshot.json", self.snapshot.to_value())],
        );
        let members = self.header.to_members(Self::TYPE, &self.extra);
        canonical::encode(&with(&members, [("meta", meta.into())]).into())
    }
}

impl Decode for Timestamp {
    fn decode(payload: &Payload) -> Result<Self, MetadataError> {
        let mut fields = Fields::of("signed", parse_canonical(payload)?)?;
        let header = Header::decode(&mut fields, Self::TYPE)?;
        let mut meta = Fields::of(fields.path_of("meta"), fields.required("meta")?)?;
        let path = meta.path_of("snapshot.json");
        let snapshot = MetaFile::decode(path, meta.required("snapshot.json")?)?;
        Ok(Self {
            header,
            snapshot,
            other_meta: meta.rest(),
            extra: fields.rest(),
        })
    }
}
