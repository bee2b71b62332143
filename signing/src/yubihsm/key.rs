//! Asymmetric keys in a device, and whether they may be used.

use countersign_metadata::PublicKey;
use yubihsm::asymmetric::{self, Algorithm};
use yubihsm::device::ErrorKind as DeviceError;
use yubihsm::object::{Filter, Info, Origin, Type};
use yubihsm::{Capability, Client};

use super::device::{Ask, Device, Failure};
use crate::error::SignError;
use crate::uri::YubiHsmUri;

/// Most keys looked at: as many objects as a device holds (YubiHSM 2 user guide, "Object").
pub(super) const MAX_KEYS: usize = 256;
/// Most keys named in an error.
const MAX_NAMED: usize = 32;

pub(super) struct Key {
    pub(super) id: u16,
    pub(super) public: PublicKey,
    pub(super) extractable: bool,
    pub(super) made_inside: bool,
}

impl Key {
    /// The key that `uri` names.
    pub(super) fn find(device: &Device, uri: &YubiHsmUri) -> Result<Self, SignError> {
        let Some(info) = info(device, uri.id)? else {
            return Err(SignError::NoKey {
                token: device.name(),
                wanted: wanted(device, uri.id),
                seen: names(device)?,
            });
        };
        let found = label(&info);
        if uri.label.as_ref().is_some_and(|wanted| *wanted != found) {
            return Err(SignError::WrongKey {
                key: name(uri.id),
                problem: format!("its label is {found:?}, and not the one in the key URI"),
            });
        }
        Self::inspect(device, &info, uri.allow_extractable)
    }

    /// Judges a key and asks for its public half.
    pub(super) fn inspect(
        device: &Device,
        info: &Info,
        allow_extractable: bool,
    ) -> Result<Self, SignError> {
        let id = info.object_id;
        let wrong = |problem| SignError::WrongKey {
            key: name(id),
            problem,
        };
        let extractable = extractable(info);
        if extractable && !allow_extractable {
            return Err(SignError::Extractable {
                key: name(id),
                fact: "it has the capability exportable-under-wrap",
            });
        }
        let needed = signing_capability(info).map_err(wrong)?;
        if !info.capabilities.contains(needed) {
            let problem = "it was made without the capability to sign; generate another";
            return Err(wrong(problem.into()));
        }
        let public = device.ask("read a public key", Ask::Again, |client| {
            client.get_public_key(id)
        })?;
        Ok(Self {
            id,
            public: convert(&public).map_err(wrong)?,
            extractable,
            made_inside: info.origin == Origin::Generated,
        })
    }
}

/// What the device says about the asymmetric key `id`; `None` if there is none.
pub(super) fn info(device: &Device, id: u16) -> Result<Option<Info>, SignError> {
    let question = |client: &Client| client.get_object_info(id, Type::AsymmetricKey);
    match device.try_ask(Ask::Again, question) {
        Ok(info) => Ok(Some(info)),
        Err(Failure::Device(DeviceError::ObjectNotFound)) => Ok(None),
        Err(failure) => Err(device.error("look for the key", failure)),
    }
}

/// All asymmetric keys that the login may see.
pub(super) fn list(device: &Device, most: usize) -> Result<Vec<Info>, SignError> {
    let filter = [Filter::Type(Type::AsymmetricKey)];
    let mut ids: Vec<u16> = device
        .ask("list the keys", Ask::Again, |client| {
            client.list_objects(&filter)
        })?
        .iter()
        .map(|entry| entry.object_id)
        .collect();
    ids.sort_unstable();
    let infos = ids.into_iter().take(most).map(|id| info(device, id));
    infos.filter_map(Result::transpose).collect()
}

/// Exported under a wrap key, a key exists wherever that one does.
pub(super) fn extractable(info: &Info) -> bool {
    info.capabilities
        .contains(Capability::EXPORTABLE_UNDER_WRAP)
}

pub(super) fn name(id: u16) -> String {
    format!("id={id:#06x}")
}

pub(super) fn label(info: &Info) -> String {
    info.label.to_string()
}

/// The algorithm in words.
pub(super) fn kind(info: &Info) -> String {
    match info.algorithm.asymmetric() {
        Some(Algorithm::Ed25519) => "Ed25519".into(),
        Some(Algorithm::EcP256) => "ECDSA P-256".into(),
        Some(Algorithm::EcP384) => "ECDSA P-384".into(),
        Some(Algorithm::Rsa2048) => "RSA 2048".into(),
        Some(Algorithm::Rsa3072) => "RSA 3072".into(),
        Some(Algorithm::Rsa4096) => "RSA 4096".into(),
        Some(other) => format!("{other:?}"),
        None => "unknown".into(),
    }
}

/// What a key of this algorithm needs to sign metadata, or why it cannot.
fn signing_capability(info: &Info) -> Result<Capability, String> {
    match info.algorithm.asymmetric() {
        Some(Algorithm::Ed25519) => Ok(Capability::SIGN_EDDSA),
        Some(Algorithm::EcP256 | Algorithm::EcP384) => Ok(Capability::SIGN_ECDSA),
        Some(Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096) => {
            Err(super::RSA.into())
        }
        _ => Err(format!(
            "its type is {}; use Ed25519 or ECDSA P-256 or P-384",
            kind(info)
        )),
    }
}

fn convert(public: &asymmetric::PublicKey) -> Result<PublicKey, String> {
    let bytes = public.as_slice();
    let length = match public.algorithm {
        Algorithm::EcP384 => 96,
        Algorithm::EcP256 => 64,
        _ => 32,
    };
    let key = match public.algorithm {
        _ if bytes.len() != length => None,
        Algorithm::Ed25519 => bytes.try_into().ok().map(PublicKey::Ed25519),
        // The device leaves out the 4 that marks an uncompressed point (SEC 1 2.3.3).
        Algorithm::EcP256 | Algorithm::EcP384 => PublicKey::from_sec1(&[&[4], bytes].concat()),
        _ => None,
    };
    key.ok_or_else(|| "its public key is none of its type".into())
}

/// The key's id, and what else goes by it.
fn wanted(device: &Device, id: u16) -> String {
    let filter = [Filter::Id(id)];
    // Only for the message, so a failure here hides nothing.
    let others = device
        .try_ask(Ask::Again, |client| client.list_objects(&filter))
        .unwrap_or_default();
    match others.first() {
        Some(other) => format!(
            "{} (the object of that id is of type {})",
            name(id),
            other.object_type
        ),
        None => name(id),
    }
}

fn names(device: &Device) -> Result<Vec<String>, SignError> {
    let keys = list(device, MAX_NAMED)?;
    let name = |info: &Info| {
        format!(
            "{} ({:?}, {})",
            name(info.object_id),
            label(info),
            kind(info)
        )
    };
    Ok(keys.iter().map(name).collect())
}

#[cfg(test)]
mod tests {
    use p256::elliptic_curve::sec1::ToSec1Point as _;

    use super::*;

    /// What the mock cannot do: P-384.
    #[test]
    fn public_keys_of_every_curve() {
        let key = |algorithm, bytes: &[u8]| {
            convert(&asymmetric::PublicKey {
                algorithm,
                bytes: bytes.into(),
            })
        };
        let secret = p384::SecretKey::from_slice(&[7; 48]).unwrap();
        let point = secret.public_key().to_sec1_point(false);
        let p384 = key(Algorithm::EcP384, &point.as_bytes()[1..]).unwrap();
        assert_eq!(Some(p384), PublicKey::from_sec1(point.as_bytes()));
        let secret = p256::SecretKey::from_slice(&[7; 32]).unwrap();
        let point = secret.public_key().to_sec1_point(false);
        let p256 = key(Algorithm::EcP256, &point.as_bytes()[1..]).unwrap();
        assert_eq!(Some(p256), PublicKey::from_sec1(point.as_bytes()));
        // A point of one curve is none of the other, whatever its length says.
        assert!(key(Algorithm::EcP384, &point.as_bytes()[1..]).is_err());
        assert!(key(Algorithm::EcP256, &[1; 64]).is_err());
        assert!(key(Algorithm::EcP256, &[]).is_err());
        let ed25519 = key(Algorithm::Ed25519, &[7; 32]);
        assert_eq!(ed25519, Ok(PublicKey::Ed25519([7; 32])));
        assert!(key(Algorithm::Ed25519, &[7; 33]).is_err());
        assert!(key(Algorithm::Rsa2048, &[7; 256]).is_err());
    }
}
