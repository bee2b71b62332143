//! Our signers as keys of the `tough` crate: `tough::key_source::KeySource` over any key URI, so
//! that a repository which tough edits can keep its keys in tokens.
//!
//! Only with the feature `tough`, because tough brings a second crypto provider with it.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use aws_lc_rs::rand::SecureRandom;
use countersign_metadata::PublicKey;
use tough::async_trait;
use tough::key_source::KeySource;
use tough::schema::decoded::{Decode, Decoded};
use tough::schema::key::{
    EcdsaKey, EcdsaScheme, Ed25519Key, Ed25519Scheme, Key, RsaKey, RsaScheme,
};
use tough::sign::Sign;

use crate::Signer;
use crate::error::SignError;

type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// A private key for tough's editor. It signs on the thread that asks, which waits for the device.
///
/// The key is listed as our own metadata lists it, under the same id.
#[derive(Debug, Clone)]
pub struct ToughKey {
    signer: Arc<dyn Signer>,
    public: Key,
}

impl ToughKey {
    /// The key that `signer` has.
    ///
    /// # Errors
    /// [`SignError::WrongKey`] for what tough cannot express, which is ECDSA P-384.
    pub fn new(signer: impl Into<Arc<dyn Signer>>) -> Result<Self, SignError> {
        let signer = signer.into();
        let public = convert(signer.public_key()).ok_or_else(|| SignError::WrongKey {
            key: signer.keyid().to_string(),
            problem: "tough only knows Ed25519, ECDSA P-256 and RSA; use a key of these types"
                .into(),
        })?;
        Ok(Self { signer, public })
    }
}

#[async_trait]
impl KeySource for ToughKey {
    async fn as_sign(&self) -> Result<Box<dyn Sign>, BoxError> {
        Ok(Box::new(self.clone()))
    }

    async fn write(&self, _value: &str, _key_id_hex: &str) -> Result<(), BoxError> {
        Err(
            "private keys are not written from outside; generate the key where it is to live"
                .into(),
        )
    }
}

#[async_trait]
impl Sign for ToughKey {
    fn tuf_key(&self) -> Key {
        self.public.clone()
    }

    /// The key's home has random numbers of its own.
    async fn sign(
        &self,
        message: &[u8],
        _rng: &(dyn SecureRandom + Sync),
    ) -> Result<Vec<u8>, BoxError> {
        Ok(self.signer.sign(message)?)
    }
}

fn convert(public: &PublicKey) -> Option<Key> {
    let _extra = HashMap::new();
    Some(match public {
        PublicKey::Ed25519(_) => Key::Ed25519 {
            keyval: Ed25519Key {
                public: listed(public)?,
                _extra: HashMap::new(),
            },
            scheme: Ed25519Scheme::Ed25519,
            _extra,
        },
        PublicKey::EcdsaP256(_) => Key::Ecdsa {
            keyval: EcdsaKey {
                public: listed(public)?,
                _extra: HashMap::new(),
            },
            scheme: EcdsaScheme::EcdsaSha2Nistp256,
            _extra,
        },
        PublicKey::Rsa { .. } => Key::Rsa {
            keyval: RsaKey {
                public: listed(public)?,
                _extra: HashMap::new(),
            },
            scheme: RsaScheme::RsassaPssSha256,
            _extra,
        },
        PublicKey::EcdsaP384(_) => return None,
    })
}

/// From our text, which tough keeps: that is what makes the key's id the same.
fn listed<T: Decode>(public: &PublicKey) -> Option<Decoded<T>> {
    public.to_text().parse().ok()
}
