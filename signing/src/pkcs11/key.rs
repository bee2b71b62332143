//! Private keys in tokens, the public keys beside them, and whether they may be used.

use countersign_metadata::PublicKey;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use der::Decode as _;
use der::asn1::{ObjectIdentifier, OctetStringRef};

use super::token::Token;
use crate::error::SignError;
use crate::uri::Pkcs11Uri;

const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// Most keys named in an error, and most objects of one name looked at.
const MAX_LISTED: usize = 32;

pub(super) struct PrivateKey {
    pub(super) handle: ObjectHandle,
    pub(super) public: PublicKey,
    /// Label and id, written as in a key URI.
    pub(super) name: String,
    pub(super) extractable: Option<bool>,
    pub(super) sensitive: Option<bool>,
    /// CKA_LOCAL
    pub(super) made_inside: Option<bool>,
}

/// The attributes of a key object that its token shows.
#[derive(Default)]
struct Attributes {
    label: Option<String>,
    id: Vec<u8>,
    key_type: Option<KeyType>,
    sensitive: Option<bool>,
    extractable: Option<bool>,
    local: Option<bool>,
    sign: Option<bool>,
    always_authenticate: Option<bool>,
    modulus: Option<Vec<u8>>,
    exponent: Option<Vec<u8>>,
    ec_params: Option<Vec<u8>>,
    ec_point: Option<Vec<u8>>,
}

impl PrivateKey {
    /// The one private key that `uri` describes.
    pub(super) fn find(
        token: &Token,
        session: &Session,
        uri: &Pkcs11Uri,
    ) -> Result<Self, SignError> {
        let found = search(
            token,
            session,
            ObjectClass::PRIVATE_KEY,
            uri.object(),
            uri.id(),
        )?;
        match found.as_slice() {
            [handle] => Self::inspect(token, session, *handle, uri.allow_extractable()),
            [] => Err(SignError::NoKey {
                token: token.label().into(),
                wanted: name(uri.object(), uri.id()),
                seen: {
                    let all = search(token, session, ObjectClass::PRIVATE_KEY, None, None)?;
                    names(token, session, &all)?
                },
            }),
            several => Err(SignError::AmbiguousKey {
                token: token.label().into(),
                wanted: name(uri.object(), uri.id()),
                seen: names(token, session, several)?,
            }),
        }
    }

    /// Judges the private key behind `handle` and finds its public half.
    pub(super) fn inspect(
        token: &Token,
        session: &Session,
        handle: ObjectHandle,
        allow_extractable: bool,
    ) -> Result<Self, SignError> {
        let private = Attributes::read(token, session, handle)?;
        let key = private.name();
        if !allow_extractable {
            private
                .bound_to_token()
                .map_err(|fact| SignError::Extractable {
                    key: key.clone(),
                    fact,
                })?;
        }
        let wrong = |problem: String| SignError::WrongKey {
            key: key.clone(),
            problem,
        };
        if private.sign == Some(false) {
            return Err(wrong("it is not made for signing (CKA_SIGN)".into()));
        }
        if private.always_authenticate == Some(true) {
            return Err(wrong(
                "it wants its PIN for every signature (CKA_ALWAYS_AUTHENTICATE), which is not \
                 supported; generate a key without that"
                    .into(),
            ));
        }
        let public = public_half(token, session, &private)?.map_err(wrong)?;
        Ok(Self {
            handle,
            public,
            name: private.name(),
            extractable: private.extractable,
            sensitive: private.sensitive,
            made_inside: private.local,
        })
    }
}

/// Whether a key of either class has this label or this id.
pub(super) fn exists(
    token: &Token,
    session: &Session,
    label: Option<&str>,
    id: Option<&[u8]>,
) -> Result<bool, SignError> {
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        let by_label = label.is_some() && !search(token, session, class, label, None)?.is_empty();
        if by_label || (id.is_some() && !search(token, session, class, None, id)?.is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
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

fn search(
    token: &Token,
    session: &Session,
    class: ObjectClass,
    label: Option<&str>,
    id: Option<&[u8]>,
) -> Result<Vec<ObjectHandle>, SignError> {
    let mut template = vec![Attribute::Class(class), Attribute::Token(true)];
    template.extend(label.map(|label| Attribute::Label(label.into())));
    template.extend(id.map(|id| Attribute::Id(id.into())));
    session
        .iter_objects(&template)
        .and_then(|objects| objects.take(MAX_LISTED).collect())
        .map_err(|error| token.error("look for keys", error))
}

fn names(
    token: &Token,
    session: &Session,
    handles: &[ObjectHandle],
) -> Result<Vec<String>, SignError> {
    let name = |handle: &ObjectHandle| Ok(Attributes::read(token, session, *handle)?.name());
    handles.iter().map(name).collect()
}

/// The public key that carries the private key's id (or label), or what the private key's own
/// attributes tell. The inner error says why there is none.
fn public_half(
    token: &Token,
    session: &Session,
    private: &Attributes,
) -> Result<Result<PublicKey, String>, SignError> {
    let (label, id) = match private.id.as_slice() {
        [] => (private.label.as_deref(), None),
        id => (None, Some(id)),
    };
    let handles = match (label, id) {
        (None, None) => Vec::new(),
        _ => search(token, session, ObjectClass::PUBLIC_KEY, label, id)?,
    };
    let (mut keys, mut problem) = (Vec::new(), None);
    for handle in handles {
        let attributes = Attributes::read(token, session, handle)?;
        if attributes.key_type != private.key_type {
            continue;
        }
        match attributes.public_key() {
            Ok(key) if keys.contains(&key) => {}
            Ok(key) => keys.push(key),
            Err(text) => problem = Some(text),
        }
    }
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(Ok(key)),
        (Some(_), false) => Err(SignError::AmbiguousKey {
            token: token.label().into(),
            wanted: private.name(),
            seen: vec!["different public keys carry its id".into()],
        }),
        (None, _) => Ok(private.public_key().map_err(|own| problem.unwrap_or(own))),
    }
}

impl Attributes {
    fn read(token: &Token, session: &Session, handle: ObjectHandle) -> Result<Self, SignError> {
        const TYPES: [AttributeType; 12] = [
            AttributeType::Label,
            AttributeType::Id,
            AttributeType::KeyType,
            AttributeType::Sensitive,
            AttributeType::Extractable,
            AttributeType::Local,
            AttributeType::Sign,
            AttributeType::AlwaysAuthenticate,
            AttributeType::Modulus,
            AttributeType::PublicExponent,
            AttributeType::EcParams,
            AttributeType::EcPoint,
        ];
        // Attributes that a token does not know or show are left out.
        let values = session
            .get_attributes(handle, &TYPES)
            .map_err(|error| token.error("read a key's attributes", error))?;
        let mut read = Self::default();
        for value in values {
            match value {
                Attribute::Label(text) if !text.is_empty() => {
                    read.label = Some(String::from_utf8_lossy(&text).into_owned());
                }
                Attribute::Id(id) => read.id = id,
                Attribute::KeyType(key_type) => read.key_type = Some(key_type),
                Attribute::Sensitive(value) => read.sensitive = Some(value),
                Attribute::Extractable(value) => read.extractable = Some(value),
                Attribute::Local(value) => read.local = Some(value),
                Attribute::Sign(value) => read.sign = Some(value),
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

    fn name(&self) -> String {
        let id = Some(self.id.as_slice()).filter(|id| !id.is_empty());
        name(self.label.as_deref(), id)
    }

    /// Unless the token says so, a key is not taken to be bound to it.
    fn bound_to_token(&self) -> Result<(), &'static str> {
        match (self.extractable, self.sensitive) {
            (Some(true), _) => Err("CKA_EXTRACTABLE is true"),
            (None, _) => Err("the token does not show CKA_EXTRACTABLE"),
            (_, Some(false)) => Err("CKA_SENSITIVE is false"),
            (_, None) => Err("the token does not show CKA_SENSITIVE"),
            (Some(false), Some(true)) => Ok(()),
        }
    }

    fn public_key(&self) -> Result<PublicKey, String> {
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
