//! Keys that everybody has.

use std::fmt;
use std::str::FromStr;

use countersign_metadata::{Key, PublicKey, sha256};
use der::pem::LineEnding;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PSS_SHA256, RsaKeyPair,
};

use super::Json;

/// A key pair by name. Names such as `timestamp-1` or `evil` give Ed25519 keys whose seed is the
/// SHA-256 of a text with the name; the others are in `keys/`.
pub struct TestKey {
    pair: Pair,
    key: Key,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

/// ECDSA and RSA keys, which are not derived from a seed.
const FILES: &[(&str, &str)] = &[
    ("p256-1", include_str!("../../keys/p256-1.pem")),
    ("p256-2", include_str!("../../keys/p256-2.pem")),
    ("p384-1", include_str!("../../keys/p384-1.pem")),
    ("p384-2", include_str!("../../keys/p384-2.pem")),
    ("rsa2048-1", include_str!("../../keys/rsa2048-1.pem")),
    ("rsa2048-2", include_str!("../../keys/rsa2048-2.pem")),
    ("rsa3072-1", include_str!("../../keys/rsa3072-1.pem")),
    ("rsa4096-1", include_str!("../../keys/rsa4096-1.pem")),
];

/// A key file of this crate that cannot be used, or a signature that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("test key {name}: {what}")]
pub struct KeyError {
    name: String,
    what: &'static str,
}

impl FromStr for TestKey {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        let file = FILES.iter().find(|(known, _)| *known == name);
        let made = match file {
            None => ed25519(&seed(name)),
            Some((_, pem)) => from_pem(name, pem),
        };
        let (pair, public) = made.ok_or(KeyError {
            name: name.into(),
            what: "cannot be read",
        })?;
        let key = Key::new(&public);
        Ok(Self { pair, key })
    }
}

/// The Ed25519 key of this name as an unencrypted PKCS#8 file (RFC 8410).
pub fn signing_key_pem(name: &str) -> String {
    const BEFORE: [u8; 16] = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    let der = [&BEFORE[..], &seed(name)].concat();
    // Text of 48 bytes has no line to break and nothing that can fail.
    der::pem::encode_string("PRIVATE KEY", LineEnding::LF, &der).unwrap_or_default()
}

fn seed(name: &str) -> [u8; 32] {
    sha256(format!("countersign test vector key {name}").as_bytes())
}

fn ed25519(seed: &[u8]) -> Option<(Pair, PublicKey)> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
    let public = PublicKey::Ed25519(pair.public_key().as_ref().try_into().ok()?);
    Some((Pair::Ed25519(pair), public))
}

fn from_pem(name: &str, pem: &str) -> Option<(Pair, PublicKey)> {
    let (_, der) = der::pem::decode_vec(pem.as_bytes()).ok()?;
    match name.split_once('-')?.0 {
        "p256" => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, &der),
        "p384" => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING, &der),
        _ => {
            let pair = RsaKeyPair::from_pkcs8(&der).ok()?;
            let parts = PublicKeyComponents::<Vec<u8>>::from(pair.public());
            let public = PublicKey::from_rsa(&parts.n, &parts.e)?;
            Some((Pair::Rsa(Box::new(pair)), public))
        }
    }
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm, der: &[u8]) -> Option<(Pair, PublicKey)> {
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, der, &SystemRandom::new()).ok()?;
    let public = PublicKey::from_sec1(pair.public_key().as_ref())?;
    Some((Pair::Ecdsa(pair), public))
}

impl TestKey {
    /// The key id that metadata gives it.
    pub fn id(&self) -> String {
        self.key.id().as_str().into()
    }

    /// The key as metadata lists it.
    pub fn to_json(&self) -> Json {
        let public = self.key.keyval.get("public");
        serde_json::json!({
            "keytype": self.key.keytype,
            "scheme": self.key.scheme,
            "keyval": {"public": public.and_then(|text| text.as_str())},
        })
    }

    /// Whether signing the same message twice gives the same signature.
    pub fn is_deterministic(&self) -> bool {
        matches!(self.pair, Pair::Ed25519(_))
    }

    /// Signs `message`, as the key's scheme says.
    ///
    /// # Errors
    /// [`KeyError`] when the random number generator fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let rng = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Ecdsa(pair) => pair
                .sign(&rng, message)
                .map(|signature| signature.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PSS_SHA256, &rng, message, &mut signature)
                    .map(|()| signature)
            }
        };
        signature.map_err(|_| KeyError {
            name: self.id(),
            what: "cannot sign",
        })
    }
}

impl fmt::Debug for TestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestKey({})", self.id())
    }
}
