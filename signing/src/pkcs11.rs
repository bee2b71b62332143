//! Keys in PKCS#11 tokens, through `cryptoki`.
//!
//! In the order of the work: the library is [loaded](module), a [token] is found and logged in to,
//! a [key] is found in it and judged, and signatures are made by a [mechanism] that fits it.

mod generate;
mod key;
mod mechanism;
mod module;
mod token;

use std::fmt;
use std::sync::{Mutex, PoisonError};

use countersign_metadata::PublicKey;
use cryptoki::session::Session;

use self::key::PrivateKey;
use self::mechanism::SignMechanism;
use self::token::{Access, Token};
use crate::Signer;
use crate::custody::Custody;
use crate::error::SignError;
use crate::inventory::{Listing, LogIn};
use crate::secrets::Secrets;
use crate::uri::Pkcs11Uri;

pub(crate) use self::generate::generate;

/// A key in a token, with a session of its own.
pub(crate) struct TokenSigner {
    session: Mutex<Session>,
    key: PrivateKey,
    mechanism: SignMechanism,
    token: Token,
}

impl TokenSigner {
    fn new(token: Token, session: Session, key: PrivateKey) -> Result<Self, SignError> {
        let mechanism = SignMechanism::choose(&token, &key.public)?;
        Ok(Self {
            session: Mutex::new(session),
            key,
            mechanism,
            token,
        })
    }
}

impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSigner")
            .field("token", &self.token.label())
            .field("key", &self.key.name)
            .field("public", &self.key.public)
            .finish_non_exhaustive()
    }
}

impl Signer for TokenSigner {
    fn public_key(&self) -> &PublicKey {
        &self.key.public
    }

    fn custody(&self) -> Custody {
        Custody {
            home: self.token.home(),
            extractable: self.key.extractable,
            sensitive: self.key.sensitive,
            made_inside: self.key.made_inside,
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        // A session does one operation at a time. A panic elsewhere leaves it as usable as it was.
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let raw = self
            .mechanism
            .sign(&session, self.key.handle, message)
            .map_err(|error| self.token.error("sign", error))?;
        drop(session);
        let signature = self.mechanism.to_metadata_form(raw);
        match signature.filter(|signature| self.key.public.verify(message, signature)) {
            Some(signature) => Ok(signature),
            None => Err(SignError::BadSignature {
                key: format!("{} in token {:?}", self.key.name, self.token.label()),
            }),
        }
    }
}

pub(crate) fn open(uri: &Pkcs11Uri, secrets: &Secrets) -> Result<TokenSigner, SignError> {
    let token = Token::find(uri, secrets)?;
    let session = token.session(Access::ReadOnly, uri, secrets)?;
    let key = PrivateKey::find(&token, &session, uri)?;
    TokenSigner::new(token, session, key)
}

pub(crate) fn inventory(
    _module: Option<&std::path::Path>,
    _slot: Option<u64>,
    _log_in: LogIn,
    _secrets: &Secrets,
) -> Result<Vec<Listing>, SignError> {
    Ok(Vec::new())
}
