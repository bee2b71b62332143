//! Making keys inside a device.

use countersign_metadata::PublicKey;
use yubihsm::asymmetric;
use yubihsm::device::ErrorKind as DeviceError;
use yubihsm::object::{Label, Type};
use yubihsm::{Capability, Client};

use super::YubiHsmSigner;
use super::device::{Ask, Device, Failure};
use super::key::{self, Key};
use crate::algorithm::Algorithm;
use crate::error::SignError;
use crate::secrets::Secrets;
use crate::uri::YubiHsmUri;

/// Makes a key that can sign and cannot be exported, and proves that it signs.
pub(crate) fn generate(
    uri: &YubiHsmUri,
    algorithm: Algorithm,
    secrets: &Secrets,
) -> Result<PublicKey, SignError> {
    let (kind, capability) = match algorithm {
        Algorithm::Ed25519 => (asymmetric::Algorithm::Ed25519, Capability::SIGN_EDDSA),
        Algorithm::EcdsaP256 => (asymmetric::Algorithm::EcP256, Capability::SIGN_ECDSA),
        Algorithm::EcdsaP384 => (asymmetric::Algorithm::EcP384, Capability::SIGN_ECDSA),
        Algorithm::Rsa(_) => {
            return Err(SignError::WrongKey {
                key: key::name(uri.id),
                problem: super::RSA.into(),
            });
        }
    };
    let device = Device::open(uri, secrets)?;
    let exists = || SignError::KeyExists {
        token: device.name(),
        wanted: key::name(uri.id),
    };
    if key::info(&device, uri.id)?.is_some() {
        return Err(exists());
    }
    // Where the key is visible: where the one who makes it is.
    let own = device.ask("read the authentication key", Ask::Again, |client| {
        client.get_object_info(device.authkey(), Type::AuthenticationKey)
    })?;
    let label = Label::from_bytes(uri.label.as_deref().unwrap_or_default().as_bytes());
    let label = label.map_err(|error| SignError::WrongKey {
        key: key::name(uri.id),
        problem: error.to_string(),
    })?;
    let make = |client: &Client| {
        client.generate_asymmetric_key(uri.id, label.clone(), own.domains, capability, kind)
    };
    // Once: a key that was made although the answer was lost is not made again.
    match device.try_ask(Ask::Once, make) {
        Ok(_) => {}
        Err(Failure::Device(DeviceError::ObjectExists)) => return Err(exists()),
        Err(failure) => return Err(device.error("generate a key", failure)),
    }
    let proof = key::info(&device, uri.id).and_then(|info| {
        let info = info.ok_or_else(|| SignError::WrongKey {
            key: key::name(uri.id),
            problem: "it was generated, and now it is not there".into(),
        })?;
        let key = Key::inspect(&device, &info, false)?;
        let signer = YubiHsmSigner::new(device.clone(), key)?;
        crate::prove(&signer)?;
        Ok(signer.key.public)
    });
    if proof.is_err() {
        // A key that failed is not left behind. If removal fails too, the first error is the one
        // to report, and the next attempt says that the key exists.
        let _ = device.try_ask(Ask::Again, |client| {
            client.delete_object(uri.id, Type::AsymmetricKey)
        });
    }
    proof
}
