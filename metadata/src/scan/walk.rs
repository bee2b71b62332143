//! The walk over one value of any shape, without recursion: how deep a file nests costs a bit for each
//! level, and no stack.

use alloc::borrow::Cow;

use super::{Result, Scanner};
use crate::json::Value;
use crate::limits::MAX_DEPTH;

// The kinds of all open levels stand in one word.
const _: () = assert!(MAX_DEPTH <= u64::BITS as usize);

/// The two containers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Array,
    Object,
}

/// A value that is neither a container nor a string.
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Integer(i128),
}

impl From<Scalar> for Value {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Null => Self::Null,
            Scalar::Bool(truth) => Self::Bool(truth),
            Scalar::Integer(number) => Self::Integer(number),
        }
    }
}

/// What is made of a value while it passes.
pub(super) trait Visit<'a> {
    /// A container begins.
    fn open(&mut self, kind: Kind);

    /// Whether the description of a file may pass without being shown, in the form that [`Scanner::plain_file`] reads.
    fn passes_plain_files(&self) -> bool {
        false
    }

    /// Whether there was white space, at each place where it may be.
    fn space(&mut self, _found: bool) {}

    /// The key of the next member, whether it was written plainly, and its offset.
    fn key(&mut self, key: Cow<'a, str>, plain: bool, at: usize) -> Result<()>;

    /// The next item of an array follows.
    fn item(&mut self) {}

    /// A string, and whether it was written as canonical form writes it.
    fn string(&mut self, text: Cow<'a, str>, plain: bool) -> Result<()>;

    /// A number, `true`, `false` or `null`, and its text: each has one spelling only.
    fn scalar(&mut self, scalar: Scalar, text: &'a str) -> Result<()>;

    /// The innermost container ends.
    fn close(&mut self, kind: Kind) -> Result<()>;
}

impl<'a> Scanner<'a> {
    /// Reads one value and shows it.
    pub(super) fn walk(&mut self, visit: &mut impl Visit<'a>) -> Result<()> {
        let around = self.depth;
        // Which of the open levels are objects, the innermost in the lowest bit.
        let mut objects = 0_u64;
        loop {
            match self.peek() {
                Some(b'{') if visit.passes_plain_files() && self.plain_file(Some).is_some() => {}
                Some(b'{') => {
                    self.open(b'{', "an object was expected")?;
                    visit.open(Kind::Object);
                    objects = objects << 1 | 1;
                    visit.space(self.white_space());
                    if self.peek() != Some(b'}') {
                        self.member(visit)?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.open(b'[', "an array was expected")?;
                    visit.open(Kind::Array);
                    objects <<= 1;
                    visit.space(self.white_space());
                    if self.peek() != Some(b']') {
                        visit.item();
                        continue;
                    }
                }
                Some(b'"') => {
                    let (text, plain) = self.string()?;
                    visit.string(text, plain)?;
                }
                _ => {
                    let start = self.at;
                    let scalar = self.scalar()?;
                    visit.scalar(scalar, self.since(start))?;
                }
            }
            // A value has ended: so do containers, until one goes on.
            loop {
                if self.depth == around {
                    return Ok(());
                }
                visit.space(self.white_space());
                let in_object = objects & 1 == 1;
                match self.peek() {
                    Some(b'}') if in_object => visit.close(Kind::Object)?,
                    Some(b']') if !in_object => visit.close(Kind::Array)?,
                    Some(b',') => {
                        self.at += 1;
                        visit.space(self.white_space());
                        match in_object {
                            true => self.member(visit)?,
                            false => visit.item(),
                        }
                        break;
                    }
                    _ if in_object => return self.fail("',' or '}' was expected in an object"),
                    _ => return self.fail("',' or ']' was expected in an array"),
                }
                self.at += 1;
                self.depth -= 1;
                objects >>= 1;
            }
        }
    }

    /// A key, up to its value.
    fn member(&mut self, visit: &mut impl Visit<'a>) -> Result<()> {
        let at = self.at;
        let (key, plain) = self.string()?;
        visit.key(key, plain, at)?;
        visit.space(self.white_space());
        self.colon()?;
        visit.space(self.white_space());
        Ok(())
    }

    fn scalar(&mut self) -> Result<Scalar> {
        let word = |word: &[u8]| self.rest().starts_with(word);
        let (length, scalar) = if word(b"true") {
            (4, Scalar::Bool(true))
        } else if word(b"false") {
            (5, Scalar::Bool(false))
        } else if word(b"null") {
            (4, Scalar::Null)
        } else if matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return self.integer().map(Scalar::Integer);
        } else {
            return self.fail("a JSON value was expected");
        };
        self.at += length;
        Ok(scalar)
    }
}
