//! From JSON text to a [`Value`].

use alloc::borrow::Cow;
use alloc::collections::btree_map::Entry;
use alloc::string::String;
use alloc::vec::Vec;

use super::walk::{Kind, Scalar, Visit};
use super::{Result, Scanner, duplicate};
use crate::json::{Object, Value};

pub(super) fn value(scanner: &mut Scanner<'_>) -> Result<Value> {
    let mut builder = Builder {
        open: Vec::new(),
        done: Value::Null,
    };
    scanner.walk(&mut builder)?;
    Ok(builder.done)
}

/// What is built so far.
struct Builder<'a> {
    open: Vec<Open<'a>>,
    done: Value,
}

/// A container that is still open.
enum Open<'a> {
    Array(Vec<Value>),
    /// With the key, and its offset, of the member that comes next.
    Object(Object, Cow<'a, str>, usize),
}

impl Builder<'_> {
    fn add(&mut self, value: Value) -> Result<()> {
        match self.open.last_mut() {
            None => self.done = value,
            Some(Open::Array(items)) => items.push(value),
            Some(Open::Object(members, key, at)) => {
                match members.entry(core::mem::take(key).into_owned()) {
                    Entry::Occupied(known) => return Err(duplicate(*at, known.key())),
                    Entry::Vacant(place) => drop(place.insert(value)),
                }
            }
        }
        Ok(())
    }
}

impl<'a> Visit<'a> for Builder<'a> {
    fn open(&mut self, kind: Kind) {
        self.open.push(match kind {
            Kind::Array => Open::Array(Vec::new()),
            Kind::Object => Open::Object(Object::new(), Cow::default(), 0),
        });
    }

    fn key(&mut self, key: Cow<'a, str>, _: bool, at: usize) -> Result<()> {
        if let Some(Open::Object(_, next, offset)) = self.open.last_mut() {
            (*next, *offset) = (key, at);
        }
        Ok(())
    }

    fn string(&mut self, text: Cow<'a, str>, _: bool) -> Result<()> {
        self.add(Value::String(String::from(text)))
    }

    fn scalar(&mut self, scalar: Scalar, _: &'a str) -> Result<()> {
        self.add(scalar.into())
    }

    fn close(&mut self, _: Kind) -> Result<()> {
        match self.open.pop() {
            Some(Open::Array(items)) => self.add(Value::Array(items)),
            Some(Open::Object(members, ..)) => self.add(Value::Object(members)),
            None => Ok(()),
        }
    }
}
