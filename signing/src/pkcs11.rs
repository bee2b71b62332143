//! Keys in PKCS#11 tokens, through `cryptoki`.
//!
//! In the order of the work: the library is [loaded](module), a [token] is found and [logged in
//! to](login), a [key] is found in it and judged by its [attributes], and signatures are made by a
//! [mechanism] that fits it.

mod attributes;
pub(crate) mod decryption;
mod generate;
mod held;
mod key;
mod list;
mod login;
mod mechanism;
mod module;
mod token;

use std::fmt;
use std::sync::{Mutex, PoisonError};

use countersign_metadata::PublicKey;
use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::session::Session;

use self::held::Held;
use self::key::{LogIns, PrivateKey, Purpose};
use self::login::OperationPin;
use self::mechanism::SignMechanism;
use self::token::{Access, Token};
use crate::Signer;
use crate::custody::Custody;
use crate::error::SignError;
use crate::secrets::Secrets;
use crate::uri::Pkcs11Uri;

pub(crate) use self::generate::generate;
pub(crate) use self::list::inventory;

const SIGN: &str = "sign";

/// A key in a token, with a session of its own.
pub(crate) struct TokenSigner {
    state: Mutex<State>,
    key: PrivateKey,
    mechanism: SignMechanism,
    token: Token,
}

/// What one signature at a time works with.
struct State {
    session: Held,
    /// For keys that want it for every signature.
    pin: Option<OperationPin>,
}

impl TokenSigner {
    fn new(
        token: Token,
        session: Session,
        key: PrivateKey,
        uri: &Pkcs11Uri,
        secrets: &Secrets,
    ) -> Result<Self, SignError> {
        let mechanism = SignMechanism::choose(&token, key.public.scheme(), key.log_ins)?;
        let pin = match key.log_ins {
            LogIns::PerSession => None,
            LogIns::PerSignature => Some(token.operation_pin(uri, secrets)?),
        };
        let session = Held::new(session);
        Ok(Self {
            state: Mutex::new(State { session, pin }),
            key,
            mechanism,
            token,
        })
    }

    /// The token's own form of a signature.
    fn raw_signature(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        // A session does one operation at a time. A panic elsewhere leaves it as usable as it was.
        let mut held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { session, pin } = &mut *held;
        session.run(&self.token, SIGN, |open| {
            match (pin, self.mechanism.in_parts()) {
                (Some(pin), Some(parts)) => self.sign_with_pin(open, pin, &parts, message),
                _ => Ok(self.mechanism.sign(open, self.key.handle, message)),
            }
        })
    }

    /// For keys that want their PIN for every signature: between its start and its data.
    fn sign_with_pin(
        &self,
        session: &Session,
        pin: &OperationPin,
        mechanism: &Mechanism<'_>,
        message: &[u8],
    ) -> Result<Result<Vec<u8>, Error>, SignError> {
        if let Err(error) = session.sign_init(mechanism, self.key.handle) {
            return Ok(Err(error));
        }
        if let Err(refused) = self.token.login_for_operation(session, pin) {
            // Ends what was begun, or the session would be busy for ever.
            let _ = session.sign_final();
            return Err(refused);
        }
        let fed = session.sign_update(message);
        Ok(fed.and_then(|()| session.sign_final()))
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
        self.key.custody.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let raw = self.raw_signature(message)?;
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
    let key = PrivateKey::find(&token, &session, uri, Purpose::Sign)?;
    TokenSigner::new(token, session, key, uri, secrets)
}
