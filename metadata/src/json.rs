//! A strict JSON value: no duplicate keys, no floats, integers from -2^63 to 2^64-1, no `-0`,
//! valid UTF-8 without lone surrogates, nesting of at most [`limits::MAX_DEPTH`](crate::limits).

use alloc::string::String;
use alloc::vec::Vec;
use core::str::Utf8Error;

use crate::error::MetadataError;
use crate::scan::Scanner;

mod object;

pub use self::object::{Iter, Object};

/// A JSON value without floats.
///
/// Reading and writing one takes no recursion. Dropping, cloning and comparing one does, as deeply as
/// it nests: at most [`limits::MAX_DEPTH`](crate::limits::MAX_DEPTH) levels if it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// From -2^63 to 2^64-1.
    Integer(i128),
    /// Any Unicode string; never normalised.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object; keys are unique.
    Object(Object),
}

/// Reads one JSON text. White space around it is accepted, anything else is not.
///
/// # Errors
/// [`MetadataError::Malformed`] with the offset of the first byte that is not allowed.
pub fn parse(text: &[u8]) -> Result<Value, MetadataError> {
    let text = utf8(text)?;
    let mut scanner = Scanner::new(text);
    scanner.white_space();
    let value = scanner.value()?;
    scanner.end()?;
    Ok(value)
}

/// Reads one value in canonical form.
pub(crate) fn parse_canonical(text: &str) -> Result<Value, MetadataError> {
    Scanner::canonical(text).canonical_value()
}

pub(crate) fn utf8(text: &[u8]) -> Result<&str, MetadataError> {
    core::str::from_utf8(text).map_err(not_utf8)
}

pub(crate) fn not_utf8(error: Utf8Error) -> MetadataError {
    MetadataError::malformed(error.valid_up_to(), "not valid UTF-8")
}

impl Value {
    /// The members, if this is an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<Object> for Value {
    fn from(members: Object) -> Self {
        Self::Object(members)
    }
}

impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        Self::Array(items.into_iter().collect())
    }
}
