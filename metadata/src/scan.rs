//! The one JSON lexer. It validates everything except duplicate keys while it walks, and says
//! whether what it passed over was already in canonical form; [`Scanner::canonicalise`] puts it into that
//! form and refuses duplicates, and [`Scanner::value`] builds a [`Value`], without duplicates too.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::error::{MetadataError, shown};
use crate::json::Value;
use crate::limits::MAX_DEPTH;

mod build;
mod canonicalise;
mod members;
mod plain;
mod text;
mod walk;

use self::walk::{Kind, Scalar, Visit};

pub(crate) use members::Members;
pub(crate) use plain::{PlainFile, is_hexadecimal};
pub(crate) use text::plain_run;

type Result<T> = core::result::Result<T, MetadataError>;

#[derive(Clone)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    /// Canonical text has its control characters raw; JSON must not.
    raw_controls: bool,
}

impl<'a> Scanner<'a> {
    /// Over JSON text.
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            depth: 0,
            raw_controls: false,
        }
    }

    /// Over one part of JSON text; offsets in errors are those in the whole.
    pub(crate) fn within(text: &'a str, part: Range<usize>) -> Self {
        let mut scanner = Self::new(text.get(..part.end).unwrap_or_default());
        scanner.at = part.start;
        scanner
    }

    /// Over text in canonical form.
    pub(crate) fn canonical(text: &'a str) -> Self {
        Self {
            raw_controls: true,
            ..Self::new(text)
        }
    }

    /// As if `levels` of arrays and objects were open around it.
    #[cfg(feature = "rustcrypto")]
    pub(crate) fn nested(mut self, levels: usize) -> Self {
        self.depth = levels;
        self
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The text from `start`, a former position, to here.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The bytes from here on.
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Only white space may be left.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.white_space();
        match self.at == self.bytes.len() {
            true => Ok(()),
            false => self.fail("text after the JSON value"),
        }
    }

    /// Skips white space; whether there was any.
    pub(crate) fn white_space(&mut self) -> bool {
        let start = self.at;
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.at > start
    }

    /// Reads one value and builds it.
    pub(crate) fn value(&mut self) -> Result<Value> {
        build::value(self)
    }

    /// Builds one value of canonical text.
    pub(crate) fn canonical_value(&mut self) -> Result<Value> {
        build::canonical_value(self)
    }

    /// Reads one value without building it; whether it is in canonical form. Where the answer is
    /// "no", duplicate keys have not been ruled out: [`Self::canonicalise`] does.
    pub(crate) fn skip_canonical(&mut self) -> Result<bool> {
        let mut check = FormCheck::default();
        self.walk(&mut check)?;
        Ok(!check.differs)
    }

    /// The same by looking at everything.
    #[cfg(test)]
    pub(crate) fn walk_canonical(&mut self) -> Result<bool> {
        let mut check = FormCheck {
            everything: true,
            ..FormCheck::default()
        };
        self.walk(&mut check)?;
        Ok(!check.differs)
    }

    /// Reads one value; its canonical form, which may be the text that stands there.
    pub(crate) fn canonical_form(&mut self) -> Result<Cow<'a, str>> {
        let start = self.at;
        if self.skip_canonical()? {
            return Ok(Cow::Borrowed(self.since(start)));
        }
        // White space, another key order, escapes, or duplicate keys: one more pass, which encodes
        // what it reads and refuses the last. Canonical form is never the longer one.
        let mut encoded = String::with_capacity(self.at - start);
        Self::within(self.text, start..self.at).canonicalise(&mut encoded)?;
        Ok(Cow::Owned(encoded))
    }

    /// Passes over a value in canonical text; the text it has.
    pub(crate) fn skip(&mut self) -> Result<&'a str> {
        let start = self.at;
        self.skip_canonical()?;
        Ok(self.since(start))
    }

    /// Passes over the `:` between a key and its value in canonical text.
    pub(crate) fn colon(&mut self) -> Result<()> {
        self.expect(b':', "':' was expected after an object key")
    }

    /// Passes over the `,` between two members in canonical text.
    pub(crate) fn comma(&mut self) -> Result<()> {
        self.expect(b',', "',' was expected after a member")
    }

    /// Passes over `text`, if it is what comes next.
    pub(crate) fn passes(&mut self, text: &str) -> Option<()> {
        let comes = self.rest().starts_with(text.as_bytes());
        self.at += if comes { text.len() } else { 0 };
        comes.then_some(())
    }

    /// Reads an array of strings, if that is what comes next.
    pub(crate) fn strings(&mut self) -> Option<Vec<String>> {
        let mut strings = Vec::new();
        let read = self.array(|scanner| {
            strings.push(scanner.string()?.0.into_owned());
            Ok(())
        });
        read.ok().map(|()| strings)
    }

    /// Walks an object; `member` gets each key, its offset, and must read the value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>, usize) -> Result<()>,
    ) -> Result<()> {
        self.open(b'{', "an object was expected")?;
        self.white_space();
        if self.take(b'}') {
            self.depth -= 1;
            return Ok(());
        }
        loop {
            let at = self.at;
            let (key, _) = self.string()?;
            self.white_space();
            self.colon()?;
            self.white_space();
            member(self, key, at)?;
            self.white_space();
            if self.take(b'}') {
                self.depth -= 1;
                return Ok(());
            }
            self.expect(b',', "',' or '}' was expected in an object")?;
            self.white_space();
        }
    }

    /// Walks an object as [`Self::object`] does, and refuses duplicate keys.
    pub(crate) fn unique_object(
        &mut self,
        member: &mut dyn FnMut(&mut Self, &str) -> Result<()>,
    ) -> Result<()> {
        let mut members = Vec::new();
        self.object(|scanner, key, at| {
            member(scanner, &key)?;
            members.push((key, at, 0..0));
            Ok(())
        })?;
        canonicalise::order(&mut members).map(drop)
    }

    /// Walks an array; `item` must read each value.
    pub(crate) fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.open(b'[', "an array was expected")?;
        self.white_space();
        if self.take(b']') {
            self.depth -= 1;
            return Ok(());
        }
        loop {
            item(self)?;
            self.white_space();
            if self.take(b']') {
                self.depth -= 1;
                return Ok(());
            }
            self.expect(b',', "',' or ']' was expected in an array")?;
            self.white_space();
        }
    }

    fn open(&mut self, byte: u8, what: &str) -> Result<()> {
        self.expect(byte, what)?;
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => self.fail("nested too deeply"),
            false => Ok(()),
        }
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<()> {
        match self.take(byte) {
            true => Ok(()),
            false => self.fail(what),
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn fail<T>(&self, what: &str) -> Result<T> {
        Err(MetadataError::malformed(self.at, what))
    }
}

/// Looks whether a value is in canonical form.
#[derive(Default)]
struct FormCheck<'a> {
    /// It is not.
    differs: bool,
    /// It looks at descriptions of files in their usual form too.
    everything: bool,
    /// The last key of each object that is open.
    last: Vec<Option<Cow<'a, str>>>,
}

impl<'a> Visit<'a> for FormCheck<'a> {
    fn open(&mut self, kind: Kind) {
        if kind == Kind::Object {
            self.last.push(None);
        }
    }

    fn passes_plain_files(&self) -> bool {
        !self.everything
    }

    fn space(&mut self, found: bool) {
        self.differs |= found;
    }

    fn key(&mut self, key: Cow<'a, str>, plain: bool, _: usize) -> Result<()> {
        if let Some(last) = self.last.last_mut() {
            let sorted = last.as_deref().is_none_or(|last| last < &*key);
            self.differs |= !(plain & sorted);
            *last = Some(key);
        }
        Ok(())
    }

    fn string(&mut self, _: Cow<'a, str>, plain: bool) -> Result<()> {
        self.differs |= !plain;
        Ok(())
    }

    fn scalar(&mut self, _: Scalar, _: &'a str) -> Result<()> {
        Ok(())
    }

    fn close(&mut self, kind: Kind) -> Result<()> {
        if kind == Kind::Object {
            self.last.pop();
        }
        Ok(())
    }
}

fn duplicate(at: usize, key: &str) -> MetadataError {
    MetadataError::malformed(at, format!("duplicate key \"{}\"", shown(key)))
}
