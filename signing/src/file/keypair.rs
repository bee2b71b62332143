//! PKCS#8 keys of the four kinds, and signing with them.

use countersign_metadata::PublicKey;
use der::asn1::{BitStringRef, ObjectIdentifier, OctetStringRef};
use der::{Decode as _, Encode as _};
use p256::elliptic_curve::Generate as _;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use pkcs8::spki::AlgorithmIdentifier;
use pkcs8::{EncodePrivateKey as _, PrivateKeyInfo, PrivateKeyInfoRef};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::rsa;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PSS_SHA256, RsaKeyPair,
};
use zeroize::Zeroizing;

use crate::algorithm::Algorithm;
use crate::error::SignError;

/// RFC 8410
pub(crate) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(crate) const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");
/// RFC 5480
pub(crate) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// RFC 5480 2.1.2: a key on a curve that agrees and never signs.
pub(crate) const ECDH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.1.12");
pub(crate) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// RFC 8017
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS_ONLY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

pub(super) enum KeyPair {
    Ed25519(Ed25519KeyPair),
    EcdsaP256(EcdsaKeyPair),
    EcdsaP384(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl KeyPair {
    /// From DER of a PrivateKeyInfo or OneAsymmetricKey. A public key inside must be the right one.
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<(Self, PublicKey), String> {
        let info = PrivateKeyInfoRef::from_der(der)
            .map_err(|error| format!("its content is not a PKCS#8 key ({error})"))?;
        match info.algorithm.oid {
            ED25519 => ed25519(&info),
            EC => ec(&info),
            RSA => rsa(der),
            ECDH | X25519 => Err(
                "it is a key for decryption, and one key for both is refused; generate a key for \
                 signing beside it"
                    .into(),
            ),
            RSA_PSS_ONLY => Err(
                "it is an RSA key marked for PSS only; make one of the plain type with: \
                 openssl genpkey -algorithm RSA"
                    .into(),
            ),
            other => Err(format!(
                "keys of the type {other} are not known; use Ed25519, ECDSA P-256 or P-384, or RSA"
            )),
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let random = SystemRandom::new();
        let (signature, kind) = match self {
            Self::Ed25519(pair) => return Ok(pair.sign(message).as_ref().to_vec()),
            Self::EcdsaP256(pair) => (pair.sign(&random, message), "ecdsa-p256"),
            Self::EcdsaP384(pair) => (pair.sign(&random, message), "ecdsa-p384"),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let signed = pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature);
                return match signed {
                    Ok(()) => Ok(signature),
                    Err(_) => Err(failed("rsa")),
                };
            }
        };
        signature
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| failed(kind))
    }
}

fn failed(kind: &'static str) -> SignError {
    SignError::Crypto {
        doing: "sign",
        kind,
        problem: "the key is inconsistent or the system has no random numbers".into(),
    }
}

fn ed25519(info: &PrivateKeyInfoRef<'_>) -> Result<(KeyPair, PublicKey), String> {
    if info.algorithm.parameters.is_some() {
        return Err("Ed25519 keys have no parameters (RFC 8410)".into());
    }
    // CurvePrivateKey ::= OCTET STRING, inside the OCTET STRING of PKCS#8 (RFC 8410 7).
    let seed = <&OctetStringRef>::from_der(info.private_key.as_bytes())
        .map_err(|_| "its Ed25519 key is not 32 bytes in an OCTET STRING")?;
    let pair = match &info.public_key {
        Some(public) => {
            let public = public
                .as_bytes()
                .ok_or("its public key is not whole bytes")?;
            Ed25519KeyPair::from_seed_and_public_key(seed.as_bytes(), public)
        }
        None => Ed25519KeyPair::from_seed_unchecked(seed.as_bytes()),
    };
    let pair = pair.map_err(|error| format!("its Ed25519 key is damaged ({error})"))?;
    let public = pair.public_key().as_ref().try_into();
    let public = public.map_err(|_| "its Ed25519 key is damaged")?;
    Ok((KeyPair::Ed25519(pair), PublicKey::Ed25519(public)))
}

fn ec(info: &PrivateKeyInfoRef<'_>) -> Result<(KeyPair, PublicKey), String> {
    let curve = info.algorithm.parameters_oid();
    let curve = curve.map_err(|_| "its EC key does not name its curve; use P-256 or P-384")?;
    let damaged = |error: pkcs8::Error| format!("its EC key is damaged ({error})");
    match curve {
        P256 => {
            let secret = p256::SecretKey::try_from(info.clone()).map_err(damaged)?;
            let point = secret.public_key().to_sec1_point(false);
            let scalar = Zeroizing::new(secret.to_bytes());
            let parts = (scalar.as_slice(), point.as_bytes());
            let (pair, public) = ec_pair(&ECDSA_P256_SHA256_ASN1_SIGNING, parts)?;
            Ok((KeyPair::EcdsaP256(pair), public))
        }
        P384 => {
            let secret = p384::SecretKey::try_from(info.clone()).map_err(damaged)?;
            let point = secret.public_key().to_sec1_point(false);
            let scalar = Zeroizing::new(secret.to_bytes());
            let parts = (scalar.as_slice(), point.as_bytes());
            let (pair, public) = ec_pair(&ECDSA_P384_SHA384_ASN1_SIGNING, parts)?;
            Ok((KeyPair::EcdsaP384(pair), public))
        }
        other => Err(format!(
            "the curve {other} is not known; use P-256 (prime256v1) or P-384 (secp384r1)"
        )),
    }
}

fn ec_pair(
    algorithm: &'static EcdsaSigningAlgorithm,
    (scalar, point): (&[u8], &[u8]),
) -> Result<(EcdsaKeyPair, PublicKey), String> {
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar, point, &random)
        .map_err(|error| format!("its EC key is damaged ({error})"))?;
    let public = PublicKey::from_sec1(point).ok_or("its EC key is damaged")?;
    Ok((pair, public))
}

fn rsa(der: &[u8]) -> Result<(KeyPair, PublicKey), String> {
    let pair = RsaKeyPair::from_pkcs8(der).map_err(|error| {
        format!("its RSA key is refused ({error}); use 2048, 3072 or 4096 bits and two primes")
    })?;
    let public = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
    let public =
        PublicKey::from_rsa(&public.n, &public.e).ok_or("its RSA key has not 2048 to 4096 bits")?;
    Ok((KeyPair::Rsa(pair), public))
}

/// A new key as DER of PKCS#8, with its public half inside: damage that the encryption (CBC, no
/// checksum) lets through shows because the halves no longer fit.
pub(super) fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, SignError> {
    let failed = |problem: String| SignError::Crypto {
        doing: "generate",
        kind: algorithm.name(),
        problem,
    };
    let random = "the system has no random numbers";
    let document = match algorithm {
        Algorithm::Ed25519 => return generate_ed25519().map_err(failed),
        Algorithm::EcdsaP256 => p256::SecretKey::try_generate()
            .map_err(|_| failed(random.into()))?
            .to_pkcs8_der(),
        Algorithm::EcdsaP384 => p384::SecretKey::try_generate()
            .map_err(|_| failed(random.into()))?
            .to_pkcs8_der(),
        Algorithm::Rsa(_) => return Err(failed("RSA keys are only generated in tokens".into())),
    };
    let document = document.map_err(|error| failed(error.to_string()))?;
    Ok(Zeroizing::new(document.as_bytes().to_vec()))
}

fn generate_ed25519() -> Result<Zeroizing<Vec<u8>>, String> {
    let mut seed = Zeroizing::new([0; 32]);
    SystemRandom::new()
        .fill(&mut *seed)
        .map_err(|_| "the system has no random numbers")?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|error| error.to_string())?;
    curve25519_pkcs8(ED25519, &seed, pair.public_key().as_ref())
}

/// OneAsymmetricKey of RFC 8410 7, with the public half.
pub(crate) fn curve25519_pkcs8(
    oid: ObjectIdentifier,
    secret: &[u8; 32],
    public: &[u8],
) -> Result<Zeroizing<Vec<u8>>, String> {
    let encode = || -> der::Result<Vec<u8>> {
        let curve_key = Zeroizing::new(OctetStringRef::new(secret)?.to_der()?);
        PrivateKeyInfo {
            algorithm: AlgorithmIdentifier {
                oid,
                parameters: None::<der::asn1::AnyRef<'_>>,
            },
            private_key: OctetStringRef::new(&curve_key)?,
            public_key: Some(BitStringRef::from_bytes(public)?),
        }
        .to_der()
    };
    encode()
        .map(Zeroizing::new)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::file::container::Container;

    fn public(pem: &str) -> Result<PublicKey, String> {
        match Container::parse(pem)? {
            Container::Plain(der) => KeyPair::from_pkcs8(&der).map(|(_, public)| public),
            Container::Encrypted(_) => Err("encrypted".into()),
        }
    }

    /// RFC 8410 10.3: the same key without and with its public half (and an attribute).
    #[test]
    fn ed25519_keys_of_the_standard() {
        let short = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
            -----END PRIVATE KEY-----\n";
        let long = "-----BEGIN PRIVATE KEY-----\n\
            MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
            oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\n\
            Z9w7lshQhqowtrbLDFw4rXAxZuE=\n\
            -----END PRIVATE KEY-----\n";
        let key = public(short).unwrap();
        assert_eq!(
            key.to_text(),
            "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
        );
        assert_eq!(public(long).unwrap(), key);
        // Halves that do not fit.
        let swapped = long.replace("rXAxZuE=", "rXAxZuA=");
        assert!(public(&swapped).unwrap_err().contains("damaged"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = KeyPair::from_pkcs8(&bytes);
        }

        #[test]
        fn no_change_of_a_key_panics_or_gives_another(at in 0_usize..400, to: u8) {
            for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256, Algorithm::EcdsaP384] {
                let mut der = generate(algorithm).unwrap();
                let (_, key) = KeyPair::from_pkcs8(&der).unwrap();
                let at = at % der.len();
                der[at] = to;
                if let Ok((_, changed)) = KeyPair::from_pkcs8(&der) {
                    prop_assert_eq!(changed, key);
                }
            }
        }

        #[test]
        fn no_text_panics(label in "[A-Z ]{0,12}(PRIVATE KEY)?", body in "\\PC{0,80}") {
            let _ = Container::parse(&body);
            let _ = public(&format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"));
        }
    }
}
