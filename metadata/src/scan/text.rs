//! Strings and integers.

use alloc::borrow::Cow;
use alloc::string::String;

use super::{Result, Scanner};
use crate::error::MetadataError;

impl<'a> Scanner<'a> {
    /// Reads a string; the text, and whether it was written as canonical form writes it.
    pub(crate) fn string(&mut self) -> Result<(Cow<'a, str>, bool)> {
        self.expect(b'"', "a string was expected")?;
        let start = self.at;
        self.at += plain_run(self.rest());
        let plain = self.since(start);
        if self.take(b'"') {
            return Ok((Cow::Borrowed(plain), true));
        }
        let mut decoded = String::from(plain);
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
                    self.at += plain_run(self.rest());
                    decoded.push_str(self.since(from));
                }
            }
        }
    }

    /// Reads an integer.
    pub(crate) fn integer(&mut self) -> Result<i128> {
        let start = self.at;
        let negative = self.take(b'-');
        let digits = self.at;
        let mut magnitude = Some(0_u64);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            magnitude = magnitude
                .and_then(|number| number.checked_mul(10))
                .and_then(|number| number.checked_add(u64::from(digit - b'0')));
            self.at += 1;
        }
        let length = self.at - digits;
        let problem = if length == 0 {
            "a digit was expected"
        } else if length > 1 && self.bytes.get(digits) == Some(&b'0') {
            "a number must not start with 0"
        } else if matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            "numbers with a fraction or an exponent are not allowed"
        } else if negative && magnitude == Some(0) {
            "-0 is not allowed"
        } else {
            const LEAST: u64 = i64::MIN.unsigned_abs();
            match magnitude.map(i128::from) {
                Some(number) if !negative => return Ok(number),
                Some(number) if number <= i128::from(LEAST) => return Ok(-number),
                _ => "integer outside -2^63 to 2^64-1",
            }
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
            0xD800..=0xDBFF if self.rest().starts_with(b"\\u") => {
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
}

/// How many leading bytes of a string need no look: everything but `"`, `\` and control
/// characters. Eight bytes at a time, since this loop passes over most of a large file.
pub(crate) fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero_byte = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (words, tail) = bytes.as_chunks::<8>();
    let mut run = 0;
    for eight in words {
        let word = u64::from_le_bytes(*eight);
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
    run + tail.iter().take_while(plain).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_plain_run_ends_where_a_look_at_each_byte_ends_it(
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            tail in proptest::collection::vec(0x1e_u8..0x5e, 0..40),
        ) {
            for bytes in [&bytes, &tail, &[&tail[..], &bytes].concat()] {
                let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
                let expected = bytes.iter().position(special).unwrap_or(bytes.len());
                prop_assert_eq!(plain_run(bytes), expected);
            }
        }
    }
}
