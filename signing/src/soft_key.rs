//! Decryption keys in memory: agreeing with them, and their form in files.
//!
//! They are told from signing keys by their type: X25519 (RFC 8410) signs nothing, and a key on
//! P-256 is marked id-ecDH (RFC 5480 2.1.2). One marked id-ecPublicKey may sign, so it is refused.

use countersign_metadata::uptane::{EncryptionAlgorithm, EncryptionKey};
use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{Decode as _, Encode as _};
use p256::elliptic_curve::Generate as _;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use pkcs8::{EncodePrivateKey as _, PrivateKeyInfoRef};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::error::SignError;
use crate::file::{EC, ECDH, ED25519, P256, X25519, curve25519_pkcs8};

pub(crate) struct SoftKey {
    secret: Secret,
    public: EncryptionKey,
}

enum Secret {
    P256(p256::SecretKey),
    X25519(x25519_dalek::StaticSecret),
}

impl SoftKey {
    pub(crate) fn generate(algorithm: EncryptionAlgorithm) -> Result<Self, SignError> {
        let failed = || SignError::Crypto {
            doing: "generate",
            kind: algorithm.keytype(),
            problem: "the system has no random numbers".into(),
        };
        let secret = match algorithm {
            EncryptionAlgorithm::P256 => {
                Secret::P256(p256::SecretKey::try_generate().map_err(|_| failed())?)
            }
            EncryptionAlgorithm::X25519 => {
                let mut bytes = Zeroizing::new([0; 32]);
                let filled = SystemRandom::new().fill(&mut *bytes);
                filled.map_err(|_| failed())?;
                Secret::X25519(x25519_dalek::StaticSecret::from(*bytes))
            }
        };
        Self::new(secret).map_err(|problem| SignError::Crypto {
            doing: "generate",
            kind: algorithm.keytype(),
            problem,
        })
    }

    fn new(secret: Secret) -> Result<Self, String> {
        let public = match &secret {
            Secret::P256(secret) => {
                let point = secret.public_key().to_sec1_point(false);
                EncryptionKey::p256(point.as_bytes()).map_err(|error| error.to_string())?
            }
            Secret::X25519(secret) => {
                EncryptionKey::x25519(x25519_dalek::PublicKey::from(secret).to_bytes())
            }
        };
        Ok(Self { secret, public })
    }

    pub(crate) fn public_key(&self) -> &EncryptionKey {
        &self.public
    }

    /// The raw result of the agreement, 32 bytes.
    pub(crate) fn agree(&self, peer: &EncryptionKey) -> Result<Zeroizing<Vec<u8>>, SignError> {
        let of_another_type = || SignError::Crypto {
            doing: "agree on a secret",
            kind: self.public.algorithm().keytype(),
            problem: "the other public key is of another type".into(),
        };
        let bytes = peer.public_bytes();
        match (&self.secret, peer.algorithm()) {
            (Secret::P256(secret), EncryptionAlgorithm::P256) => {
                let peer = p256::PublicKey::from_sec1_bytes(bytes);
                let peer = peer.map_err(|_| of_another_type())?;
                let scalar = secret.to_nonzero_scalar();
                let shared = p256::ecdh::diffie_hellman(scalar, peer.as_affine());
                Ok(Zeroizing::new(shared.raw_secret_bytes().to_vec()))
            }
            (Secret::X25519(secret), EncryptionAlgorithm::X25519) => {
                let peer: [u8; 32] = bytes.try_into().map_err(|_| of_another_type())?;
                let shared = secret.diffie_hellman(&peer.into());
                Ok(Zeroizing::new(shared.as_bytes().to_vec()))
            }
            _ => Err(of_another_type()),
        }
    }

    /// DER of PKCS#8, with the public half inside.
    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        match &self.secret {
            Secret::P256(secret) => {
                let document = secret.to_pkcs8_der().map_err(|error| error.to_string())?;
                let info = PrivateKeyInfoRef::from_der(document.as_bytes());
                let marked = info.and_then(|info| marked(info, ECDH).to_der());
                marked
                    .map(Zeroizing::new)
                    .map_err(|error| error.to_string())
            }
            Secret::X25519(secret) => {
                curve25519_pkcs8(X25519, secret.as_bytes(), self.public.public_bytes())
            }
        }
    }

    /// A public key inside must be the right one.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, String> {
        let info = PrivateKeyInfoRef::from_der(der)
            .map_err(|error| format!("its content is not a PKCS#8 key ({error})"))?;
        match info.algorithm.oid {
            ECDH => p256(info),
            X25519 => x25519(&info),
            EC | ED25519 => Err("it is a key for signing, and one key for both is refused; \
                                 generate a key for decryption beside it"
                .into()),
            other => Err(format!(
                "keys of the type {other} do not decrypt; generate a key for decryption on P-256 \
                 or X25519"
            )),
        }
    }
}

fn p256(info: PrivateKeyInfoRef<'_>) -> Result<SoftKey, String> {
    if info.algorithm.parameters_oid() != Ok(P256) {
        return Err("its curve is not P-256 (prime256v1)".into());
    }
    let secret = p256::SecretKey::try_from(marked(info, EC));
    let secret = secret.map_err(|error| format!("its EC key is damaged ({error})"))?;
    SoftKey::new(Secret::P256(secret))
}

fn x25519(info: &PrivateKeyInfoRef<'_>) -> Result<SoftKey, String> {
    const DAMAGED: &str = "its X25519 key is not 32 bytes in an OCTET STRING";
    if info.algorithm.parameters.is_some() {
        return Err("X25519 keys have no parameters (RFC 8410)".into());
    }
    let inner = <&OctetStringRef>::from_der(info.private_key.as_bytes()).map_err(|_| DAMAGED)?;
    let mut bytes = Zeroizing::new([0; 32]);
    match inner.as_bytes().len() {
        32 => bytes.copy_from_slice(inner.as_bytes()),
        _ => return Err(DAMAGED.into()),
    }
    let key = SoftKey::new(Secret::X25519(x25519_dalek::StaticSecret::from(*bytes)))?;
    match &info.public_key {
        Some(stated) if stated.as_bytes() != Some(key.public.public_bytes()) => {
            Err("its X25519 key is damaged: its two halves do not fit".into())
        }
        _ => Ok(key),
    }
}

/// The same key under another type.
fn marked(mut info: PrivateKeyInfoRef<'_>, oid: ObjectIdentifier) -> PrivateKeyInfoRef<'_> {
    info.algorithm.oid = oid;
    info
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(hex: &str) -> [u8; 32] {
        let mut out = [0; 32];
        for (at, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        }
        out
    }

    /// RFC 7748 6.1
    #[test]
    fn x25519_as_in_the_standard() {
        let alice = bytes("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let public = bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        let bob = bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let shared = bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        let der = curve25519_pkcs8(X25519, &alice, &public).unwrap();
        let key = SoftKey::from_pkcs8(&der).unwrap();
        assert_eq!(key.public_key(), &EncryptionKey::x25519(public));
        assert_eq!(**key.agree(&EncryptionKey::x25519(bob)).unwrap(), shared);
        let swapped = curve25519_pkcs8(X25519, &alice, &bob).unwrap();
        let problem = SoftKey::from_pkcs8(&swapped).err().unwrap();
        assert!(problem.contains("do not fit"));
    }

    #[test]
    fn keys_of_two_types_agree_on_nothing() {
        let [a, b] = EncryptionAlgorithm::ALL.map(|each| SoftKey::generate(each).unwrap());
        for (key, peer) in [(&a, &b), (&b, &a)] {
            let refused = key.agree(peer.public_key()).unwrap_err();
            assert!(refused.to_string().contains("another type"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = SoftKey::from_pkcs8(&bytes);
        }

        #[test]
        fn no_change_of_a_key_panics_or_gives_another(at in 0_usize..400, to: u8) {
            for algorithm in EncryptionAlgorithm::ALL {
                let key = SoftKey::generate(algorithm).unwrap();
                let mut der = key.to_pkcs8().unwrap();
                let at = at % der.len();
                der[at] = to;
                if let Ok(changed) = SoftKey::from_pkcs8(&der) {
                    prop_assert_eq!(changed.public_key(), key.public_key());
                }
            }
        }
    }
}
