//! From JSON text to a [`Value`].

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::walk::{Kind, Scalar, Visit};
use super::{Result, Scanner};
use crate::json::{Object, Value};

pub(super) fn value(scanner: &mut Scanner<'_>) -> Result<Value> {
    let start = scanner.at;
    let (value, sorted) = build(scanner)?;
    if sorted {
        return Ok(value);
    }
    // Once more, out of a form in which members are sorted; it refuses duplicate keys.
    drop(value);
    let mut canonical = String::with_capacity(scanner.at - start);
    Scanner::within(scanner.text, start..scanner.at).canonicalise(&mut canonical)?;
    canonical_value(&mut Scanner::canonical(&canonical))
}

/// As [`value`], of text in which members are sorted.
pub(super) fn canonical_value(scanner: &mut Scanner<'_>) -> Result<Value> {
    build(scanner).map(|(value, _)| value)
}

/// The next value, and whether the members of all objects in it were sorted, each key once.
fn build(scanner: &mut Scanner<'_>) -> Result<(Value, bool)> {
    let mut builder = Builder {
        open: Vec::new(),
        members: Vec::new(),
        items: Vec::new(),
        done: Value::Null,
        sorted: true,
    };
    scanner.walk(&mut builder)?;
    Ok((builder.done, builder.sorted))
}

/// What is built so far. The members and items of all containers that are open stand in one list each, so
/// that a container that ends is known to its full length and takes no more memory than it needs.
struct Builder {
    /// The kind of each container, and where its members or items begin.
    open: Vec<(Kind, usize)>,
    /// The last of an object that is open may still be without its value.
    members: Vec<(String, Value)>,
    items: Vec<Value>,
    done: Value,
    sorted: bool,
}

impl Builder {
    fn add(&mut self, value: Value) {
        match self.open.last() {
            None => self.done = value,
            Some((Kind::Array, _)) => self.items.push(value),
            Some((Kind::Object, _)) => {
                if let Some((_, last)) = self.members.last_mut() {
                    *last = value;
                }
            }
        }
    }
}

impl<'a> Visit<'a> for Builder {
    fn open(&mut self, kind: Kind) {
        let start = match kind {
            Kind::Array => self.items.len(),
            Kind::Object => self.members.len(),
        };
        self.open.push((kind, start));
    }

    fn key(&mut self, key: Cow<'a, str>, _: bool, _: usize) -> Result<()> {
        let start = self.open.last().map_or(0, |(_, start)| *start);
        let before = self.members.get(start..).unwrap_or_default();
        self.sorted &= before.last().is_none_or(|(last, _)| **last < *key);
        self.members.push((key.into_owned(), Value::Null));
        Ok(())
    }

    fn string(&mut self, text: Cow<'a, str>, _: bool) -> Result<()> {
        self.add(Value::String(String::from(text)));
        Ok(())
    }

    fn scalar(&mut self, scalar: Scalar, _: &'a str) -> Result<()> {
        self.add(scalar.into());
        Ok(())
    }

    fn close(&mut self, _: Kind) -> Result<()> {
        let value = match self.open.pop() {
            Some((Kind::Array, start)) => Value::Array(end(&mut self.items, start)),
            Some((Kind::Object, start)) => {
                Value::Object(Object::of_sorted(end(&mut self.members, start)))
            }
            None => return Ok(()),
        };
        self.add(value);
        Ok(())
    }
}

/// What stands in the list from `start` on, which is never beyond its end.
fn end<T>(list: &mut Vec<T>, start: usize) -> Vec<T> {
    list.split_off(start.min(list.len()))
}
