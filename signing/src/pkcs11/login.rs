//! Logging in, without ever risking a token's lock.

use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::TokenInfo;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::token::Token;
use crate::error::{PinTries, SignError};
use crate::secrets::{Secret, Secrets, variables};
use crate::uri::Pkcs11Uri;

/// What happened at a slot in this process.
#[derive(Default)]
pub(super) struct Login {
    /// A session that stays open: a token logs out with its last session (PKCS#11 5.6).
    pub(super) keeper: Option<Session>,
    /// The PIN that the token refused last, which is not sent again.
    pub(super) refused: Option<Zeroizing<String>>,
}

/// What a key that wants its PIN for every signature is given.
pub(super) struct OperationPin {
    /// `None` if the person types it at the device (CKF_PROTECTED_AUTHENTICATION_PATH).
    secret: Option<Secret>,
    /// The token's last try is for a person to risk.
    person_present: bool,
}

fn auth_pin(secret: &Secret) -> AuthPin {
    AuthPin::new(secret.text.as_str().into())
}

impl Token {
    /// Whether private keys can be looked at.
    pub(super) fn is_open_to_user(&self, session: &Session) -> bool {
        let wanted = self.info.as_ref().is_none_or(TokenInfo::login_required);
        !wanted || is_logged_in(session)
    }

    /// Logs in once per token and process: the login holds for every session with the token.
    pub(super) fn log_in(
        &self,
        session: &Session,
        uri: &Pkcs11Uri,
        secrets: &Secrets,
    ) -> Result<(), SignError> {
        let mut logins = self.module.logins();
        if self.is_open_to_user(session) {
            return Ok(());
        }
        let tries = self.tries()?;
        if !may_try(tries, secrets.can_prompt()) {
            return Err(self.not_tried(tries));
        }
        let login = logins.entry(self.slot.id()).or_default();
        let pin = match self.has_pin_pad() {
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
        let auth = pin.as_ref().map(auth_pin);
        match keeper.login(UserType::User, auth.as_ref()) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
                login.refused = None;
                login.keeper = Some(keeper);
                Ok(())
            }
            Err(error) => Err(self.login_refused(error, login, pin.as_ref())),
        }
    }

    /// Remembers a wrong PIN, so that it is not sent again.
    fn login_refused(&self, error: Error, login: &mut Login, pin: Option<&Secret>) -> SignError {
        match error {
            Error::Pkcs11(
                RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
                _,
            ) => {
                login.refused = pin.map(|pin| pin.text.clone());
                SignError::WrongPin {
                    token: self.label().into(),
                    origin: pin.map_or("the PIN pad", |pin| &pin.origin).into(),
                    tries: self.tries().unwrap_or(PinTries::Unknown),
                }
            }
            Error::Pkcs11(RvError::PinLocked, _) => self.not_tried(PinTries::Locked),
            error => self.error("log in", error),
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
        let serial = self.info.as_ref().map_or("?", TokenInfo::serial_number);
        let label = self.label();
        let question = format!("PIN of token {label:?}, serial {serial:?}{warning}: ");
        secrets.prompt(&question).ok_or(SignError::NoPin {
            token: self.label().into(),
            variables,
        })
    }

    /// Logs in for the one operation that `session` has begun (PKCS#11 2.40, 5.6,
    /// CKU_CONTEXT_SPECIFIC).
    pub(super) fn login_for_operation(
        &self,
        session: &Session,
        pin: &OperationPin,
    ) -> Result<(), SignError> {
        // Held, so that no two threads send a PIN at once.
        let mut logins = self.module.logins();
        let tries = self.tries()?;
        if !may_try(tries, pin.person_present) {
            return Err(self.not_tried(tries));
        }
        let login = logins.entry(self.slot.id()).or_default();
        let secret = pin.secret.as_ref();
        if secret.is_some_and(|secret| login.refused.as_ref() == Some(&secret.text)) {
            return Err(self.not_tried(PinTries::SamePin));
        }
        let auth = secret.map(auth_pin);
        let logged_in = session.login(UserType::ContextSpecific, auth.as_ref());
        logged_in.map_err(|error| self.login_refused(error, login, secret))
    }

    /// The PIN for keys that want it for every signature, kept as long as their signer lives.
    pub(super) fn operation_pin(
        &self,
        uri: &Pkcs11Uri,
        secrets: &Secrets,
    ) -> Result<OperationPin, SignError> {
        Ok(OperationPin {
            secret: match self.has_pin_pad() {
                true => None,
                false => Some(self.pin(uri, secrets, self.tries()?)?),
            },
            person_present: secrets.can_prompt(),
        })
    }

    /// Ends the login of this process, if there is one.
    pub(super) fn log_out(&self) {
        if let Some(login) = self.module.logins().get_mut(&self.slot.id()) {
            login.end();
        }
    }

    /// Before a session is opened: its number may be that of one which died.
    pub(super) fn forget_dead_login(&self) {
        if let Some(login) = self.module.logins().get_mut(&self.slot.id())
            && login
                .keeper
                .as_ref()
                .is_some_and(|keeper| !is_logged_in(keeper))
        {
            login.end();
        }
    }

    /// Whether the person types the PIN at the device.
    fn has_pin_pad(&self) -> bool {
        let pad = TokenInfo::protected_authentication_path;
        self.info.as_ref().is_some_and(pad)
    }

    fn not_tried(&self, tries: PinTries) -> SignError {
        SignError::PinNotTried {
            token: self.label().into(),
            tries,
        }
    }

    /// Asked anew: the flags change with every try, by other programs too.
    fn tries(&self) -> Result<PinTries, SignError> {
        if self.info.is_none() {
            return Ok(PinTries::Unknown);
        }
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

impl Login {
    /// Logs out. A session of a token that was removed is given up rather than closed: its number
    /// may belong to another session by now.
    pub(super) fn end(&mut self) {
        let Some(keeper) = self.keeper.take() else {
            return;
        };
        // The login may have ended before.
        let _ = keeper.logout();
        give_up_if_dead(keeper);
    }
}

fn is_logged_in(session: &Session) -> bool {
    let user = |state| matches!(state, SessionState::RoUser | SessionState::RwUser);
    let info = session.get_session_info();
    info.is_ok_and(|info| user(info.session_state()))
}

/// Closes a session, unless its token has done so.
pub(super) fn give_up_if_dead(session: Session) {
    match session.get_session_info() {
        Ok(_) => drop(session),
        Err(_) => std::mem::forget(session),
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
