//! Public keys: as metadata writes them, and as material that signatures are checked with.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::canonical;
use crate::crypto;
#[cfg(any(feature = "p256", feature = "p384"))]
use crate::curve;
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::json::{Object, Value};
use crate::limits::{MAX_KEYID_LEN, RSA_BITS};
use crate::pem;
use crate::spki;

/// The name of a key. Opaque (TAP 12): nothing is concluded from its spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// Any text of 1 to [`MAX_KEYID_LEN`] bytes.
    ///
    /// # Errors
    /// [`MetadataError::Field`] when it is empty or longer.
    pub fn new(text: impl Into<String>) -> Result<Self, MetadataError> {
        let text = text.into();
        match text.len() {
            1..=MAX_KEYID_LEN => Ok(Self(text)),
            _ => Err(MetadataError::field("keyid", "must have 1 to 512 bytes")),
        }
    }

    /// The digest in hexadecimal.
    pub(crate) fn of_digest(digest: [u8; 32]) -> Self {
        Self(hex::encode(digest))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key as a metadata file lists it, of a known type or not (TUF 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// `keytype`
    pub keytype: String,
    /// `scheme`
    pub scheme: String,
    /// `keyval`; for the types this crate knows, `{"public": TEXT}`.
    pub keyval: Object,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

/// The signature schemes this crate knows, by their names in metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `ed25519` (RFC 8032).
    Ed25519,
    /// `ecdsa-sha2-nistp256`, signatures in DER.
    EcdsaP256,
    /// `ecdsa-sha2-nistp384`, signatures in DER.
    EcdsaP384,
    /// `rsassa-pss-sha256`, salt of 32 bytes.
    RsaPss,
}

impl Scheme {
    /// The name in metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::RsaPss => "rsassa-pss-sha256",
        }
    }
}

/// Decoded key material. Two keys are the same key when these are equal, whatever their ids and
/// spellings; a threshold counts these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PublicKey {
    /// The 32 bytes of RFC 8032.
    Ed25519([u8; 32]),
    /// Uncompressed SEC 1 point on P-256.
    EcdsaP256([u8; 65]),
    /// Uncompressed SEC 1 point on P-384.
    EcdsaP384([u8; 97]),
    /// RSA, both numbers big-endian without leading zeros; modulus of 2048 to 4096 bits.
    Rsa {
        /// n
        modulus: Vec<u8>,
        /// e
        exponent: Vec<u8>,
    },
}

impl PublicKey {
    /// The scheme this key signs with.
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Ed25519(_) => Scheme::Ed25519,
            Self::EcdsaP256(_) => Scheme::EcdsaP256,
            Self::EcdsaP384(_) => Scheme::EcdsaP384,
            Self::Rsa { .. } => Scheme::RsaPss,
        }
    }

    /// A point on P-256 (65 or 33 bytes) or P-384 (97 or 49 bytes) in SEC 1 form.
    /// `None` if it is not on the curve, or without the feature of that curve.
    pub fn from_sec1(point: &[u8]) -> Option<Self> {
        match point.len() {
            #[cfg(feature = "p256")]
            33 | 65 => curve::p256::uncompressed(point).map(Self::EcdsaP256),
            #[cfg(feature = "p384")]
            49 | 97 => curve::p384::uncompressed(point).map(Self::EcdsaP384),
            _ => None,
        }
    }

    /// RSA from big-endian numbers. `None` if the modulus is outside 2048 to 4096 bits.
    pub fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let trim = |number: &[u8]| -> Vec<u8> {
            number
                .iter()
                .copied()
                .skip_while(|byte| *byte == 0)
                .collect()
        };
        let (modulus, exponent) = (trim(modulus), trim(exponent));
        let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
        let odd = exponent.last()? & 1 == 1;
        (RSA_BITS.contains(&bits) && odd).then_some(Self::Rsa { modulus, exponent })
    }

    /// From a DER SubjectPublicKeyInfo (RFC 5280) with a P-256, P-384 or RSA key. RSA keys are unknown without
    /// the feature `ring`.
    pub fn from_spki_der(der: &[u8]) -> Option<Self> {
        for (curve, scheme) in [
            (spki::P256, Scheme::EcdsaP256),
            (spki::P384, Scheme::EcdsaP384),
        ] {
            if let Some(point) = spki::point(der, curve) {
                return Self::from_sec1(point).filter(|key| key.scheme() == scheme);
            }
        }
        let (modulus, exponent) = spki::rsa(der)?;
        Self::from_rsa(modulus, exponent)
    }

    /// As metadata writes it in `keyval.public`: hexadecimal for Ed25519, a PEM
    /// SubjectPublicKeyInfo for the others.
    pub fn to_text(&self) -> String {
        let info = match self {
            Self::Ed25519(key) => return hex::encode(key),
            Self::EcdsaP256(point) => spki::encode(spki::P256, point),
            Self::EcdsaP384(point) => spki::encode(spki::P384, point),
            Self::Rsa { modulus, exponent } => spki::encode_rsa(modulus, exponent),
        };
        pem::encode(&info)
    }

    /// Names the key by its material: SHA-256 of the scheme and the bytes of the public key.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut named = Vec::from(self.scheme().name());
        named.push(b'\n');
        match self {
            Self::Ed25519(point) => named.extend_from_slice(point),
            Self::EcdsaP256(point) => named.extend_from_slice(point),
            Self::EcdsaP384(point) => named.extend_from_slice(point),
            Self::Rsa { modulus, exponent } => {
                // Each by its digest, which has a fixed length.
                named.extend_from_slice(&crypto::sha256(modulus));
                named.extend_from_slice(&crypto::sha256(exponent));
            }
        }
        crypto::sha256(&named)
    }

    /// Whether `signature` over `message` is valid under this key.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        crypto::verify(self, message, signature)
    }
}

impl Key {
    /// The key as this project writes it.
    pub fn new(public: &PublicKey) -> Self {
        let keytype = match public {
            PublicKey::Ed25519(_) => "ed25519",
            PublicKey::EcdsaP256(_) | PublicKey::EcdsaP384(_) => "ecdsa",
            PublicKey::Rsa { .. } => "rsa",
        };
        Self {
            keytype: keytype.into(),
            scheme: public.scheme().name().into(),
            keyval: Object::from_iter([("public".into(), public.to_text().into())]),
            extra: Object::new(),
        }
    }

    /// SHA-256, in hexadecimal, over the canonical form of `keytype`, `scheme` and `keyval`
    /// (TUF 4.2).
    pub fn id(&self) -> KeyId {
        let text = canonical::encode(&self.core().into());
        KeyId::of_digest(crypto::sha256(text.as_bytes()))
    }

    /// The key material; `None` for a type or scheme this crate does not know, and for material
    /// that cannot be decoded. Such a key counts nothing and harms nothing.
    pub fn public(&self) -> Option<PublicKey> {
        let text = self.keyval.get("public")?.as_str()?;
        let key = match self.keytype.as_str() {
            "ed25519" => {
                let mut key = [0; 32];
                hex::decode_to_slice(text, &mut key).ok()?;
                PublicKey::Ed25519(key)
            }
            "ecdsa" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "rsa" => {
                PublicKey::from_spki_der(&pem::decode(text.trim())?)?
            }
            _ => return None,
        };
        let of_type = (self.keytype == "rsa") == matches!(key, PublicKey::Rsa { .. });
        (of_type && self.scheme == key.scheme().name()).then_some(key)
    }

    /// Reads one entry of a `keys` object. Whether anything can be verified with it, [`Key::public`]
    /// tells.
    ///
    /// # Errors
    /// [`MetadataError::Field`] names what is missing or wrong.
    pub fn of(value: &Value) -> Result<Self, MetadataError> {
        Self::decode(Fields::of("key", value.clone())?)
    }

    pub(crate) fn decode(mut fields: Fields<'_>) -> Result<Self, MetadataError> {
        Ok(Self {
            keytype: fields.string("keytype")?,
            scheme: fields.string("scheme")?,
            keyval: fields.object("keyval")?,
            extra: fields.rest(),
        })
    }

    /// The form that [`Key::of`] reads.
    pub fn to_value(&self) -> Value {
        let mut members = self.extra.clone();
        members.extend(self.core());
        members.into()
    }

    fn core(&self) -> Object {
        with(
            &Object::new(),
            [
                ("keytype", self.keytype.as_str().into()),
                ("scheme", self.scheme.as_str().into()),
                ("keyval", self.keyval.clone().into()),
            ],
        )
    }
}

/// Keys by their ids, as Root and delegations list them.
pub(crate) fn decode_keys(listed: Fields<'_>) -> Result<BTreeMap<KeyId, Key>, MetadataError> {
    let mut keys = BTreeMap::new();
    listed.each(&mut |id, key| {
        keys.insert(KeyId::new(id)?, Key::decode(key)?);
        Ok(())
    })?;
    Ok(keys)
}

pub(crate) fn keys_to_value(keys: &BTreeMap<KeyId, Key>) -> Value {
    let members = keys.iter().map(|(id, key)| (id.0.clone(), key.to_value()));
    Value::Object(members.collect())
}
