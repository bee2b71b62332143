//! Decryption keys in tokens: P-256, of which the token gives out agreed secrets and nothing else.

use std::sync::{Mutex, PoisonError};

use countersign_metadata::PublicKey;
use countersign_metadata::uptane::{EncryptionAlgorithm, EncryptionKey};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use der::Encode as _;
use der::asn1::OctetStringRef;
use zeroize::Zeroizing;

use super::generate::{P256, names};
use super::held::Held;
use super::key::{self, LogIns, PrivateKey, Purpose};
use super::token::{Access, Token};
use crate::custody::Custody;
use crate::decryption::{Agree, prove};
use crate::error::SignError;
use crate::secrets::Secrets;
use crate::uri::Pkcs11Uri;

const AGREE: &str = "agree on a secret";

/// A coordinate on P-256 in bytes.
const COORDINATE_LEN: u64 = 32;

/// A key in a token, with a session of its own.
pub(crate) struct TokenDecryptionKey {
    session: Mutex<Held>,
    key: PrivateKey,
    public: EncryptionKey,
    token: Token,
}

impl TokenDecryptionKey {
    pub(crate) fn open(uri: &Pkcs11Uri, secrets: &Secrets) -> Result<Self, SignError> {
        let token = Token::find(uri, secrets)?;
        let session = token.session(Access::ReadOnly, uri, secrets)?;
        let key = PrivateKey::find(&token, &session, uri, Purpose::Decrypt)?;
        Self::new(token, session, key)
    }

    fn new(token: Token, session: Session, key: PrivateKey) -> Result<Self, SignError> {
        token.must_offer(MechanismType::ECDH1_DERIVE, "CKM_ECDH1_DERIVE")?;
        let wrong = |problem: &str| SignError::WrongKey {
            key: key.name.clone(),
            problem: problem.into(),
        };
        if key.log_ins == LogIns::PerSignature {
            // An ECU decrypts with nobody there to type it.
            return Err(wrong(
                "it wants its PIN for every use (CKA_ALWAYS_AUTHENTICATE)",
            ));
        }
        let PublicKey::EcdsaP256(point) = &key.public else {
            return Err(wrong("keys for decryption in tokens are on P-256"));
        };
        let public = EncryptionKey::p256(point).map_err(|error| wrong(&error.to_string()))?;
        Ok(Self {
            session: Mutex::new(Held::new(session)),
            key,
            public,
            token,
        })
    }
}

impl Agree for TokenDecryptionKey {
    fn public_key(&self) -> &EncryptionKey {
        &self.public
    }

    fn custody(&self) -> Custody {
        self.key.custody.clone()
    }

    fn agree(&self, peer: &EncryptionKey) -> Result<Zeroizing<Vec<u8>>, SignError> {
        let failed = |problem: &str| SignError::Crypto {
            doing: AGREE,
            kind: self.public.algorithm().keytype(),
            problem: problem.into(),
        };
        if peer.algorithm() != EncryptionAlgorithm::P256 {
            return Err(failed("the other public key is of another type"));
        }
        let point = peer.public_bytes();
        let wrapped = OctetStringRef::new(point).and_then(|point| point.to_der());
        let wrapped = wrapped.map_err(|error| failed(&error.to_string()))?;
        // A session does one operation at a time. A panic elsewhere leaves it as usable as it was.
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = session.run(&self.token, AGREE, |open| {
            // PKCS#11 3.1 6.3.17: every token takes the bare point. Some take CKA_EC_POINT's form
            // instead.
            Ok(match derive(open, self.key.handle, point) {
                Err(Error::Pkcs11(code, _)) if dislikes_form(code) => {
                    derive(open, self.key.handle, &wrapped)
                }
                derived => derived,
            })
        })?;
        match secret.len() as u64 == COORDINATE_LEN {
            true => Ok(secret),
            false => Err(failed("the token did not give out 32 bytes")),
        }
    }
}

/// The codes with which tokens refuse the other form of a point.
fn dislikes_form(code: RvError) -> bool {
    matches!(
        code,
        RvError::ArgumentsBad
            | RvError::DataInvalid
            | RvError::DataLenRange
            | RvError::DomainParamsInvalid
            | RvError::MechanismParamInvalid
            | RvError::PublicKeyInvalid
    )
}

/// CKM_ECDH1_DERIVE without a key derivation function: the x-coordinate.
fn derive(session: &Session, key: ObjectHandle, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let parameters = Ecdh1DeriveParams::new(EcKdf::null(), peer);
    // What is agreed lives in the token for a moment, for this session alone.
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::ValueLen(COORDINATE_LEN.into()),
    ];
    let agreed = session.derive_key(&Mechanism::Ecdh1Derive(parameters), key, &template)?;
    let value = session.get_attributes(agreed, &[AttributeType::Value]);
    let destroyed = session.destroy_object(agreed);
    let mut secret = Zeroizing::new(Vec::new());
    for attribute in value? {
        if let Attribute::Value(bytes) = attribute {
            secret = Zeroizing::new(bytes);
        }
    }
    destroyed?;
    Ok(secret)
}

/// Makes a key pair that stays in its token, and proves that it agrees.
pub(crate) fn generate(
    uri: &Pkcs11Uri,
    algorithm: EncryptionAlgorithm,
    secrets: &Secrets,
) -> Result<EncryptionKey, SignError> {
    let token = Token::find(uri, secrets)?;
    if algorithm != EncryptionAlgorithm::P256 {
        return Err(SignError::NoMechanism {
            token: token.label().into(),
            mechanism: "X25519 keys for decryption (those are for files; tokens take P-256)",
        });
    }
    token.must_offer(MechanismType::ECC_KEY_PAIR_GEN, "CKM_EC_KEY_PAIR_GEN")?;
    token.must_offer(MechanismType::ECDH1_DERIVE, "CKM_ECDH1_DERIVE")?;
    let session = token.session(Access::ReadWrite, uri, secrets)?;
    key::must_not_exist(&token, &session, uri)?;
    let made = pair(&session, &names(uri, algorithm.keytype())?);
    let (public, private) = made.map_err(|error| token.error("generate a key", error))?;
    // Tokens may ignore what they were asked for, so what came out is judged like any other key.
    let proof = PrivateKey::inspect(&token, &session, private, Purpose::Decrypt, false)
        .and_then(|key| {
            let own = token.session(Access::ReadOnly, uri, secrets)?;
            TokenDecryptionKey::new(token, own, key)
        })
        .and_then(|key| {
            prove(&key)?;
            Ok(key.public)
        });
    if proof.is_err() {
        // As for signing keys: the first error is the one to report.
        let _ = session.destroy_object(private);
        let _ = session.destroy_object(public);
    }
    proof
}

fn pair(session: &Session, names: &[Attribute]) -> Result<(ObjectHandle, ObjectHandle), Error> {
    let mut public = vec![
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Verify(false),
        Attribute::EcParams(P256.into()),
    ];
    // One key, one purpose: nothing but agreeing.
    let mut private = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(false),
        Attribute::Unwrap(false),
        Attribute::Derive(true),
    ];
    public.extend(names.iter().cloned());
    private.extend(names.iter().cloned());
    session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)
}
