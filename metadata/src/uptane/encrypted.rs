//! What the Director adds for an image that travels encrypted (Uptane 5.2.3.1.1).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::hashes::Hashes;
use crate::json::{Object, Value};
use crate::key::KeyId;
use crate::limits::{MAX_TEXT, MAX_WRAPPED_KEY};
use crate::path::TargetPath;

/// The encrypted form of an image. The target itself describes the plaintext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedTarget {
    /// `filename`: where the ciphertext is.
    pub filename: TargetPath,
    /// `length` of the ciphertext in bytes.
    pub length: u64,
    /// `hashes` of the ciphertext.
    pub hashes: Hashes,
    /// `method`: the name of the encryption format.
    pub method: String,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

impl EncryptedTarget {
    /// A ciphertext without further fields.
    pub fn new(filename: TargetPath, length: u64, hashes: Hashes, method: &str) -> Self {
        Self {
            filename,
            length,
            hashes,
            method: method.into(),
            extra: Object::new(),
        }
    }

    pub(super) fn decode(mut fields: Fields<'_>) -> Result<Self, MetadataError> {
        let filename = fields.target_path("filename")?;
        let length = fields.unsigned("length", 0)?;
        let hashes = Hashes::decode(fields.fields("hashes")?)?;
        let method = fields.text("method", MAX_TEXT)?;
        Ok(Self {
            filename,
            length,
            hashes,
            method,
            extra: fields.rest(),
        })
    }

    pub(super) fn to_value(&self) -> Value {
        let members = [
            ("filename", self.filename.as_str().into()),
            ("length", self.length.into()),
            ("hashes", self.hashes.to_value()),
            ("method", self.method.as_str().into()),
        ];
        with(&self.extra, members).into()
    }
}

/// A content key, wrapped to one ECU's encryption key (HPKE, RFC 9180).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// `keyid` of the ECU's encryption key.
    pub keyid: KeyId,
    /// `enc`: the encapsulated key.
    pub enc: Vec<u8>,
    /// `ct`: the sealed content key.
    pub ct: Vec<u8>,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

impl WrappedKey {
    /// A wrapped key without further fields.
    pub fn new(keyid: KeyId, enc: Vec<u8>, ct: Vec<u8>) -> Self {
        Self {
            keyid,
            enc,
            ct,
            extra: Object::new(),
        }
    }

    /// Reads `{"keyid": .., "enc": HEX, "ct": HEX}`.
    ///
    /// # Errors
    /// [`MetadataError::Field`] names what is missing, not hexadecimal or too long.
    pub fn of(value: &Value) -> Result<Self, MetadataError> {
        Self::decode(Fields::of("wrappedKey", value.clone())?)
    }

    pub(super) fn decode(mut fields: Fields<'_>) -> Result<Self, MetadataError> {
        let keyid = KeyId::new(fields.string("keyid")?)?;
        let enc = fields.hex("enc", MAX_WRAPPED_KEY)?;
        let ct = fields.hex("ct", MAX_WRAPPED_KEY)?;
        Ok(Self {
            keyid,
            enc,
            ct,
            extra: fields.rest(),
        })
    }

    /// The form that [`WrappedKey::of`] reads.
    pub fn to_value(&self) -> Value {
        let members = [
            ("keyid", self.keyid.as_str().into()),
            ("enc", hex::encode(&self.enc).into()),
            ("ct", hex::encode(&self.ct).into()),
        ];
        with(&self.extra, members).into()
    }
}
