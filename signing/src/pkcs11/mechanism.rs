//! Mechanisms: how a token is asked for a signature, and its answer in metadata's form.

use countersign_metadata::PublicKey;
use cryptoki::error::Error;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use ring::digest::{SHA256, SHA384, digest};

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
}

impl SignMechanism {
    /// The one that `token` offers for `key`.
    pub(super) fn choose(token: &Token, key: &PublicKey) -> Result<Self, SignError> {
        let (mechanism, needed, name) = match key {
            PublicKey::Ed25519(_) => (Self::Eddsa, MechanismType::EDDSA, "CKM_EDDSA"),
            PublicKey::EcdsaP256(_) => (Self::EcdsaP256, MechanismType::ECDSA, "CKM_ECDSA"),
            PublicKey::EcdsaP384(_) => (Self::EcdsaP384, MechanismType::ECDSA, "CKM_ECDSA"),
            PublicKey::Rsa { .. } if token.offers(MechanismType::SHA256_RSA_PKCS_PSS)? => {
                return Ok(Self::Pss);
            }
            PublicKey::Rsa { .. } => (
                Self::PssOverDigest,
                MechanismType::RSA_PKCS_PSS,
                "CKM_SHA256_RSA_PKCS_PSS or CKM_RSA_PKCS_PSS",
            ),
        };
        match token.offers(needed)? {
            true => Ok(mechanism),
            false => Err(SignError::NoMechanism {
                token: token.label().into(),
                mechanism: name,
            }),
        }
    }

    /// The token's own form of the signature.
    pub(super) fn sign(
        self,
        session: &Session,
        key: ObjectHandle,
        message: &[u8],
    ) -> Result<Vec<u8>, Error> {
        // Salt as long as the hash, which is what `rsassa-pss-sha256` means.
        let pss = PkcsPssParams {
            hash_alg: MechanismType::SHA256,
            mgf: PkcsMgfType::MGF1_SHA256,
            s_len: 32.into(),
        };
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
            Self::Pss => session.sign(&Mechanism::Sha256RsaPkcsPss(pss), key, message),
            Self::PssOverDigest => over_digest(Mechanism::RsaPkcsPss(pss), &SHA256),
        }
    }

    /// ECDSA: PKCS#11 has r and s side by side, metadata has DER. `None` if `raw` is neither.
    pub(super) fn to_metadata_form(self, raw: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::Eddsa | Self::Pss | Self::PssOverDigest => Some(raw),
            Self::EcdsaP256 => {
                let signature = p256::ecdsa::Signature::from_slice(&raw).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
            Self::EcdsaP384 => {
                let signature = p384::ecdsa::Signature::from_slice(&raw).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
        }
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
