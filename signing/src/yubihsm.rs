//! Keys in a YubiHSM 2, through the `yubihsm` crate.
//!
//! In the order of the work: a [device] is logged in to through its connector, a [key] is found in
//! it and judged, and signs here.

mod attestation;
mod device;
mod error;
mod generate;
mod inventory;
mod key;
#[cfg(feature = "yubihsm-mock")]
pub mod mock;

use std::fmt;
use std::sync::Arc;

use countersign_metadata::PublicKey;
use ring::digest::{SHA256, SHA384, digest};
use yubihsm::Client;

use self::device::{Ask, Device};
use self::key::Key;
use crate::Signer;
use crate::custody::{Custody, Home};
use crate::error::SignError;
use crate::secrets::Secrets;
use crate::uri::YubiHsmUri;

pub use self::attestation::{YubiHsmAttestation, yubihsm_attestation};
pub use self::error::YubiHsmError;
pub(crate) use self::generate::generate;
pub(crate) use self::inventory::inventory;

/// The longest message for Ed25519, in bytes. Messages to a device have 2,048 bytes: 3 of header,
/// 1 for the session and 8 of MAC leave 2,032 of whole cipher blocks, of which padding takes one,
/// the inner header 3 and the key's id 2.
const MAX_ED25519: usize = 2026;

/// yubihsm 0.42 hashes something else than the message for RSASSA-PSS.
const RSA: &str = "RSA keys in a YubiHSM are used through Yubico's PKCS#11 library: name them \
                   pkcs11:object=LABEL?module-path=/usr/lib/x86_64-linux-gnu/pkcs11/yubihsm_pkcs11.so";

/// A key in a device.
pub(crate) struct YubiHsmSigner {
    device: Arc<Device>,
    key: Key,
    home: Home,
}

impl YubiHsmSigner {
    fn new(device: Arc<Device>, key: Key) -> Result<Self, SignError> {
        let home = device.home()?;
        Ok(Self { device, key, home })
    }

    fn name(&self) -> String {
        format!("{} in {}", key::name(self.key.id), self.home)
    }
}

impl fmt::Debug for YubiHsmSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YubiHsmSigner")
            .field("device", &self.device.name())
            .field("key", &key::name(self.key.id))
            .field("public", &self.key.public)
            .finish_non_exhaustive()
    }
}

impl Signer for YubiHsmSigner {
    fn public_key(&self) -> &PublicKey {
        &self.key.public
    }

    fn custody(&self) -> Custody {
        Custody {
            home: self.home.clone(),
            extractable: Some(self.key.extractable),
            sensitive: Some(true),
            made_inside: Some(self.key.made_inside),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let id = self.key.id;
        let over_digest = |algorithm| {
            let digest = digest(algorithm, message);
            self.device.ask("sign", Ask::Again, |client: &Client| {
                client.sign_ecdsa_prehash_raw(id, digest.as_ref())
            })
        };
        let signature = match self.key.public {
            PublicKey::Ed25519(_) if message.len() > MAX_ED25519 => {
                return Err(SignError::from(YubiHsmError::TooLong {
                    key: self.name(),
                    length: message.len(),
                    most: MAX_ED25519,
                }));
            }
            PublicKey::Ed25519(_) => self.device.ask("sign", Ask::Again, |client| {
                let signature = client.sign_ed25519(id, message)?;
                Ok(signature.to_bytes().to_vec())
            })?,
            PublicKey::EcdsaP256(_) => over_digest(&SHA256)?,
            PublicKey::EcdsaP384(_) => over_digest(&SHA384)?,
            // Not opened in the first place.
            PublicKey::Rsa { .. } => {
                return Err(SignError::WrongKey {
                    key: self.name(),
                    problem: RSA.into(),
                });
            }
        };
        match self.key.public.verify(message, &signature) {
            true => Ok(signature),
            false => Err(SignError::BadSignature { key: self.name() }),
        }
    }
}

pub(crate) fn open(uri: &YubiHsmUri, secrets: &Secrets) -> Result<YubiHsmSigner, SignError> {
    let device = Device::open(uri, secrets)?;
    let key = Key::find(&device, uri)?;
    YubiHsmSigner::new(device, key)
}
