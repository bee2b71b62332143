//! The protocol between a session and whoever drives it.

use alloc::vec::Vec;
use core::ops::Range;

use crate::names::{RemoteName, StoreName};
use crate::reject::Reject;

/// What a session needs next. It stays the same until it is answered.
#[derive(Debug)]
pub enum Step<'a, T> {
    /// A file from the local store. Answer [`Reply::Stored`] or [`Reply::NotFound`].
    Load {
        /// Which file.
        name: StoreName,
    },
    /// Some bytes of a file from the local store, if [`Context::outlines`](crate::Context::outlines) is set. Answer
    /// [`Reply::Stored`], whose bytes are those, or [`Reply::NotFound`], also where the file ends before.
    LoadPart {
        /// Which file.
        name: StoreName,
        /// Which bytes of it.
        range: Range<u64>,
    },
    /// A file from the repository. Answer [`Reply::Fetched`], [`Reply::NotFound`] if the
    /// repository says that it is not there, or [`Reply::TooLarge`]. When the repository cannot
    /// be reached there is no answer: give the session up and start another one later.
    Fetch {
        /// Which file.
        what: RemoteName,
        /// Stop reading after this many bytes.
        max_len: u64,
    },
    /// Make a file durable, together with the Root version it was accepted under, and only then
    /// answer [`Reply::Saved`]. The order of these steps is what makes a power cut harmless.
    Save {
        /// Which file. A Root also goes to the history under its version.
        name: StoreName,
        /// The file's version.
        version: u64,
        /// The file as received.
        bytes: &'a [u8],
        /// Their SHA-256, where it is known.
        sha256: Option<[u8; 32]>,
        /// Version of the Root that was current when the file was accepted.
        accepted_under: u64,
    },
    /// The end. Asked again, the session says that it is over.
    Done(Result<T, Reject>),
}

impl<'a, T> Step<'a, T> {
    /// The same step of a session that makes more of the outcome.
    pub(crate) fn map<U>(self, make: impl FnOnce(T) -> Result<U, Reject>) -> Step<'a, U> {
        match self {
            Self::Load { name } => Step::Load { name },
            Self::LoadPart { name, range } => Step::LoadPart { name, range },
            Self::Fetch { what, max_len } => Step::Fetch { what, max_len },
            Self::Save {
                name,
                version,
                bytes,
                sha256,
                accepted_under,
            } => Step::Save {
                name,
                version,
                bytes,
                sha256,
                accepted_under,
            },
            Self::Done(outcome) => Step::Done(outcome.and_then(make)),
        }
    }
}

/// The answer to a [`Step`].
#[derive(Debug)]
pub enum Reply {
    /// A file from the local store.
    Stored(Stored),
    /// A file from the repository.
    Fetched(Vec<u8>),
    /// The store or the repository does not have the file.
    NotFound,
    /// The file goes on after `max_len` bytes.
    TooLarge,
    /// The file is durable.
    Saved,
}

impl Reply {
    /// What a [`Step::LoadPart`] asks for.
    pub fn part(bytes: Vec<u8>) -> Self {
        Self::Stored(Stored {
            bytes,
            accepted_under: None,
        })
    }
}

/// A file from the local store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The file as it was saved.
    pub bytes: Vec<u8>,
    /// What it was saved with; `None` if the store does not know.
    pub accepted_under: Option<u64>,
}

impl Stored {
    /// Some of its bytes; `None` if there are not so many.
    pub fn part(&self, range: Range<u64>) -> Option<Vec<u8>> {
        let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        self.bytes.get(range).map(<[u8]>::to_vec)
    }
}

/// Anything that is driven in two calls: a [`Session`](crate::Session) or a
/// [`Search`](crate::Search).
pub trait Protocol {
    /// What it ends with.
    type Output;

    /// What is needed now.
    fn next(&mut self) -> Step<'_, Self::Output>;

    /// Answers the current step. A wrong kind of answer ends the session with `misuse`.
    fn supply(&mut self, reply: Reply);
}

/// Drives a session with one closure: it gets every step but the last and answers it. An error of
/// the closure gives the session up.
///
/// # Errors
/// The closure's error, or the session's refusal.
pub fn drive<P, E>(
    session: &mut P,
    mut answer: impl FnMut(Step<'_, P::Output>) -> Result<Reply, E>,
) -> Result<P::Output, E>
where
    P: Protocol,
    E: From<Reject>,
{
    loop {
        let reply = match session.next() {
            Step::Done(outcome) => return outcome.map_err(E::from),
            step => answer(step)?,
        };
        session.supply(reply);
    }
}
