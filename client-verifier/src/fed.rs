//! Feeding a session in chunks, as a bus or a serial line brings them.

use alloc::string::String;
use alloc::vec::Vec;

use crate::link;
use crate::refresh::misuse;
use crate::reject::Reject;
use crate::session::{Protocol, Reply, Step};

/// A session whose files arrive in chunks. Nothing is decided before a file has ended, and no more
/// of it is held than the session's bound for it, which a device chooses with its
/// [`Limits`](crate::Limits).
///
/// Answer a [`Step::Fetch`] with [`Fed::feed`] for each chunk and then [`Fed::end_of_file`]; every
/// other step, and a file that is not there, with [`Protocol::supply`].
#[derive(Debug)]
pub struct Fed<P> {
    session: P,
    chunks: Vec<u8>,
    overrun: bool,
    /// The role and the bound of the file that is being fetched.
    wanted: Option<(String, u64)>,
}

impl<P: Protocol> Fed<P> {
    /// Around a session.
    pub fn new(session: P) -> Self {
        Self {
            session,
            chunks: Vec::new(),
            overrun: false,
            wanted: None,
        }
    }

    /// Takes the next chunk of the file that is being fetched.
    ///
    /// # Errors
    /// `too-large` beyond the file's bound: stop sending, and call [`Fed::end_of_file`]. `misuse`
    /// when no file is being fetched.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Reject> {
        let Some((role, max_len)) = &self.wanted else {
            return Err(misuse("no file was asked for"));
        };
        let length = self.chunks.len().saturating_add(chunk.len());
        if self.overrun || length as u64 > *max_len {
            self.overrun = true;
            self.chunks = Vec::new();
            return Err(link::no_file(role, Reply::TooLarge));
        }
        self.chunks.extend_from_slice(chunk);
        Ok(())
    }

    /// The file is complete.
    pub fn end_of_file(&mut self) {
        let file = core::mem::take(&mut self.chunks);
        let reply = match self.overrun {
            true => Reply::TooLarge,
            false => Reply::Fetched(file),
        };
        self.supply(reply);
    }
}

impl<P: Protocol> Protocol for Fed<P> {
    type Output = P::Output;

    fn next(&mut self) -> Step<'_, P::Output> {
        let step = self.session.next();
        self.wanted = match &step {
            Step::Fetch { what, max_len } => Some((what.role().into(), *max_len)),
            _ => None,
        };
        step
    }

    /// Any other answer than a file that came in chunks. Chunks that came before it are forgotten.
    fn supply(&mut self, reply: Reply) {
        self.chunks = Vec::new();
        self.overrun = false;
        self.wanted = None;
        self.session.supply(reply);
    }
}
