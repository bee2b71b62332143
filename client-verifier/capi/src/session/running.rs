//! A session of any kind, between the two calls.

use countersign_verifier::{Fed, Protocol, Reject, Reply};

use super::Outcome;
use super::step::{Next, Plain};

/// A session whose kind is forgotten.
pub(crate) trait Running: Send {
    fn next(&mut self) -> Result<Next, Reject>;
    fn supply(&mut self, reply: Reply);
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Reject>;
    fn end_of_file(&mut self);
}

/// Forgets a session's kind.
pub(crate) fn run<P>(session: P) -> Box<dyn Running>
where
    P: Protocol + Send + 'static,
    P::Output: Into<Outcome>,
{
    Box::new(Fed::new(session))
}

impl<P> Running for Fed<P>
where
    P: Protocol + Send,
    P::Output: Into<Outcome>,
{
    fn next(&mut self) -> Result<Next, Reject> {
        let step = Protocol::next(self);
        match (Plain::of(&step), step) {
            (Some(plain), _) => Ok(Next::Step(plain)),
            (None, countersign_verifier::Step::Done(outcome)) => {
                outcome.map(|done| Next::Done(done.into()))
            }
            // `of` answers None for the end only.
            (None, _) => Err(crate::handles::misuse("the session has no step".into())),
        }
    }

    fn supply(&mut self, reply: Reply) {
        Protocol::supply(self, reply);
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        Fed::feed(self, bytes)
    }

    fn end_of_file(&mut self) {
        Fed::end_of_file(self);
    }
}
