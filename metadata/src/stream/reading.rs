//! Where in the file the next byte stands, and what becomes of each part that is complete.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use super::candidates::Candidates;
use super::content::{Kept, StreamedTarget, StreamedTargets};
use super::part::Part;
use crate::authority::Authority;
use crate::entries;
use crate::error::{MetadataError, shown};
use crate::scan::Scanner;

type Result<T> = core::result::Result<T, MetadataError>;

/// Shows an entry of `targets`.
type Show<'s> = dyn FnMut(&StreamedTarget<'_>) + 's;

/// A file up to some byte.
#[derive(Debug)]
pub(super) struct Reading {
    /// How many bytes came before the chunk at hand.
    before: usize,
    place: Place,
    expect: Expect,
    /// The part that is being gathered.
    part: Part,
    /// The last names in the file, in `signed` and in `targets`.
    names: [Option<String>; 3],
    signatures_seen: bool,
    signed_seen: bool,
    candidates: Candidates,
    kept: Kept,
}

/// The containers that are not parts: what they hold is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Around the file's object.
    Outside,
    /// In the file's object.
    Envelope,
    /// In the array `signatures`.
    Signatures,
    /// In the object `signed`.
    Signed,
    /// In the object `targets` of `signed`.
    Targets,
}

/// What comes next there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// The first name or item, or the end of an empty container.
    First,
    /// A name or an item, after a comma.
    Item,
    /// The rest of a name.
    RestOfName,
    Colon,
    /// The value after a name.
    Value,
    /// The rest of a value.
    RestOfValue,
    /// A comma or the container's end.
    Next,
    /// Nothing: the file's object is complete.
    Nothing,
}

impl Place {
    /// How many levels are open here.
    fn levels(self) -> usize {
        match self {
            Self::Outside => 0,
            Self::Envelope => 1,
            Self::Signatures | Self::Signed => 2,
            Self::Targets => 3,
        }
    }

    /// Whether these bytes are signed.
    fn is_signed(self) -> bool {
        matches!(self, Self::Signed | Self::Targets)
    }

    /// Where its names stand in [`Reading::names`].
    fn name(self) -> usize {
        match self {
            Self::Outside | Self::Envelope | Self::Signatures => 0,
            Self::Signed => 1,
            Self::Targets => 2,
        }
    }

    fn end(self) -> u8 {
        match self {
            Self::Signatures => b']',
            _ => b'}',
        }
    }

    fn around(self) -> Self {
        match self {
            Self::Outside | Self::Envelope => Self::Outside,
            Self::Signatures | Self::Signed => Self::Envelope,
            Self::Targets => Self::Signed,
        }
    }
}

impl Reading {
    pub(super) fn new(authority: Arc<Authority>, part_len: usize) -> Result<Self> {
        let mut part = Part::new(part_len);
        part.reserve()?;
        Ok(Self {
            before: 0,
            place: Place::Outside,
            expect: Expect::First,
            part,
            names: [None, None, None],
            signatures_seen: false,
            signed_seen: false,
            candidates: Candidates::new(authority),
            kept: Kept::new(part_len),
        })
    }

    pub(super) fn feed(&mut self, chunk: &[u8], show: &mut Show<'_>) -> Result<()> {
        let mut rest = chunk;
        // What of the chunk is signed and not hashed yet.
        let mut signed = self.place.is_signed().then_some(chunk);
        while let Some((first, others)) = rest.split_first() {
            let at = self.before.saturating_add(chunk.len() - rest.len());
            let was_signed = self.place.is_signed();
            let length = match self.expect {
                Expect::RestOfName | Expect::RestOfValue => self.gather(rest, show),
                _ => self.byte(*first).map(usize::from),
            };
            let length = length.map_err(|error| located(error, at))?;
            if !was_signed && self.place.is_signed() {
                signed = Some(rest);
            }
            rest = match length {
                1 => others,
                length => rest.get(length..).unwrap_or_default(),
            };
            if was_signed && !self.place.is_signed() {
                let passed = signed.take().unwrap_or_default();
                let length = passed.len().saturating_sub(rest.len());
                self.candidates
                    .update(passed.get(..length).unwrap_or_default());
            }
        }
        self.candidates.update(signed.unwrap_or_default());
        self.before = self.before.saturating_add(chunk.len());
        Ok(())
    }

    /// Takes a byte that stands between parts; whether it was used up. The first byte of a part is not.
    fn byte(&mut self, byte: u8) -> Result<bool> {
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return match self.place.is_signed() {
                true => not_canonical("there is white space in `signed`"),
                false => Ok(true),
            };
        }
        match (self.expect, byte) {
            (Expect::First, b'{') if self.place == Place::Outside => self.enter(Place::Envelope),
            (Expect::First, end) if end == self.place.end() && self.place != Place::Outside => {
                self.leave();
            }
            (Expect::Next, end) if end == self.place.end() => self.leave(),
            (Expect::Next, b',') => self.expect = Expect::Item,
            (Expect::Colon, b':') => self.expect = Expect::Value,
            (Expect::First | Expect::Item, _) if self.place == Place::Signatures => {
                return self.start(byte, Expect::RestOfValue);
            }
            (Expect::First | Expect::Item, b'"') if self.place != Place::Outside => {
                return self.start(byte, Expect::RestOfName);
            }
            (Expect::Value, _) => return self.value(byte),
            (Expect::Nothing, _) => return malformed("text after the JSON value"),
            (Expect::Colon, _) => return malformed("':' was expected after an object key"),
            (Expect::Next, _) => return malformed("',' or the end of a container was expected"),
            _ => return malformed("an object, a key or an item was expected"),
        }
        Ok(true)
    }

    /// A value begins: a container that is no part is entered.
    fn value(&mut self, byte: u8) -> Result<bool> {
        match (self.place, self.name(), byte) {
            (Place::Envelope, "signatures", b'[') => {
                self.signatures_seen = true;
                self.enter(Place::Signatures);
            }
            (Place::Envelope, "signatures", _) => return malformed("an array was expected"),
            (Place::Envelope, "signed", _) if !self.signatures_seen => {
                return not_canonical("`signatures` does not stand before `signed`");
            }
            (Place::Envelope, "signed", b'{') => {
                self.signed_seen = true;
                self.enter(Place::Signed);
            }
            (Place::Signed, "targets", b'{') => {
                self.kept.targets();
                self.enter(Place::Targets);
            }
            _ => return self.start(byte, Expect::RestOfValue),
        }
        Ok(true)
    }

    fn start(&mut self, first: u8, expect: Expect) -> Result<bool> {
        if b",:]}".contains(&first) {
            return malformed("a JSON value was expected");
        }
        self.part.start(first, self.place.levels());
        self.expect = expect;
        Ok(false)
    }

    fn enter(&mut self, place: Place) {
        self.place = place;
        self.expect = Expect::First;
    }

    fn leave(&mut self) {
        self.place = self.place.around();
        self.expect = match self.place {
            Place::Outside => Expect::Nothing,
            _ => Expect::Next,
        };
    }

    fn name(&self) -> &str {
        let name = self.names.get(self.place.name());
        name.and_then(Option::as_deref).unwrap_or_default()
    }

    /// Gathers a part; how many bytes belong to it.
    fn gather(&mut self, rest: &[u8], show: &mut Show<'_>) -> Result<usize> {
        let (length, complete) = self.part.take(rest)?;
        if complete {
            match self.expect {
                Expect::RestOfName => {
                    self.read_name()?;
                    self.expect = Expect::Colon;
                }
                _ => {
                    self.read_value(show)?;
                    self.expect = Expect::Next;
                }
            }
        }
        Ok(length)
    }

    /// Names are unique and sorted, in what is signed and around it.
    #[inline(never)]
    fn read_name(&mut self) -> Result<()> {
        let mut scanner = Scanner::new(self.part.text()?);
        let (name, plain) = scanner.string()?;
        scanner.end()?;
        if self.place.is_signed() && !plain {
            return not_canonical("a name in `signed` has an escape that it does not need");
        }
        let Some(last) = self.names.get_mut(self.place.name()) else {
            return Ok(());
        };
        match last.as_deref().map(|last| last.cmp(&name)) {
            Some(core::cmp::Ordering::Equal) => {
                malformed(&format!("duplicate key \"{}\"", shown(&name)))
            }
            Some(core::cmp::Ordering::Greater) => {
                not_canonical("the members of an object are not sorted")
            }
            _ => {
                let last = last.get_or_insert_default();
                last.clear();
                last.push_str(&name);
                Ok(())
            }
        }
    }

    #[inline(never)]
    fn read_value(&mut self, show: &mut Show<'_>) -> Result<()> {
        let text = self.part.text()?;
        let mut scanner = Scanner::new(text).nested(self.place.levels());
        let name = self.names.get(self.place.name());
        let name = name.and_then(Option::as_deref).unwrap_or_default();
        match (self.place, name) {
            (Place::Signatures, _) => {
                let entry = entries::read_entry(&mut scanner)?;
                scanner.end()?;
                self.candidates.add(entry)
            }
            (Place::Signed, name) => {
                canonical(&mut scanner)?;
                if name == "targets" {
                    self.kept.problem("targets must be an object");
                }
                self.kept.member(name, text)
            }
            (Place::Targets, path) => {
                canonical(&mut scanner)?;
                self.kept.entry(path, text, show);
                Ok(())
            }
            (_, "signed") => {
                canonical(&mut scanner)?;
                self.signed_seen = true;
                self.candidates.update(text.as_bytes());
                self.kept.problem("signed must be an object");
                Ok(())
            }
            _ => {
                entries::pass_over(&mut scanner)?;
                scanner.end()
            }
        }
    }

    pub(super) fn finish(self: Box<Self>) -> Result<StreamedTargets> {
        if self.expect != Expect::Nothing {
            return malformed("the text ends inside the file's object")
                .map_err(|error| located(error, self.before));
        }
        for (name, seen) in [
            ("signed", self.signed_seen),
            ("signatures", self.signatures_seen),
        ] {
            if !seen {
                return Err(MetadataError::field(name, "is missing"));
            }
        }
        // Checking signatures takes stack: what is not needed any more makes room for it.
        let Self {
            part,
            names,
            candidates,
            kept,
            ..
        } = *self;
        drop((part, names));
        kept.decode(candidates.finish()?)
    }
}

/// Reads a value that has to be in canonical form.
#[inline(never)]
fn canonical(scanner: &mut Scanner<'_>) -> Result<()> {
    let canonical = scanner.skip_canonical()?;
    scanner.end()?;
    match canonical {
        true => Ok(()),
        false => not_canonical("a value in `signed` is not in canonical form"),
    }
}

fn malformed<T>(what: &str) -> Result<T> {
    Err(MetadataError::malformed(0, what))
}

fn not_canonical<T>(what: &'static str) -> Result<T> {
    Err(MetadataError::NotCanonical { what, at: 0 })
}

/// The error with its offset in the file: that of the part it is in.
fn located(error: MetadataError, offset: usize) -> MetadataError {
    match error {
        MetadataError::Malformed { what, .. } => MetadataError::Malformed { what, at: offset },
        MetadataError::NotCanonical { what, .. } => {
            MetadataError::NotCanonical { what, at: offset }
        }
        other => other,
    }
}
