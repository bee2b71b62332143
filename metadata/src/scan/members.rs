//! The members of an object that was read before, one after the other.

use alloc::borrow::Cow;

use super::Scanner;

/// The members of the object that is this canonical text: key, and the text of the value.
pub(crate) struct Members<'a>(Scanner<'a>);

impl<'a> Members<'a> {
    pub(crate) fn of(object: &'a str) -> Self {
        Self(Scanner::canonical(object))
    }

    /// The text of one member's value.
    pub(crate) fn find(object: &'a str, name: &str) -> Option<&'a str> {
        // Keys are sorted.
        let mut members = Self::of(object).skip_while(|(key, _)| &**key < name);
        let (key, text) = members.next()?;
        (key == name).then_some(text)
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let Self(scanner) = self;
        let goes_on = scanner.take(b'{') || scanner.take(b',');
        if !goes_on || scanner.peek() == Some(b'}') {
            return None;
        }
        let (key, _) = scanner.string().ok()?;
        scanner.colon().ok()?;
        Some((key, scanner.skip().ok()?))
    }
}
