//! Making keys inside a token.

use countersign_metadata::{PublicKey, Scheme};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::Session;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::TokenSigner;
use super::key::{self, LogIns, PrivateKey, Purpose};
use super::mechanism::SignMechanism;
use super::token::{Access, Token};
use crate::algorithm::Algorithm;
use crate::error::SignError;
use crate::secrets::Secrets;
use crate::uri::Pkcs11Uri;

/// DER of the curves' object identifiers, as CKA_EC_PARAMS wants them.
pub(super) const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 0x22];
const ED25519: &[u8] = &[6, 3, 0x2b, 0x65, 0x70];
/// The other form (PKCS#11 3.0 2.3.5): the PrintableString "edwards25519".
const ED25519_NAME: &[u8] = b"\x13\x0cedwards25519";

/// Makes a key pair that stays in its token, and proves that it signs.
pub(crate) fn generate(
    uri: &Pkcs11Uri,
    algorithm: Algorithm,
    secrets: &Secrets,
) -> Result<PublicKey, SignError> {
    let token = Token::find(uri, secrets)?;
    // Before a key is made that could not be used.
    SignMechanism::choose(&token, scheme(algorithm), LogIns::PerSession)?;
    let (_, needed, mechanism) = recipe(algorithm);
    token.must_offer(needed, mechanism)?;
    let session = token.session(Access::ReadWrite, uri, secrets)?;
    key::must_not_exist(&token, &session, uri)?;
    let (public, private) = make_pair(&token, &session, uri, algorithm)?;
    // Tokens may ignore what they were asked for, so what came out is judged like any other key.
    let proof = PrivateKey::inspect(&token, &session, private, Purpose::Sign, false)
        .and_then(|key| {
            let own = token.session(Access::ReadOnly, uri, secrets)?;
            TokenSigner::new(token, own, key, uri, secrets)
        })
        .and_then(|signer| {
            crate::prove(&signer)?;
            Ok(signer.key.public)
        });
    if proof.is_err() {
        // A key that failed is not left under its name. If removal fails too, the first error is
        // the one to report, and the next attempt says that the key exists.
        let _ = session.destroy_object(private);
        let _ = session.destroy_object(public);
    }
    proof
}

/// How to generate, the mechanism to ask for beforehand, and its name.
fn recipe(algorithm: Algorithm) -> (Mechanism<'static>, MechanismType, &'static str) {
    match algorithm {
        Algorithm::Ed25519 => (
            Mechanism::EccEdwardsKeyPairGen,
            MechanismType::ECC_EDWARDS_KEY_PAIR_GEN,
            "CKM_EC_EDWARDS_KEY_PAIR_GEN",
        ),
        Algorithm::EcdsaP256 | Algorithm::EcdsaP384 => (
            Mechanism::EccKeyPairGen,
            MechanismType::ECC_KEY_PAIR_GEN,
            "CKM_EC_KEY_PAIR_GEN",
        ),
        Algorithm::Rsa(_) => (
            Mechanism::RsaPkcsKeyPairGen,
            MechanismType::RSA_PKCS_KEY_PAIR_GEN,
            "CKM_RSA_PKCS_KEY_PAIR_GEN",
        ),
    }
}

fn scheme(algorithm: Algorithm) -> Scheme {
    match algorithm {
        Algorithm::Ed25519 => Scheme::Ed25519,
        Algorithm::EcdsaP256 => Scheme::EcdsaP256,
        Algorithm::EcdsaP384 => Scheme::EcdsaP384,
        Algorithm::Rsa(_) => Scheme::RsaPss,
    }
}

fn make_pair(
    token: &Token,
    session: &Session,
    uri: &Pkcs11Uri,
    algorithm: Algorithm,
) -> Result<(ObjectHandle, ObjectHandle), SignError> {
    let names = names(uri, algorithm.name())?;
    let failed = |error| token.error("generate a key", error);
    let parameters = match algorithm {
        Algorithm::EcdsaP256 => vec![Attribute::EcParams(P256.into())],
        Algorithm::EcdsaP384 => vec![Attribute::EcParams(P384.into())],
        Algorithm::Ed25519 => vec![Attribute::EcParams(ED25519.into())],
        Algorithm::Rsa(bits) => vec![
            Attribute::ModulusBits((bits.get() as usize).try_into().map_err(failed)?),
            Attribute::PublicExponent(vec![1, 0, 1]),
        ],
    };
    match pair(session, algorithm, &names, parameters) {
        // Tokens differ in the form of the curve's name that they take.
        Err(Error::Pkcs11(
            RvError::AttributeValueInvalid
            | RvError::DomainParamsInvalid
            | RvError::CurveNotSupported
            | RvError::TemplateInconsistent
            | RvError::FunctionFailed
            | RvError::GeneralError,
            _,
        )) if algorithm == Algorithm::Ed25519 => {
            let parameters = vec![Attribute::EcParams(ED25519_NAME.into())];
            pair(session, algorithm, &names, parameters).map_err(failed)
        }
        made => made.map_err(failed),
    }
}

fn pair(
    session: &Session,
    algorithm: Algorithm,
    names: &[Attribute],
    parameters: Vec<Attribute>,
) -> Result<(ObjectHandle, ObjectHandle), Error> {
    // What else a public key may do is not said: anybody can do it anywhere.
    let mut public = vec![
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Verify(true),
    ];
    public.extend(names.iter().cloned().chain(parameters));
    // One key, one purpose: nothing but signing.
    let mut private = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ];
    if matches!(algorithm, Algorithm::Rsa(_)) {
        // Keys on curves cannot decrypt, and tpm2-pkcs11 fails when told that they must not.
        private.push(Attribute::Decrypt(false));
    }
    private.extend(names.iter().cloned());
    session.generate_key_pair(&recipe(algorithm).0, &public, &private)
}

/// The id, which is random unless `uri` says it, and the label of a new key.
pub(super) fn names(uri: &Pkcs11Uri, kind: &'static str) -> Result<Vec<Attribute>, SignError> {
    let id = match uri.id() {
        Some(id) => id.to_vec(),
        None => random_id(kind)?,
    };
    let mut names = vec![Attribute::Id(id)];
    names.extend(uri.object().map(|label| Attribute::Label(label.into())));
    Ok(names)
}

fn random_id(kind: &'static str) -> Result<Vec<u8>, SignError> {
    let mut id = vec![0; 16];
    match SystemRandom::new().fill(&mut id) {
        Ok(()) => Ok(id),
        Err(_) => Err(SignError::Crypto {
            doing: "generate",
            kind,
            problem: "the system has no random numbers".into(),
        }),
    }
}
