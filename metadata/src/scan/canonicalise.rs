//! From JSON text to canonical form without a value in between.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::walk::{Kind, Scalar, Visit};
use super::{Result, Scanner, duplicate};
use crate::canonical;

impl Scanner<'_> {
    /// Reads one value and appends its canonical form, without building it: a hostile file
    /// costs a small multiple of its size, whatever it holds. Duplicate keys are refused.
    pub(crate) fn canonicalise(&mut self, out: &mut String) -> Result<()> {
        self.walk(&mut Encoder {
            out,
            open: Vec::new(),
        })
    }
}

struct Encoder<'a, 'o> {
    out: &'o mut String,
    open: Vec<Open<'a>>,
}

/// A container that is still open.
struct Open<'a> {
    /// Where it starts in the output.
    start: usize,
    /// Of an object; the places are those after `start`.
    members: Vec<Member<'a>>,
}

/// Key, offset of the key in the input, and the place in an output.
pub(super) type Member<'a> = (Cow<'a, str>, usize, Range<usize>);

impl Open<'_> {
    /// The last member reaches to here.
    fn end_member(&mut self, length: usize) {
        if let Some((_, _, range)) = self.members.last_mut() {
            range.end = length - self.start;
        }
    }
}

impl<'a> Visit<'a> for Encoder<'a, '_> {
    fn open(&mut self, kind: Kind) {
        self.open.push(Open {
            start: self.out.len(),
            members: Vec::new(),
        });
        self.out.push(match kind {
            Kind::Array => '[',
            Kind::Object => '{',
        });
    }

    fn key(&mut self, key: Cow<'a, str>, _: bool, at: usize) -> Result<()> {
        if let Some(object) = self.open.last_mut() {
            object.end_member(self.out.len());
            if !object.members.is_empty() {
                self.out.push(',');
            }
            let from = self.out.len() - object.start;
            canonical::write_string(self.out, &key);
            self.out.push(':');
            object.members.push((key, at, from..from));
        }
        Ok(())
    }

    fn item(&mut self) {
        let start = self.open.last().map_or(0, |array| array.start);
        if self.out.len() > start + 1 {
            self.out.push(',');
        }
    }

    fn string(&mut self, text: Cow<'a, str>, _: bool) -> Result<()> {
        canonical::write_string(self.out, &text);
        Ok(())
    }

    fn scalar(&mut self, _: Scalar, text: &'a str) -> Result<()> {
        self.out.push_str(text);
        Ok(())
    }

    fn close(&mut self, kind: Kind) -> Result<()> {
        let Some(mut container) = self.open.pop() else {
            return Ok(());
        };
        container.end_member(self.out.len());
        match kind {
            Kind::Array => self.out.push(']'),
            Kind::Object => {
                self.out.push('}');
                sort(self.out, container)?;
            }
        }
        Ok(())
    }
}

/// Puts the members of an object that has just been written in order.
fn sort(out: &mut String, Open { start, mut members }: Open<'_>) -> Result<()> {
    if order(&mut members)? {
        return Ok(());
    }
    let unsorted = String::from(out.get(start..).unwrap_or_default());
    // Not `truncate`, which would ask with a panic whether this is the end of a character.
    while out.len() > start {
        out.pop();
    }
    canonical::write_members(out, members, |out, (_, _, range)| {
        out.push_str(unsorted.get(range).unwrap_or_default());
    });
    Ok(())
}

/// Puts members in order and refuses duplicate keys; whether they were in order before.
pub(super) fn order(members: &mut [Member<'_>]) -> Result<bool> {
    if members.is_sorted_by(|(a, ..), (b, ..)| a < b) {
        return Ok(true);
    }
    // By offset too, so that of two equal keys the later one is reported. In place: a stable
    // sort would take half as much memory again.
    members.sort_unstable_by(|(a, first, _), (b, second, _)| (a, first).cmp(&(b, second)));
    for pair in members.windows(2) {
        if let [(first, ..), (second, at, _)] = pair
            && first == second
        {
            return Err(duplicate(*at, second));
        }
    }
    Ok(false)
}
