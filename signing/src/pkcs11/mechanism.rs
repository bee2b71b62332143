//! Mechanisms: how a token is asked for a signature, and its answer in metadata's form.

use countersign_metadata::Scheme;
use cryptoki::error::Error;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use ring::digest::{SHA256, SHA384, digest};

use super::key::LogIns;
use super::token::Token;
use crate::error::SignError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignMechanism {
    /// CKM_EDDSA over the message.
    Eddsa,
    /// CKM_ECDSA over our SHA-256: tokens that hash themselves are fewer.
    EcdsaP256,
    /// CKM_ECDSA over our SHA-384.
    EcdsaP384,
    /// CKM_SHA256_RSA_PKCS_PSS over the message.
    Pss,
    /// CKM_RSA_PKCS_PSS over our SHA-256, for tokens without the above.
    PssOverDigest,
    /// CKM_ECDSA_SHA256 over the message.
    HashingP256,
    /// CKM_ECDSA_SHA384 over the message.
    HashingP384,
}

impl SignMechanism {
    /// The one that `token` offers for keys of this scheme.
    pub(super) fn choose(
        token: &Token,
        scheme: Scheme,
        log_ins: LogIns,
    ) -> Result<Self, SignError> {
        if log_ins == LogIns::PerSignature {
            return Self::choose_in_parts(token, scheme);
        }
        let (mechanism, needed, name) = match scheme {
            Scheme::Ed25519 => (Self::Eddsa, MechanismType::EDDSA, "CKM_EDDSA"),
            Scheme::EcdsaP256 => (Self::EcdsaP256, MechanismType::ECDSA, "CKM_ECDSA"),
            Scheme::EcdsaP384 => (Self::EcdsaP384, MechanismType::ECDSA, "CKM_ECDSA"),
            Scheme::RsaPss if token.offers(MechanismType::SHA256_RSA_PKCS_PSS)? => {
                return Ok(Self::Pss);
            }
            Scheme::RsaPss => (
                Self::PssOverDigest,
                MechanismType::RSA_PKCS_PSS,
                "CKM_SHA256_RSA_PKCS_PSS or CKM_RSA_PKCS_PSS",
            ),
        };
        Self::if_offered(token, mechanism, needed, name)
    }

    /// One that takes the message in parts: only between those can a key be given its PIN, as
    /// `cryptoki` does a signature in one part as a whole.
    fn choose_in_parts(token: &Token, scheme: Scheme) -> Result<Self, SignError> {
        let (mechanism, needed, name) = match scheme {
            Scheme::EcdsaP256 => (
                Self::HashingP256,
                MechanismType::ECDSA_SHA256,
                "CKM_ECDSA_SHA256 (a P-256 key that wants its PIN for every signature needs it)",
            ),
            Scheme::EcdsaP384 => (
                Self::HashingP384,
                MechanismType::ECDSA_SHA384,
                "CKM_ECDSA_SHA384 (a P-384 key that wants its PIN for every signature needs it)",
            ),
            Scheme::RsaPss => (
                Self::Pss,
                MechanismType::SHA256_RSA_PKCS_PSS,
                "CKM_SHA256_RSA_PKCS_PSS (an RSA key that wants its PIN for every signature needs \
                 it)",
            ),
            Scheme::Ed25519 => {
                return Err(SignError::NoMechanism {
                    token: token.label().into(),
                    mechanism: "Ed25519 with a PIN for every signature",
                });
            }
        };
        Self::if_offered(token, mechanism, needed, name)
    }

    fn if_offered(
        token: &Token,
        mechanism: Self,
        needed: MechanismType,
        name: &'static str,
    ) -> Result<Self, SignError> {
        token.must_offer(needed, name)?;
        Ok(mechanism)
    }

    /// What starts a signature in parts, to be fed the message. `None` for what does not hash.
    pub(super) fn in_parts(self) -> Option<Mechanism<'static>> {
        match self {
            Self::Pss => Some(Mechanism::Sha256RsaPkcsPss(pss())),
            Self::HashingP256 => Some(Mechanism::EcdsaSha256),
            Self::HashingP384 => Some(Mechanism::EcdsaSha384),
            Self::Eddsa | Self::EcdsaP256 | Self::EcdsaP384 | Self::PssOverDigest => None,
        }
    }

    /// The token's own form of the signature.
    pub(super) fn sign(
        self,
        session: &Session,
        key: ObjectHandle,
        message: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let over_digest = |mechanism, algorithm| {
            session.sign(&mechanism, key, digest(algorithm, message).as_ref())
        };
        match self {
            Self::Eddsa => {
                let pure = EddsaParams::new(EddsaSignatureScheme::Pure);
                session.sign(&Mechanism::Eddsa(pure), key, message)
            }
            Self::EcdsaP256 => over_digest(Mechanism::Ecdsa, &SHA256),
            Self::EcdsaP384 => over_digest(Mechanism::Ecdsa, &SHA384),
            Self::Pss => session.sign(&Mechanism::Sha256RsaPkcsPss(pss()), key, message),
            Self::PssOverDigest => over_digest(Mechanism::RsaPkcsPss(pss()), &SHA256),
            Self::HashingP256 => session.sign(&Mechanism::EcdsaSha256, key, message),
            Self::HashingP384 => session.sign(&Mechanism::EcdsaSha384, key, message),
        }
    }

    /// ECDSA: PKCS#11 has r and s side by side, metadata has DER. `None` if `raw` is neither.
    pub(super) fn to_metadata_form(self, raw: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::Eddsa | Self::Pss | Self::PssOverDigest => Some(raw),
            Self::EcdsaP256 | Self::HashingP256 => {
                let signature = p256::ecdsa::Signature::from_slice(&raw).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
            Self::EcdsaP384 | Self::HashingP384 => {
                let signature = p384::ecdsa::Signature::from_slice(&raw).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
        }
    }
}

/// Salt as long as the hash, which is what `rsassa-pss-sha256` means.
fn pss() -> PkcsPssParams {
    PkcsPssParams {
        hash_alg: MechanismType::SHA256,
        mgf: PkcsMgfType::MGF1_SHA256,
        s_len: 32.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn der_of_numbers_with_leading_zeros_and_high_bits() {
        let mut raw = [0; 64];
        (raw[31], raw[32]) = (1, 0x80);
        let der = SignMechanism::EcdsaP256
            .to_metadata_form(raw.to_vec())
            .unwrap();
        assert_eq!(der[..8], [0x30, 38, 2, 1, 1, 2, 33, 0]);
        assert_eq!(der[8], 0x80);
        for length in [0, 63, 65, 96] {
            assert_eq!(
                SignMechanism::EcdsaP256.to_metadata_form(vec![1; length]),
                None
            );
        }
        assert_eq!(SignMechanism::EcdsaP256.to_metadata_form(vec![0; 64]), None);
        assert!(
            SignMechanism::EcdsaP384
                .to_metadata_form(vec![1; 96])
                .is_some()
        );
    }
}
