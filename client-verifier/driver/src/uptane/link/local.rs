//! A Secondary in the same process.

use super::{Answer, LinkError, Request, Respond, SecondaryLink, Source};

/// A link to a Secondary in the same process, for ECUs that share one and for tests.
#[derive(Debug)]
pub struct LocalLink<R>(pub R);

impl<R: Respond> SecondaryLink for LocalLink<R> {
    fn call(&mut self, request: Request, source: &mut dyn Source) -> Result<Answer, LinkError> {
        Ok(self.0.respond(request, source))
    }
}
