//! Signers with fixed keys, and files made with them.

use std::collections::BTreeMap;

use countersign_metadata::canonical::{encode, to_json};
use countersign_metadata::json::parse;
use countersign_metadata::{
    Authority, Document, Key, KeyId, MetadataError, PublicKey, RoleKeys, SignatureForm, Signed,
    Unsigned, UtcTime,
};
use ed25519_dalek::{Signer as _, SigningKey};

/// A test key: the same one for the same number.
pub struct TestKey(SigningKey);

impl TestKey {
    pub fn new(number: u8) -> Self {
        Self(SigningKey::from_bytes(&[number; 32]))
    }

    pub fn public(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.verifying_key().to_bytes())
    }

    pub fn key(&self) -> Key {
        Key::new(&self.public())
    }

    pub fn id(&self) -> KeyId {
        self.key().id()
    }

    pub fn sign(&self, payload: &str) -> String {
        hex(&self.0.sign(payload.as_bytes()).to_bytes())
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn id(text: &str) -> KeyId {
    KeyId::new(text).unwrap()
}

pub fn time() -> UtcTime {
    "2033-05-18T03:33:20Z".parse().unwrap()
}

/// The canonical form of a JSON text.
pub fn canonical(json: &str) -> String {
    encode(&parse(json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}")))
}

/// `threshold` of these keys, under the ids that stand beside them.
pub fn authority(keys: &[(&str, Key)], threshold: u32) -> Authority {
    let map: BTreeMap<KeyId, Key> = keys
        .iter()
        .map(|(name, key)| (id(name), key.clone()))
        .collect();
    let role_keys = RoleKeys::new(keys.iter().map(|(name, _)| id(name)), threshold);
    Authority::assume("test", &role_keys, &map)
}

/// A published file: `payload` in canonical form, and these `keyid`s with these `sig`s.
pub fn file(payload: &str, signatures: &[(&str, String)]) -> Vec<u8> {
    let entries: Vec<String> = signatures
        .iter()
        .map(|(keyid, sig)| format!(r#"{{"keyid":"{keyid}","sig":"{sig}"}}"#))
        .collect();
    let text = format!(
        r#"{{"signatures":[{}],"signed":{payload}}}"#,
        entries.join(",")
    );
    to_json(&text).into_bytes()
}

/// The file of `payload`, signed by `signer` in the form that `T` asks for.
pub fn signed_file<T: Document>(payload: &str, signer: &TestKey) -> Vec<u8> {
    let mut file = Unsigned::new(payload.into());
    let signature = signer.0.sign(payload.as_bytes()).to_bytes();
    file.add_signature_by(&signer.key(), signature.into());
    match T::SIGNATURES {
        SignatureForm::Plain => file.to_file(),
        SignatureForm::Report => file.to_report_file(),
    }
}

/// The one key `signer`, by its own id.
pub fn authority_of(signer: &TestKey) -> Authority {
    authority(&[(signer.id().as_str(), signer.key())], 1)
}

/// Decodes `payload` (any JSON) as a document that one key has signed.
pub fn decode<T: Document + Clone>(payload: &str) -> Result<(T, String), MetadataError> {
    let signer = TestKey::new(1);
    let payload = canonical(payload);
    let file = signed_file::<T>(&payload, &signer);
    let verified = Signed::<T>::parse(file)?.verify(&authority_of(&signer))?;
    assert_eq!(&**verified.payload(), payload);
    Ok((verified.content().clone(), payload))
}

/// What a document's error says, for a payload that must not decode.
pub fn refusal<T: Document + Clone>(payload: &str) -> String {
    match decode::<T>(payload) {
        Ok(_) => panic!("accepted: {payload}"),
        Err(error) => error.to_string(),
    }
}
