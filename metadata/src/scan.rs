//! The one JSON lexer. It validates everything except duplicate keys while it walks, and says
//! whether what it passed over was already in canonical form; [`Scanner::value`] builds a
//! [`Value`] and checks for duplicates too.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::collections::btree_map::Entry;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::canonical;
use crate::error::{MetadataError, shown};
use crate::json::{Object, Value};
use crate::limits::MAX_DEPTH;

type Result<T> = core::result::Result<T, MetadataError>;

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
        let mut scanner = Self::new(&text[..part.end]);
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

    pub(crate) fn position(&self) -> usize {
        self.at
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
        match self.peek() {
            Some(b'{') => {
                let mut members = Object::new();
                self.object(|scanner, key, at| match members.entry(key.into_owned()) {
                    Entry::Occupied(known) => Err(duplicate(at, known.key())),
                    Entry::Vacant(place) => {
                        place.insert(scanner.value()?);
                        Ok(())
                    }
                })?;
                Ok(Value::Object(members))
            }
            Some(b'[') => {
                let mut items = Vec::new();
                self.array(|scanner| {
                    items.push(scanner.value()?);
                    Ok(())
                })?;
                Ok(Value::Array(items))
            }
            Some(b'"') => Ok(Value::String(self.string()?.0.into_owned())),
            Some(b'-' | b'0'..=b'9') => Ok(Value::Integer(self.integer()?)),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => self.fail("a JSON value was expected"),
        }
    }

    /// Reads one value without building it; whether it is in canonical form. Where the answer is
    /// "no", duplicate keys have not been ruled out: read it again with [`Self::value`].
    pub(crate) fn skip_canonical(&mut self) -> Result<bool> {
        match self.peek() {
            Some(b'{') => {
                let mut sorted = true;
                let mut last: Option<Cow<'a, str>> = None;
                let plain = self.object(|scanner, key, _| {
                    sorted &= last.as_deref().is_none_or(|last| last < &*key);
                    last = Some(key);
                    sorted &= scanner.skip_canonical()?;
                    Ok(())
                })?;
                Ok(sorted && plain)
            }
            Some(b'[') => {
                let mut canonical = true;
                let plain = self.array(|scanner| {
                    canonical &= scanner.skip_canonical()?;
                    Ok(())
                })?;
                Ok(canonical && plain)
            }
            Some(b'"') => Ok(self.string()?.1),
            // Integers, true, false and null have one spelling only.
            _ => self.value().map(|_| true),
        }
    }

    /// Reads one value and appends its canonical form, without building it: a hostile file
    /// costs a small multiple of its size, whatever it holds. Duplicate keys are refused.
    pub(crate) fn canonicalise(&mut self, out: &mut String) -> Result<()> {
        match self.peek() {
            Some(b'{') => self.canonicalise_object(out),
            Some(b'[') => {
                out.push('[');
                let start = out.len();
                self.array(|scanner| {
                    if out.len() > start {
                        out.push(',');
                    }
                    scanner.canonicalise(out)
                })?;
                out.push(']');
                Ok(())
            }
            Some(b'"') => {
                canonical::write_string(out, &self.string()?.0);
                Ok(())
            }
            _ => {
                canonical::write(out, &self.value()?);
                Ok(())
            }
        }
    }

    fn canonicalise_object(&mut self, out: &mut String) -> Result<()> {
        let start = out.len();
        let mut members: Vec<(Cow<'a, str>, usize, Range<usize>)> = Vec::new();
        self.object(|scanner, key, at| {
            let from = out.len() - start;
            canonical::write_string(out, &key);
            out.push(':');
            scanner.canonicalise(out)?;
            members.push((key, at, from..out.len() - start));
            Ok(())
        })?;
        // Stable, so that of two equal keys the later one is reported.
        members.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        for pair in members.windows(2) {
            if let [(first, ..), (second, at, _)] = pair
                && first == second
            {
                return Err(duplicate(*at, second));
            }
        }
        let unsorted = out.split_off(start);
        canonical::write_members(out, members, |out, (_, _, range)| {
            out.push_str(&unsorted[range]);
        });
        Ok(())
    }

    /// Passes over a value in canonical text; the text it has.
    pub(crate) fn skip(&mut self) -> Result<&'a str> {
        let start = self.at;
        self.skip_canonical()?;
        Ok(&self.text[start..self.at])
    }

    /// Passes over the `:` between a key and its value in canonical text.
    pub(crate) fn colon(&mut self) -> Result<()> {
        self.expect(b':', "':' was expected after an object key")
    }

    /// Walks an object; `member` gets each key, its offset, and must read the value. Whether the
    /// object itself was written plainly: no white space, no escape in a key that canonical form
    /// would not have.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>, usize) -> Result<()>,
    ) -> Result<bool> {
        let mut plain = true;
        self.open(b'{', "an object was expected")?;
        plain &= !self.white_space();
        if self.take(b'}') {
            self.depth -= 1;
            return Ok(plain);
        }
        loop {
            let at = self.at;
            let (key, canonical) = self.string()?;
            plain &= canonical & !self.white_space();
            self.expect(b':', "':' was expected after an object key")?;
            plain &= !self.white_space();
            member(self, key, at)?;
            plain &= !self.white_space();
            if self.take(b'}') {
                self.depth -= 1;
                return Ok(plain);
            }
            self.expect(b',', "',' or '}' was expected in an object")?;
            plain &= !self.white_space();
        }
    }

    /// Walks an object as [`Self::object`] does, and refuses duplicate keys.
    pub(crate) fn unique_object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<()>,
    ) -> Result<()> {
        let mut names = BTreeSet::new();
        self.object(|scanner, key, at| {
            member(scanner, &key)?;
            match names.contains(&key) {
                true => Err(duplicate(at, &key)),
                false => {
                    names.insert(key);
                    Ok(())
                }
            }
        })?;
        Ok(())
    }

    /// Walks an array; `item` must read each value. Whether there was no white space.
    pub(crate) fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<bool> {
        let mut plain = true;
        self.open(b'[', "an array was expected")?;
        plain &= !self.white_space();
        if self.take(b']') {
            self.depth -= 1;
            return Ok(plain);
        }
        loop {
            item(self)?;
            plain &= !self.white_space();
            if self.take(b']') {
                self.depth -= 1;
                return Ok(plain);
            }
            self.expect(b',', "',' or ']' was expected in an array")?;
            plain &= !self.white_space();
        }
    }

    /// Reads a string; the text, and whether it was written as canonical form writes it.
    pub(crate) fn string(&mut self) -> Result<(Cow<'a, str>, bool)> {
        self.expect(b'"', "a string was expected")?;
        let start = self.at;
        self.at += plain_run(&self.bytes[start..]);
        if self.take(b'"') {
            return Ok((Cow::Borrowed(&self.text[start..self.at - 1]), true));
        }
        let mut decoded = String::from(&self.text[start..self.at]);
        let mut canonical = true;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((Cow::Owned(decoded), canonical));
                }
                Some(b'\\') => {
                    self.at += 1;
                    let escape = self.peek();
                    canonical &= matches!(escape, Some(b'"' | b'\\'));
                    decoded.push(self.escape()?);
                }
                Some(byte) if byte < 0x20 && self.raw_controls => {
                    decoded.push(char::from(byte));
                    self.at += 1;
                }
                Some(byte) if byte < 0x20 => {
                    return self.fail("a control character in a string must be escaped");
                }
                None => return self.fail("the text ends inside a string"),
                Some(_) => {
                    let from = self.at;
                    self.at += plain_run(&self.bytes[from..]);
                    decoded.push_str(&self.text[from..self.at]);
                }
            }
        }
    }

    /// Reads an integer.
    pub(crate) fn integer(&mut self) -> Result<i128> {
        let start = self.at;
        let negative = self.take(b'-');
        let digits = self.at;
        let mut magnitude: i128 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            magnitude = magnitude
                .saturating_mul(10)
                .saturating_add(i128::from(digit - b'0'));
            self.at += 1;
        }
        let length = self.at - digits;
        let problem = if length == 0 {
            "a digit was expected"
        } else if length > 1 && self.bytes[digits] == b'0' {
            "a number must not start with 0"
        } else if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            "numbers with a fraction or an exponent are not allowed"
        } else if negative && magnitude == 0 {
            "-0 is not allowed"
        } else {
            let number = if negative { -magnitude } else { magnitude };
            if (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number) {
                return Ok(number);
            }
            "integer outside -2^63 to 2^64-1"
        };
        Err(MetadataError::malformed(start, problem))
    }

    fn escape(&mut self) -> Result<char> {
        let byte = self.peek();
        self.at += 1;
        Ok(match byte {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => {
                self.at -= 1;
                return self.fail("unknown escape in a string");
            }
        })
    }

    fn unicode_escape(&mut self) -> Result<char> {
        let first = self.hex4()?;
        let code = match first {
            0xD800..=0xDBFF if self.bytes[self.at..].starts_with(b"\\u") => {
                self.at += 2;
                let second = self.hex4()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return self.fail("lone surrogate in a string");
                }
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            code => code,
        };
        match char::from_u32(code) {
            Some(character) => Ok(character),
            None => self.fail("lone surrogate in a string"),
        }
    }

    fn hex4(&mut self) -> Result<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            match digit {
                Some(digit) => code = code * 16 + digit,
                None => return self.fail("four hexadecimal digits were expected"),
            }
            self.at += 1;
        }
        Ok(code)
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value> {
        match self.bytes[self.at..].starts_with(word.as_bytes()) {
            true => {
                self.at += word.len();
                Ok(value)
            }
            false => self.fail("a JSON value was expected"),
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

fn duplicate(at: usize, key: &str) -> MetadataError {
    MetadataError::malformed(at, format!("duplicate key \"{}\"", shown(key)))
}

/// How many leading bytes of a string need no look: everything but `"`, `\` and control
/// characters. Eight bytes at a time, since this loop passes over most of a large file.
pub(crate) fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero_byte = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut run = 0;
    for chunk in bytes.chunks_exact(8) {
        let mut eight = [0; 8];
        eight.copy_from_slice(chunk);
        let word = u64::from_le_bytes(eight);
        let quote = zero_byte(word ^ (ONES * u64::from(b'"')));
        let backslash = zero_byte(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let hit = quote | backslash | control;
        if hit != 0 {
            return run + (hit.trailing_zeros() / 8) as usize;
        }
        run += 8;
    }
    let plain = |byte: &&u8| **byte >= 0x20 && **byte != b'"' && **byte != b'\\';
    run + bytes[run..].iter().take_while(plain).count()
}
