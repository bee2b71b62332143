//! Tokens: finding the one that is meant, and logging in without ever risking its lock.

use std::sync::Arc;

use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::MechanismType;
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;

use super::module::{Module, describe};
use crate::custody::Home;
use crate::error::{PinTries, SignError};
use crate::secrets::{Secret, Secrets, variables};
use crate::uri::{KeyUri, Pkcs11Uri};

/// Most slots looked at. A library with more wants `slot-id`.
const MAX_SLOTS: usize = 1024;

pub(super) struct Token {
    module: Arc<Module>,
    slot: Slot,
    info: TokenInfo,
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
        let slots = module.context.get_slots_with_token();
        let slots = slots.map_err(|error| SignError::Token {
            doing: "list the slots",
            token: uri.token().unwrap_or_default().into(),
            source: describe(&error).into(),
        })?;
        let (mut found, mut seen) = (Vec::new(), Vec::new());
        for slot in slots.into_iter().take(MAX_SLOTS) {
            // Slot by slot: one broken token must not hide the others.
            match module.context.get_token_info(slot) {
                Ok(info) if !info.token_initialized() => {}
                Ok(info) if matches(uri, slot, &info) => found.push((slot, info)),
                Ok(info) => seen.push(describe_token(slot, &info)),
                Err(error) => seen.push(format!("slot-id={slot} ({})", describe(&error))),
            }
        }
        match (found.pop(), found.is_empty()) {
            (Some((slot, info)), true) => Ok(Self { module, slot, info }),
            (None, _) => Err(SignError::NoToken {
                wanted: wanted(),
                seen,
            }),
            (Some(last), false) => Err(SignError::AmbiguousToken {
                wanted: wanted(),
                seen: found
                    .iter()
                    .chain([&last])
                    .map(|(slot, info)| describe_token(*slot, info))
                    .collect(),
            }),
        }
    }

    pub(super) fn label(&self) -> &str {
        self.info.label()
    }

    /// What the token says it is.
    pub(super) fn home(&self) -> Home {
        Home::Token {
            label: self.info.label().into(),
            serial: self.info.serial_number().into(),
            model: self.info.model().into(),
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

    /// A new session, logged in if the token wants that.
    pub(super) fn session(
        &self,
        access: Access,
        uri: &Pkcs11Uri,
        secrets: &Secrets,
    ) -> Result<Session, SignError> {
        let session = match access {
            Access::ReadOnly => self.module.context.open_ro_session(self.slot),
            Access::ReadWrite => self.module.context.open_rw_session(self.slot),
        };
        let session = session.map_err(|error| self.error("open a session", error))?;
        self.login(&session, uri, secrets)?;
        Ok(session)
    }

    pub(super) fn error(&self, doing: &'static str, error: Error) -> SignError {
        SignError::Token {
            doing,
            token: self.label().into(),
            source: describe(&error).into(),
        }
    }

    /// Logs in once per token and process: the login holds for every session with the token.
    fn login(
        &self,
        session: &Session,
        uri: &Pkcs11Uri,
        secrets: &Secrets,
    ) -> Result<(), SignError> {
        let mut logins = self.module.logins();
        let state = session
            .get_session_info()
            .map_err(|error| self.error("ask for the session's state", error))?
            .session_state();
        let logged_in = matches!(state, SessionState::RoUser | SessionState::RwUser);
        if logged_in || !self.info.login_required() {
            return Ok(());
        }
        let tries = self.tries()?;
        if !may_try(tries, secrets.can_prompt()) {
            return Err(self.not_tried(tries));
        }
        let login = logins.entry(self.slot.id()).or_default();
        let pin = match self.info.protected_authentication_path() {
            true => None,
            false => Some(self.pin(uri, secrets, tries)?),
        };
        if let (Some(pin), Some(refused)) = (&pin, &login.refused)
            && pin.text == *refused
        {
            return Err(self.not_tried(PinTries::SamePin));
        }
        let keeper = self.module.context.open_ro_session(self.slot);
        let keeper = keeper.map_err(|error| self.error("open a session", error))?;
        let auth = pin
            .as_ref()
            .map(|pin| AuthPin::new(pin.text.as_str().into()));
        match keeper.login(UserType::User, auth.as_ref()) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
                login.refused = None;
                login.keeper = Some(keeper);
                Ok(())
            }
            Err(Error::Pkcs11(
                RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
                _,
            )) => {
                let origin = pin.as_ref().map_or("the PIN pad", |pin| &pin.origin).into();
                login.refused = pin.map(|pin| pin.text);
                Err(SignError::WrongPin {
                    token: self.label().into(),
                    origin,
                    tries: self.tries()?,
                })
            }
            Err(Error::Pkcs11(RvError::PinLocked, _)) => Err(self.not_tried(PinTries::Locked)),
            Err(error) => Err(self.error("log in", error)),
        }
    }

    fn pin(
        &self,
        uri: &Pkcs11Uri,
        secrets: &Secrets,
        tries: PinTries,
    ) -> Result<Secret, SignError> {
        let variables = variables("COUNTERSIGN_PIN", self.label());
        if let Some(found) = secrets.find(uri.pin_file(), &variables)? {
            return Ok(found);
        }
        let warning = match tries {
            PinTries::Final => " (LAST TRY, a wrong PIN locks it)",
            PinTries::Low => " (wrong PINs were tried)",
            _ => "",
        };
        let (label, serial) = (self.label(), self.info.serial_number());
        let question = format!("PIN of token {label:?}, serial {serial:?}{warning}: ");
        secrets.prompt(&question).ok_or(SignError::NoPin {
            token: self.label().into(),
            variables,
        })
    }

    fn not_tried(&self, tries: PinTries) -> SignError {
        SignError::PinNotTried {
            token: self.label().into(),
            tries,
        }
    }

    /// Asked anew: the flags change with every try, by other programs too.
    fn tries(&self) -> Result<PinTries, SignError> {
        let info = self.module.context.get_token_info(self.slot);
        let info = info.map_err(|error| self.error("ask for its state", error))?;
        Ok(match &info {
            info if info.user_pin_locked() => PinTries::Locked,
            info if info.user_pin_final_try() => PinTries::Final,
            info if info.user_pin_count_low() => PinTries::Low,
            _ => PinTries::Unknown,
        })
    }
}

/// A locked token is left alone, and the last try is for a person to risk.
fn may_try(tries: PinTries, person_present: bool) -> bool {
    match tries {
        PinTries::Locked | PinTries::SamePin => false,
        PinTries::Final => person_present,
        PinTries::Unknown | PinTries::Low => true,
    }
}

fn matches(uri: &Pkcs11Uri, slot: Slot, info: &TokenInfo) -> bool {
    let same =
        |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
    same(&uri.token, info.label())
        && same(&uri.serial, info.serial_number())
        && same(&uri.manufacturer, info.manufacturer_id())
        && same(&uri.model, info.model())
        && uri.slot_id.is_none_or(|wanted| wanted == slot.id())
}

fn describe_token(slot: Slot, info: &TokenInfo) -> String {
    let (label, serial) = (info.label(), info.serial_number());
    format!("token {label:?} (serial {serial:?}, slot-id {slot})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_locked_by_a_machine() {
        for person in [false, true] {
            assert!(may_try(PinTries::Unknown, person));
            assert!(may_try(PinTries::Low, person));
            assert_eq!(may_try(PinTries::Final, person), person);
            assert!(!may_try(PinTries::Locked, person));
            assert!(!may_try(PinTries::SamePin, person));
        }
    }
}
