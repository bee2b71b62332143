//! A session that a key keeps for as long as it is open.

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};
use cryptoki::session::Session;

use super::login;
use super::token::{self, Token};
use crate::error::SignError;

/// `None` once the session was lost.
pub(super) struct Held(Option<Session>);

impl Held {
    pub(super) fn new(session: Session) -> Self {
        Self(Some(session))
    }

    /// Does `work`, and gives the session up if it ended meanwhile.
    pub(super) fn run<T>(
        &mut self,
        token: &Token,
        doing: &'static str,
        work: impl FnOnce(&Session) -> Result<Result<T, Error>, SignError>,
    ) -> Result<T, SignError> {
        let Some(open) = self.0.as_ref() else {
            let closed = Error::Pkcs11(RvError::SessionClosed, Function::Sign);
            return Err(token.lost(doing, &closed));
        };
        work(open)?.map_err(|error| {
            if token::may_end_session(&error) {
                // Before this session is closed, so that the login ends with a live session.
                token.log_out();
                if let Some(session) = self.0.take() {
                    login::give_up_if_dead(session);
                }
                return token.lost(doing, &error);
            }
            token.error(doing, error)
        })
    }
}
