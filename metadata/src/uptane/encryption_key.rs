//! The public half of an ECU's encryption key: what content keys are wrapped to.

use alloc::vec::Vec;

use crate::canonical;
use crate::crypto;
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::json::{Object, Value};
use crate::key::{KeyId, PublicKey};

/// What an encryption key is for: one HPKE suite (RFC 9180) in base mode each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EncryptionAlgorithm {
    /// DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Tokens and TPMs can hold such keys.
    P256,
    /// DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. For keys in software.
    X25519,
}

impl EncryptionAlgorithm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::P256, Self::X25519];

    /// `keytype` in JSON.
    pub fn keytype(self) -> &'static str {
        match self {
            Self::P256 => "ecdh-nistp256",
            Self::X25519 => "x25519",
        }
    }

    /// `scheme` in JSON.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::P256 => "hpke-p256-hkdfsha256-aes256gcm",
            Self::X25519 => "hpke-x25519-hkdfsha256-aes256gcm",
        }
    }
}

/// A public encryption key. It never signs: an ECU has another key for that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EncryptionKey {
    algorithm: EncryptionAlgorithm,
    public: Vec<u8>,
}

impl EncryptionKey {
    /// A point on P-256 in SEC 1 form, compressed or not.
    ///
    /// # Errors
    /// [`MetadataError::Field`] when it is not a point on the curve, or without the feature `p256`.
    pub fn p256(point: &[u8]) -> Result<Self, MetadataError> {
        match PublicKey::from_sec1(point) {
            Some(PublicKey::EcdsaP256(point)) => Ok(Self {
                algorithm: EncryptionAlgorithm::P256,
                public: point.into(),
            }),
            _ => Err(MetadataError::field(
                "keyval.public",
                "is not a point on P-256",
            )),
        }
    }

    /// The 32 bytes of RFC 7748.
    pub fn x25519(public: [u8; 32]) -> Self {
        Self {
            algorithm: EncryptionAlgorithm::X25519,
            public: public.into(),
        }
    }

    /// Reads `{"keytype": .., "scheme": .., "keyval": {"public": HEX}}`.
    ///
    /// # Errors
    /// [`MetadataError::Field`] for another type or scheme, and for a key that cannot be decoded.
    pub fn of(value: &Value) -> Result<Self, MetadataError> {
        let mut fields = Fields::of("key", value.clone())?;
        let (keytype, scheme) = (fields.string("keytype")?, fields.string("scheme")?);
        let known = EncryptionAlgorithm::ALL
            .into_iter()
            .find(|known| known.keytype() == keytype && known.scheme() == scheme);
        let Some(algorithm) = known else {
            return fields.fail("scheme", "is not an encryption scheme of this version");
        };
        let mut keyval = Fields::of(fields.path_of("keyval"), fields.required("keyval")?)?;
        let text = keyval.string("public")?;
        // One spelling for one key, so that its id is one, too.
        let bytes = hex::decode(&text).unwrap_or_default();
        let key = match (algorithm, <[u8; 32]>::try_from(bytes.as_slice())) {
            (EncryptionAlgorithm::X25519, Ok(public)) => Some(Self::x25519(public)),
            (EncryptionAlgorithm::P256, _) => Self::p256(&bytes).ok(),
            (EncryptionAlgorithm::X25519, Err(_)) => None,
        };
        match key.filter(|key| hex::encode(&key.public) == text) {
            Some(key) => Ok(key),
            None => keyval.fail(
                "public",
                "must be lower-case hexadecimal: 65 bytes of an uncompressed point for P-256, \
                 32 bytes for X25519",
            ),
        }
    }

    /// The form that [`EncryptionKey::of`] reads.
    pub fn to_value(&self) -> Value {
        let keyval = with(
            &Object::new(),
            [("public", hex::encode(&self.public).into())],
        );
        let members = [
            ("keytype", self.algorithm.keytype().into()),
            ("scheme", self.algorithm.scheme().into()),
            ("keyval", keyval.into()),
        ];
        with(&Object::new(), members).into()
    }

    /// SHA-256, in hexadecimal, of the canonical form.
    pub fn id(&self) -> KeyId {
        let text = canonical::encode(&self.to_value());
        KeyId::of_digest(crypto::sha256(text.as_bytes()))
    }

    /// The suite it is for.
    pub fn algorithm(&self) -> EncryptionAlgorithm {
        self.algorithm
    }

    /// An uncompressed SEC 1 point of 65 bytes for P-256, 32 bytes for X25519.
    pub fn public_bytes(&self) -> &[u8] {
        &self.public
    }
}
