//! What can stand in a signed envelope: the role files, and what vehicles and time servers sign.

use crate::error::MetadataError;
use crate::field::Fields;

/// Reading a document's content out of a canonical payload. Not nameable outside this crate, so
/// that the way to a document is through a verified envelope.
mod sealed {
    use crate::envelope::Payload;
    use crate::error::MetadataError;

    pub trait Decode: Sized {
        fn decode(payload: &Payload) -> Result<Self, MetadataError>;
    }
}
pub(crate) use sealed::Decode;

/// A signed document's content. Only this crate's types have it.
pub trait Document: sealed::Decode {
    /// What `_type` must say, so that one kind can never stand for another.
    const NAME: &'static str;

    /// What each entry of `signatures` must have.
    const SIGNATURES: SignatureForm;
}

/// The two forms of an entry of `signatures`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureForm {
    /// `keyid` and `sig` (TUF 4.2).
    Plain,
    /// Also `method`, `hash_function` and `hash`, which must be true (Uptane 5.4.2.1).
    Report,
}

/// Takes `_type` of a document that is no role file.
pub(crate) fn take_type<T: Document>(fields: &mut Fields<'_>) -> Result<(), MetadataError> {
    match fields.string("_type")? == T::NAME {
        true => Ok(()),
        false => fields.fail("_type", alloc::format!("must be \"{}\"", T::NAME)),
    }
}
