//! What a token tells about a key object.

use countersign_metadata::PublicKey;
use cryptoki::error::Error;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectHandle};
use cryptoki::session::Session;
use der::Decode as _;
use der::asn1::{ObjectIdentifier, OctetStringRef};

use crate::uri::Pkcs11Uri;

const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// The attributes of a key object that its token shows.
#[derive(Default)]
pub(super) struct Attributes {
    /// CKA_LABEL, empty if there is none. Any bytes: tokens do not check that it is UTF-8.
    pub(super) label: Vec<u8>,
    /// CKA_ID, empty if there is none.
    pub(super) id: Vec<u8>,
    pub(super) key_type: Option<KeyType>,
    pub(super) sensitive: Option<bool>,
    pub(super) extractable: Option<bool>,
    pub(super) sign: Option<bool>,
    pub(super) derive: Option<bool>,
    pub(super) always_authenticate: Option<bool>,
    local: Option<bool>,
    always_sensitive: Option<bool>,
    never_extractable: Option<bool>,
    modulus: Option<Vec<u8>>,
    exponent: Option<Vec<u8>>,
    ec_params: Option<Vec<u8>>,
    ec_point: Option<Vec<u8>>,
}

/// Label and id, as a key URI would have them.
pub(super) fn name(label: Option<&str>, id: Option<&[u8]>) -> String {
    let uri = Pkcs11Uri {
        object: label.map(str::to_owned),
        id: id.map(<[u8]>::to_vec),
        ..Pkcs11Uri::default()
    };
    match uri.to_string() {
        empty if empty.is_empty() => "(without label and id)".into(),
        name => name,
    }
}

impl Attributes {
    pub(super) fn read(session: &Session, handle: ObjectHandle) -> Result<Self, Error> {
        const TYPES: [AttributeType; 15] = [
            AttributeType::Label,
            AttributeType::Id,
            AttributeType::KeyType,
            AttributeType::Sensitive,
            AttributeType::Extractable,
            AttributeType::Local,
            AttributeType::AlwaysSensitive,
            AttributeType::NeverExtractable,
            AttributeType::Sign,
            AttributeType::Derive,
            AttributeType::AlwaysAuthenticate,
            AttributeType::Modulus,
            AttributeType::PublicExponent,
            AttributeType::EcParams,
            AttributeType::EcPoint,
        ];
        // Attributes that a token does not know or show are left out.
        let mut read = Self::default();
        for value in session.get_attributes(handle, &TYPES)? {
            match value {
                Attribute::Label(label) => read.label = label,
                Attribute::Id(id) => read.id = id,
                Attribute::KeyType(key_type) => read.key_type = Some(key_type),
                Attribute::Sensitive(value) => read.sensitive = Some(value),
                Attribute::Extractable(value) => read.extractable = Some(value),
                Attribute::Local(value) => read.local = Some(value),
                Attribute::AlwaysSensitive(value) => read.always_sensitive = Some(value),
                Attribute::NeverExtractable(value) => read.never_extractable = Some(value),
                Attribute::Sign(value) => read.sign = Some(value),
                Attribute::Derive(value) => read.derive = Some(value),
                Attribute::AlwaysAuthenticate(value) => read.always_authenticate = Some(value),
                Attribute::Modulus(number) => read.modulus = Some(number),
                Attribute::PublicExponent(number) => read.exponent = Some(number),
                Attribute::EcParams(der) => read.ec_params = Some(der),
                Attribute::EcPoint(point) => read.ec_point = Some(point),
                _ => {}
            }
        }
        Ok(read)
    }

    /// The label as a key URI can have it: `None` if it is empty or not UTF-8.
    pub(super) fn label_text(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.label).ok();
        text.filter(|text| !text.is_empty())
    }

    /// The id, if there is one.
    pub(super) fn id(&self) -> Option<&[u8]> {
        Some(self.id.as_slice()).filter(|id| !id.is_empty())
    }

    pub(super) fn name(&self) -> String {
        let label = String::from_utf8_lossy(&self.label);
        let label = Some(&*label).filter(|label| !label.is_empty());
        name(label, self.id())
    }

    /// Unless the token says so, a key is not taken to be bound to it.
    pub(super) fn bound_to_token(&self) -> Result<(), &'static str> {
        match (self.extractable, self.sensitive) {
            (Some(true), _) => Err("CKA_EXTRACTABLE is true"),
            (None, _) => Err("the token does not show CKA_EXTRACTABLE"),
            (_, Some(false)) => Err("CKA_SENSITIVE is false"),
            (_, None) => Err("the token does not show CKA_SENSITIVE"),
            (Some(false), Some(true)) => Ok(()),
        }
    }

    /// CKA_LOCAL, and nothing speaks against it. A key that was extractable or readable once
    /// may have left then, so it is no better than one that came from outside.
    pub(super) fn made_inside(&self) -> Option<bool> {
        let said = [self.local, self.never_extractable, self.always_sensitive];
        match said.contains(&Some(false)) {
            true => Some(false),
            false => self.local,
        }
    }

    pub(super) fn public_key(&self) -> Result<PublicKey, String> {
        const HIDDEN: &str = "its token shows no public key beside it; store the public key with \
                              the same id";
        match self.key_type {
            Some(KeyType::RSA) => {
                let modulus = self.modulus.as_deref().ok_or(HIDDEN)?;
                let exponent = self.exponent.as_deref().ok_or(HIDDEN)?;
                PublicKey::from_rsa(modulus, exponent)
                    .ok_or_else(|| "RSA keys need 2048 to 4096 bits".into())
            }
            Some(KeyType::EC) => {
                let curve = self.ec_params.as_deref().ok_or(HIDDEN)?;
                let length = match ObjectIdentifier::from_der(curve) {
                    Ok(P256) => 65,
                    Ok(P384) => 97,
                    _ => return Err("its curve is neither P-256 nor P-384".into()),
                };
                let point = self.ec_point.as_deref().ok_or(HIDDEN)?;
                PublicKey::from_sec1(unwrap_point(point, length))
                    .ok_or_else(|| "its public point is not on its curve".into())
            }
            Some(KeyType::EC_EDWARDS) => {
                let point = self.ec_point.as_deref().ok_or(HIDDEN)?;
                let point = unwrap_point(point, 32).try_into();
                let point = point.map_err(|_| "of Edwards curves only Ed25519 is known")?;
                Ok(PublicKey::Ed25519(point))
            }
            Some(other) => Err(format!(
                "its type is {other}; use Ed25519, ECDSA P-256 or P-384, or RSA"
            )),
            None => Err("its token does not show its type".into()),
        }
    }

    /// The algorithm in words, for keys of any kind.
    pub(super) fn kind(&self, public: Option<&PublicKey>) -> String {
        let modulus = self.modulus.as_deref().unwrap_or_default();
        // What agrees and does not sign.
        let agrees = (self.sign, self.derive) == (Some(false), Some(true));
        match (public, self.key_type) {
            (Some(PublicKey::EcdsaP256(_)), _) if agrees => "ECDH P-256".into(),
            (Some(PublicKey::Ed25519(_)), _) => "Ed25519".into(),
            (Some(PublicKey::EcdsaP256(_)), _) => "ECDSA P-256".into(),
            (Some(PublicKey::EcdsaP384(_)), _) => "ECDSA P-384".into(),
            (_, Some(KeyType::RSA)) if !modulus.is_empty() => format!("RSA {}", bits(modulus)),
            (_, Some(KeyType::RSA)) => "RSA".into(),
            (_, Some(KeyType::EC)) => {
                match self.ec_params.as_deref().map(ObjectIdentifier::from_der) {
                    Some(Ok(P256)) => "ECDSA P-256".into(),
                    Some(Ok(P384)) => "ECDSA P-384".into(),
                    Some(Ok(curve)) => format!("EC, curve {curve}"),
                    _ => "EC".into(),
                }
            }
            (_, Some(other)) => other.to_string(),
            (_, None) => "not shown".into(),
        }
    }
}

/// The length of a big-endian number.
fn bits(number: &[u8]) -> usize {
    let used = number.iter().skip_while(|byte| **byte == 0);
    let (length, first) = (used.clone().count(), used.copied().next());
    length * 8 - first.map_or(0, |first| first.leading_zeros() as usize)
}

/// CKA_EC_POINT is a DER OCTET STRING around the point; some tokens leave the wrapping out.
fn unwrap_point(value: &[u8], raw_length: usize) -> &[u8] {
    match <&OctetStringRef>::from_der(value) {
        Ok(point) if value.len() != raw_length => point.as_bytes(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_with_and_without_wrapping() {
        let raw = [7; 32];
        let wrapped = [[4, 32].as_slice(), &raw].concat();
        assert_eq!(unwrap_point(&raw, 32), raw);
        assert_eq!(unwrap_point(&wrapped, 32), raw);
        // A raw point that happens to be a whole OCTET STRING itself.
        let lookalike = [[4, 30].as_slice(), &[9; 30]].concat();
        assert_eq!(unwrap_point(&lookalike, 32), lookalike);
        // An uncompressed P-256 point starts like an OCTET STRING.
        let point = [[4, 63].as_slice(), &[1; 63]].concat();
        assert_eq!(unwrap_point(&point, 65), point);
        assert_eq!(unwrap_point(&[4, 200, 1], 65), [4, 200, 1]);
        assert_eq!(unwrap_point(&[], 65), [0_u8; 0]);
    }

    #[test]
    fn keys_that_were_elsewhere_once_were_not_made_inside() {
        let key = |local, never_extractable, always_sensitive| Attributes {
            local,
            never_extractable,
            always_sensitive,
            ..Attributes::default()
        };
        let (yes, no) = (Some(true), Some(false));
        for (key, expected) in [
            (key(yes, yes, yes), yes),
            (key(yes, None, None), yes),
            (key(None, None, None), None),
            (key(None, yes, yes), None),
            (key(no, None, None), no),
            (key(yes, no, yes), no),
            (key(yes, yes, no), no),
            (key(None, no, None), no),
        ] {
            assert_eq!(key.made_inside(), expected);
        }
    }

    #[test]
    fn lengths_of_numbers() {
        assert_eq!(bits(&[]), 0);
        assert_eq!(bits(&[0, 0]), 0);
        assert_eq!(bits(&[1]), 1);
        assert_eq!(bits(&[0, 0x80, 0]), 16);
        assert_eq!(bits(&[0x7f; 256]), 2047);
    }

    #[test]
    fn only_keys_that_say_so_are_bound_to_the_token() {
        let key = |sensitive, extractable| Attributes {
            sensitive,
            extractable,
            ..Attributes::default()
        };
        assert!(key(Some(true), Some(false)).bound_to_token().is_ok());
        for sensitive in [None, Some(false), Some(true)] {
            for extractable in [None, Some(true), Some(false)] {
                let expected = (sensitive, extractable) == (Some(true), Some(false));
                let bound = key(sensitive, extractable).bound_to_token();
                assert_eq!(bound.is_ok(), expected);
            }
        }
    }

    #[test]
    fn keys_of_other_kinds() {
        let key = |key_type, params: &[u8], point: &[u8]| Attributes {
            key_type: Some(key_type),
            ec_params: Some(params.into()),
            ec_point: Some(point.into()),
            ..Attributes::default()
        };
        let secp256k1 = [6, 5, 0x2b, 0x81, 4, 0, 10];
        let p256 = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        for (key, problem) in [
            (key(KeyType::EC, &secp256k1, &[4; 65]), "neither P-256"),
            (key(KeyType::EC, &[], &[4; 65]), "neither P-256"),
            (key(KeyType::EC, &p256, &[4; 65]), "not on its curve"),
            (key(KeyType::EC_EDWARDS, &[], &[1; 57]), "only Ed25519"),
            (key(KeyType::EC_MONTGOMERY, &[], &[1; 32]), "its type is"),
            (key(KeyType::RSA, &[], &[]), "no public key"),
            (Attributes::default(), "does not show its type"),
        ] {
            let error = key.public_key().unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
