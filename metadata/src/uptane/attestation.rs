//! Time attestation: what time it is, on the word of a time server (Uptane 5.4.2.2).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::canonical;
use crate::document::{Decode, Document, SignatureForm, take_type};
use crate::envelope::Payload;
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::json::{Object, parse_canonical};
use crate::limits::MAX_NONCES;
use crate::time::UtcTime;

/// A number used once: proof that an attestation was made after an ECU asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub [u8; 16]);

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The content of a time attestation. Signed by the time server that the Director's Root names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeAttestation {
    /// `time`
    pub time: UtcTime,
    /// `nonces` that were sent to the time server; at most [`MAX_NONCES`].
    pub nonces: Vec<Nonce>,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

impl Document for TimeAttestation {
    const NAME: &'static str = "time-attestation";
    const SIGNATURES: SignatureForm = SignatureForm::Plain;
}

impl TimeAttestation {
    /// The canonical payload of this content, to be signed.
    pub fn to_payload(&self) -> String {
        let nonces = self.nonces.iter().map(|nonce| nonce.to_string().into());
        let members = [
            ("_type", Self::NAME.into()),
            ("time", self.time.to_string().into()),
            ("nonces", nonces.collect()),
        ];
        canonical::encode(&with(&self.extra, members).into())
    }
}

impl Decode for TimeAttestation {
    fn decode(payload: &Payload) -> Result<Self, MetadataError> {
        let mut fields = Fields::of("signed", parse_canonical(payload)?)?;
        take_type::<Self>(&mut fields)?;
        Ok(Self {
            time: fields.time("time")?,
            nonces: nonces(&mut fields)?,
            extra: fields.rest(),
        })
    }
}

fn nonces(fields: &mut Fields<'_>) -> Result<Vec<Nonce>, MetadataError> {
    let texts = fields.strings("nonces")?;
    if texts.len() > MAX_NONCES {
        return fields.fail("nonces", format!("has more than {MAX_NONCES}"));
    }
    let nonce = |text: &String| {
        let mut nonce = [0; 16];
        match hex::decode_to_slice(text, &mut nonce) {
            Ok(()) => Ok(Nonce(nonce)),
            Err(_) => fields.fail("nonces", "must be 16 bytes in hexadecimal each"),
        }
    };
    texts.iter().map(nonce).collect()
}
