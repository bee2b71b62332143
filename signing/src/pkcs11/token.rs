//! Tokens: finding the one that is meant, and sessions with it.

use std::sync::Arc;

use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::MechanismType;
use cryptoki::session::Session;
use cryptoki::slot::{Slot, TokenInfo};

use super::module::{Module, describe};
use crate::custody::Home;
use crate::error::SignError;
use crate::secrets::Secrets;
use crate::uri::{KeyUri, Pkcs11Uri};

/// Most slots looked at. A library with more wants `slot-id`.
const MAX_SLOTS: usize = 1024;

pub(super) struct Token {
    pub(super) module: Arc<Module>,
    pub(super) slot: Slot,
    label: String,
    /// What the token says it is; `None` if `cryptoki` cannot read that.
    pub(super) info: Option<TokenInfo>,
}

/// What a session is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadOnly,
    ReadWrite,
}

impl Token {
    /// The one token that `uri` describes.
    pub(super) fn find(uri: &Pkcs11Uri, secrets: &Secrets) -> Result<Self, SignError> {
        let module = Module::load(uri, secrets)?;
        let wanted = || KeyUri::Pkcs11(uri.clone()).to_string();
        let (mut found, mut seen) = (Vec::new(), Vec::new());
        for slot in slots(&module, uri.slot_id)? {
            // Slot by slot: one broken token must not hide the others.
            match Self::in_slot(&module, slot) {
                Ok(token) if !token.is_initialized() => {}
                Ok(token) if token.matches(uri) => found.push(token),
                Ok(token) => seen.push(token.describe()),
                Err(error) => seen.push(format!("slot-id={slot} ({})", describe(&error))),
            }
        }
        match (found.pop(), found.is_empty()) {
            (Some(token), true) => Ok(token),
            (None, _) => Err(SignError::NoToken {
                wanted: wanted(),
                seen,
            }),
            (Some(last), false) => Err(SignError::AmbiguousToken {
                wanted: wanted(),
                seen: found.iter().chain([&last]).map(Self::describe).collect(),
            }),
        }
    }

    /// The token in `slot`.
    pub(super) fn in_slot(module: &Arc<Module>, slot: Slot) -> Result<Self, Error> {
        let info = match module.context.get_token_info(slot) {
            Ok(info) => Some(info),
            Err(error @ Error::Pkcs11(..)) => return Err(error),
            // The token did answer. opencryptoki 3.8 has a clock whose time is no time.
            Err(_) => None,
        };
        Ok(Self {
            module: Arc::clone(module),
            slot,
            label: match &info {
                Some(info) => info.label().into(),
                None => format!("slot {slot}"),
            },
            info,
        })
    }

    /// How messages name it, and variables with its PIN.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn is_initialized(&self) -> bool {
        self.info.as_ref().is_none_or(TokenInfo::token_initialized)
    }

    /// What the token says it is.
    pub(super) fn home(&self) -> Home {
        let said = |what: fn(&TokenInfo) -> &str| self.info.as_ref().map_or("", what).to_owned();
        Home::Token {
            label: self.label.clone(),
            serial: said(TokenInfo::serial_number),
            model: said(TokenInfo::model),
        }
    }

    /// Whether the token offers `mechanism`.
    pub(super) fn offers(&self, mechanism: MechanismType) -> Result<bool, SignError> {
        self.module
            .context
            .get_mechanism_list(self.slot)
            .map(|offered| offered.contains(&mechanism))
            .map_err(|error| self.error("list its mechanisms", error))
    }

    /// Refuses what needs `mechanism`, called `name`, if the token does not offer it.
    pub(super) fn must_offer(
        &self,
        mechanism: MechanismType,
        name: &'static str,
    ) -> Result<(), SignError> {
        match self.offers(mechanism)? {
            true => Ok(()),
            false => Err(SignError::NoMechanism {
                token: self.label().into(),
                mechanism: name,
            }),
        }
    }

    /// A new session, logged in if the token wants that.
    pub(super) fn session(
        &self,
        access: Access,
        uri: &Pkcs11Uri,
        secrets: &Secrets,
    ) -> Result<Session, SignError> {
        let session = self.open(access)?;
        self.log_in(&session, uri, secrets)?;
        Ok(session)
    }

    /// A new session, not logged in on purpose. It is if another session with the token is.
    pub(super) fn open(&self, access: Access) -> Result<Session, SignError> {
        self.forget_dead_login();
        let session = match access {
            Access::ReadOnly => self.module.context.open_ro_session(self.slot),
            Access::ReadWrite => self.module.context.open_rw_session(self.slot),
        };
        session.map_err(|error| self.error("open a session", error))
    }

    pub(super) fn error(&self, doing: &'static str, error: Error) -> SignError {
        match error {
            Error::Pkcs11(code, _) if session_lost(code) => self.lost(doing, &error),
            error => SignError::Token {
                doing,
                token: self.label.clone(),
                source: describe(&error).into(),
            },
        }
    }

    /// What ended a session.
    pub(super) fn lost(&self, doing: &'static str, error: &Error) -> SignError {
        SignError::TokenLost {
            doing,
            token: self.label.clone(),
            source: describe(error).into(),
        }
    }

    /// Whether `uri` can mean this token.
    pub(super) fn matches(&self, uri: &Pkcs11Uri) -> bool {
        let same = |wanted: &Option<String>, what: fn(&TokenInfo) -> &str| {
            let found = self.info.as_ref().map(what);
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let slot = Some(self.slot.id());
        // One that does not say what it is has to be named by its slot.
        (uri.slot_id == slot || (uri.slot_id.is_none() && self.info.is_some()))
            && same(&uri.token, TokenInfo::label)
            && same(&uri.serial, TokenInfo::serial_number)
            && same(&uri.manufacturer, TokenInfo::manufacturer_id)
            && same(&uri.model, TokenInfo::model)
    }

    fn describe(&self) -> String {
        let slot = self.slot;
        match &self.info {
            Some(info) => {
                let (label, serial) = (info.label(), info.serial_number());
                format!("token {label:?} (serial {serial:?}, slot-id {slot})")
            }
            None => format!("a token that can only be named by slot-id={slot} alone"),
        }
    }
}

/// The given slot, without looking for it; else those with a token.
pub(super) fn slots(module: &Module, only: Option<u64>) -> Result<Vec<Slot>, SignError> {
    let slots = match only {
        Some(id) => Slot::try_from(id).map(|slot| vec![slot]),
        None => module.context.get_slots_with_token(),
    };
    let mut slots = slots.map_err(|error| SignError::Token {
        doing: "list the slots",
        token: String::new(),
        source: describe(&error).into(),
    })?;
    slots.truncate(MAX_SLOTS);
    Ok(slots)
}

/// Whether the session, or what was found in it, is no more.
fn session_lost(code: RvError) -> bool {
    matches!(
        code,
        RvError::CryptokiNotInitialized
            | RvError::DeviceRemoved
            | RvError::KeyHandleInvalid
            | RvError::ObjectHandleInvalid
            | RvError::SessionClosed
            | RvError::SessionHandleInvalid
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::UserNotLoggedIn
    )
}

/// Whether a failure to sign may have ended the session. Tokens whose service died report these.
pub(super) fn may_end_session(error: &Error) -> bool {
    match error {
        Error::Pkcs11(
            RvError::DeviceError | RvError::FunctionFailed | RvError::GeneralError,
            _,
        ) => true,
        Error::Pkcs11(code, _) => session_lost(*code),
        _ => false,
    }
}
