//! Private keys in tokens, the public keys beside them, and whether they may be used.

use countersign_metadata::PublicKey;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::attributes::{Attributes, name};
use super::token::Token;
use crate::custody::Custody;
use crate::error::SignError;
use crate::uri::Pkcs11Uri;

/// Most keys named in an error, and most objects of one name looked at.
const MAX_LISTED: usize = 32;

pub(super) struct PrivateKey {
    pub(super) handle: ObjectHandle,
    pub(super) public: PublicKey,
    /// Label and id, written as in a key URI.
    pub(super) name: String,
    pub(super) custody: Custody,
    pub(super) log_ins: LogIns,
}

/// What a private key is to be used for. One key for both is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Signatures.
    Sign,
    /// Agreeing on secrets, with which content keys are unwrapped.
    Decrypt,
}

impl Purpose {
    /// Why `key` is not for this.
    pub(super) fn refuse(self, key: &Attributes) -> Result<(), &'static str> {
        match (self, key.sign, key.derive) {
            (Self::Sign, Some(false), Some(true)) => {
                Err("it is made for decryption (CKA_DERIVE), not for signing (CKA_SIGN)")
            }
            (Self::Sign, Some(false), _) => Err("it is not made for signing (CKA_SIGN)"),
            (Self::Sign, ..) => Ok(()),
            (Self::Decrypt, Some(true), _) => Err(
                "it is a key for signing (CKA_SIGN), and one key for both is refused; generate a \
                 key for decryption beside it",
            ),
            (Self::Decrypt, None, _) => Err("its token does not show whether it signs (CKA_SIGN)"),
            (Self::Decrypt, _, Some(true)) => Ok(()),
            (Self::Decrypt, ..) => Err("it is not made for agreeing on secrets (CKA_DERIVE)"),
        }
    }
}

/// How often a key wants its user to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogIns {
    /// The login of the session is enough.
    PerSession,
    /// CKA_ALWAYS_AUTHENTICATE.
    PerSignature,
}

impl PrivateKey {
    /// The one private key that `uri` describes.
    pub(super) fn find(
        token: &Token,
        session: &Session,
        uri: &Pkcs11Uri,
        purpose: Purpose,
    ) -> Result<Self, SignError> {
        let private = ObjectClass::PRIVATE_KEY;
        let found = search(token, session, private, uri.object(), uri.id(), MAX_LISTED)?;
        match found.as_slice() {
            [handle] => Self::inspect(token, session, *handle, purpose, uri.allow_extractable()),
            [] => Err(SignError::NoKey {
                token: token.label().into(),
                wanted: name(uri.object(), uri.id()),
                seen: {
                    let all = search(token, session, private, None, None, MAX_LISTED)?;
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
        purpose: Purpose,
        allow_extractable: bool,
    ) -> Result<Self, SignError> {
        let private = read(token, session, handle)?;
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
        purpose.refuse(&private).map_err(|why| wrong(why.into()))?;
        let public = public_half(token, session, &private)?.map_err(wrong)?;
        Ok(Self {
            handle,
            public,
            name: private.name(),
            custody: custody(token, &private),
            log_ins: log_ins(&private),
        })
    }
}

/// What keeps the private key in its token.
pub(super) fn custody(token: &Token, private: &Attributes) -> Custody {
    Custody {
        home: token.home(),
        extractable: private.extractable,
        sensitive: private.sensitive,
        made_inside: private.made_inside(),
    }
}

pub(super) fn log_ins(private: &Attributes) -> LogIns {
    match private.always_authenticate {
        Some(true) => LogIns::PerSignature,
        _ => LogIns::PerSession,
    }
}

/// A key is never made under a label or id that is taken.
pub(super) fn must_not_exist(
    token: &Token,
    session: &Session,
    uri: &Pkcs11Uri,
) -> Result<(), SignError> {
    match exists(token, session, uri.object(), uri.id())? {
        true => Err(SignError::KeyExists {
            token: token.label().into(),
            wanted: name(uri.object(), uri.id()),
        }),
        false => Ok(()),
    }
}

/// Whether a key of either class has this label or this id.
fn exists(
    token: &Token,
    session: &Session,
    label: Option<&str>,
    id: Option<&[u8]>,
) -> Result<bool, SignError> {
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        let found = |label, id| {
            let found = search(token, session, class, label, id, MAX_LISTED)?;
            Ok::<_, SignError>(!found.is_empty())
        };
        if (label.is_some() && found(label, None)?) || (id.is_some() && found(None, id)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// At most `limit` keys of a class, of those with this label and id if given.
pub(super) fn search(
    token: &Token,
    session: &Session,
    class: ObjectClass,
    label: Option<&str>,
    id: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<ObjectHandle>, SignError> {
    let mut template = vec![Attribute::Class(class), Attribute::Token(true)];
    template.extend(label.map(|label| Attribute::Label(label.into())));
    template.extend(id.map(|id| Attribute::Id(id.into())));
    session
        .iter_objects(&template)
        .and_then(|objects| objects.take(limit).collect())
        .map_err(|error| token.error("look for keys", error))
}

pub(super) fn read(
    token: &Token,
    session: &Session,
    handle: ObjectHandle,
) -> Result<Attributes, SignError> {
    Attributes::read(session, handle).map_err(|error| token.error("read a key's attributes", error))
}

fn names(
    token: &Token,
    session: &Session,
    handles: &[ObjectHandle],
) -> Result<Vec<String>, SignError> {
    let name = |handle: &ObjectHandle| Ok(read(token, session, *handle)?.name());
    handles.iter().map(name).collect()
}

/// The public key that carries the private key's id (or label), or what the private key's own
/// attributes tell. The inner error says why there is none.
pub(super) fn public_half(
    token: &Token,
    session: &Session,
    private: &Attributes,
) -> Result<Result<PublicKey, String>, SignError> {
    let (label, id) = match private.id() {
        None => (private.label_text(), None),
        id => (None, id),
    };
    let handles = match (label, id) {
        (None, None) => Vec::new(),
        _ => search(
            token,
            session,
            ObjectClass::PUBLIC_KEY,
            label,
            id,
            MAX_LISTED,
        )?,
    };
    let (mut keys, mut problem) = (Vec::new(), None);
    for handle in handles {
        let attributes = read(token, session, handle)?;
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
