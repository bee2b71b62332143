//! Joining signatures to a payload.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::canonical;
use crate::crypto;
use crate::entries::HASH_FUNCTION;
use crate::field::with;
use crate::json::{Object, Value};
use crate::key::{Key, KeyId};

/// A payload on its way to a published file: what tools sign, and where signatures are joined.
#[derive(Debug, Clone)]
pub struct Unsigned {
    payload: String,
    signatures: Vec<Joined>,
}

#[derive(Debug, Clone)]
struct Joined {
    keyid: KeyId,
    method: Option<String>,
    signature: Vec<u8>,
}

impl Unsigned {
    /// Around a document's canonical payload.
    pub fn new(payload: String) -> Self {
        Self {
            payload,
            signatures: Vec::new(),
        }
    }

    /// The bytes to sign.
    pub fn payload(&self) -> &[u8] {
        self.payload.as_bytes()
    }

    /// Adds a signature, in place of an earlier one with the same key id.
    pub fn add_signature(&mut self, keyid: KeyId, signature: Vec<u8>) {
        self.join(keyid, None, signature);
    }

    /// As [`Unsigned::add_signature`], with what a report has to state of the key.
    pub fn add_signature_by(&mut self, key: &Key, signature: Vec<u8>) {
        self.join(key.id(), Some(key.scheme.clone()), signature);
    }

    fn join(&mut self, keyid: KeyId, method: Option<String>, signature: Vec<u8>) {
        self.signatures.retain(|known| known.keyid != keyid);
        self.signatures.push(Joined {
            keyid,
            method,
            signature,
        });
    }

    /// The file to publish: canonical JSON, with control characters escaped where a PEM key
    /// brought any.
    pub fn to_file(&self) -> Vec<u8> {
        self.file(self.signatures.iter().map(Joined::plain).collect())
    }

    /// The file of an ECU version report or a vehicle version manifest, whose signatures state
    /// method and hash ([`SignatureForm::Report`](crate::SignatureForm)). Only signatures that
    /// came by [`Unsigned::add_signature_by`] stand in it: of others the method is not known.
    pub fn to_report_file(&self) -> Vec<u8> {
        let hash = hex::encode(crypto::sha256(self.payload()));
        let entries = self.signatures.iter();
        self.file(entries.filter_map(|entry| entry.stating(&hash)).collect())
    }

    fn file(&self, signatures: Value) -> Vec<u8> {
        let signatures = canonical::encode(&signatures);
        let file = format!(
            "{{\"signatures\":{signatures},\"signed\":{}}}",
            self.payload
        );
        canonical::to_json(&file).into_bytes()
    }
}

impl Joined {
    fn plain(&self) -> Value {
        self.members().into()
    }

    fn stating(&self, hash: &str) -> Option<Value> {
        let stated = [
            ("method", self.method.as_deref()?.into()),
            ("hash_function", HASH_FUNCTION.into()),
            ("hash", hash.into()),
        ];
        Some(with(&self.members(), stated).into())
    }

    fn members(&self) -> Object {
        let members = [
            ("keyid", self.keyid.as_str().into()),
            ("sig", hex::encode(&self.signature).into()),
        ];
        with(&Object::new(), members)
    }
}
