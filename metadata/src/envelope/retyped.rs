//! One file for several questions.

use core::marker::PhantomData;

use super::Signed;
use crate::header::Role;

impl<T: Role> Signed<T> {
    /// The same file as that of another role, without reading it again: for tools that count signatures
    /// whatever the role. It is as unverified as before, and decoding checks `_type`.
    pub fn retyped<U: Role>(&self) -> Signed<U> {
        Signed {
            received: self.received.clone(),
            payload: self.payload.clone(),
            // Role files have the same form of signatures, so they have been judged for all.
            signatures: self.signatures.clone(),
            document: PhantomData,
        }
    }
}
