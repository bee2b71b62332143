//! How a Primary and its Secondaries talk (Uptane 5.4.2.5 to 5.4.2.7).
//!
//! Nothing that comes over a link is trusted: a Secondary verifies what it is given by itself, and
//! signs what it says. A hostile peer can have nothing installed that was not verified; what he can
//! do is in docs/secondary-link.md. Every wait and every length is bounded.
//!
//! The Primary calls, the Secondary answers, and in between the Secondary asks for the metadata
//! and the pieces of the image that it needs, when it needs them: a Secondary without room for an
//! image stages it as it comes.

mod error;
mod frame;
mod local;
mod message;
mod mirror;
mod source;
mod tcp;

pub use error::LinkError;
pub use frame::{Frame, MAX_BODY, MAX_HEADER};
pub use local::LocalLink;
pub use message::{
    Activated, Answer, Fetch, FromSecondary, Message, Part, Prepared, Refusal, Reply, Repository,
    Request, VERSION, Verification, Wanted,
};
pub use mirror::Mirror;
pub use source::{FileReader, fetch_metadata};
pub use tcp::{LinkPatience, SecondaryServer, TcpLink};

/// The Primary's end of a link.
pub trait SecondaryLink {
    /// Asks the Secondary for something, and serves what it fetches meanwhile from `source`.
    ///
    /// # Errors
    /// [`LinkError`]. What the Secondary refuses is an answer, not an error.
    fn call(&mut self, request: Request, source: &mut dyn Source) -> Result<Answer, LinkError>;
}

/// The Secondary's end of a link.
pub trait Respond {
    /// Answers a request; `source` is the Primary's side, for what is needed first.
    fn respond(&mut self, request: Request, source: &mut dyn Source) -> Answer;
}

/// Where a Secondary gets files from.
pub trait Source {
    /// Some bytes of a file; `None` if it is not there.
    ///
    /// # Errors
    /// [`LinkError`] if that cannot be told.
    fn part(&mut self, fetch: &Fetch) -> Result<Option<Part>, LinkError>;
}
