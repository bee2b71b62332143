//! An object of very many members, in canonical text. Nothing is built of it: the one validating pass notes where each
//! member starts, and a look-up is a binary search in the verified text, whose keys are sorted because they are canonical.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;

use crate::envelope::Payload;
use crate::error::MetadataError;
use crate::scan::Scanner;

/// Where the members of one object stand.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    payload: Payload,
    /// Where each key starts in the payload.
    starts: Vec<u32>,
    /// Where all members stand in the payload, within the braces.
    within: Range<usize>,
}

impl Places {
    /// The members of the object that comes next; `check` reads their values one by one. `scanner` walks `payload` from its
    /// beginning, so that its offsets are those in it.
    pub(crate) fn read(
        payload: &Payload,
        scanner: &mut Scanner<'_>,
        mut check: impl FnMut(&mut Scanner<'_>, &str) -> Result<(), MetadataError>,
    ) -> Result<Self, MetadataError> {
        if u32::try_from(payload.len()).is_err() {
            return Err(MetadataError::field("signed", "is larger than 4 GiB"));
        }
        let mut starts = Vec::new();
        let begin = scanner.position() + 1;
        scanner.object(|scanner, key, at| {
            check(scanner, &key)?;
            // The payload's length fits.
            starts.push(at as u32);
            Ok(())
        })?;
        starts.shrink_to_fit();
        Ok(Self {
            payload: payload.clone(),
            starts,
            within: begin..scanner.position() - 1,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Where in the payload each member starts.
    pub(crate) fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// Where in the payload all of them stand.
    pub(crate) fn within(&self) -> Range<usize> {
        self.within.clone()
    }

    /// The key that starts there.
    pub(crate) fn key_at(&self, start: u32) -> Option<Cow<'_, str>> {
        Some(self.scanner_at(start).string().ok()?.0)
    }

    /// The place of a key in the order of all, or the one that it would have.
    pub(crate) fn place_of(&self, key: &str) -> Result<usize, usize> {
        self.starts.binary_search_by(|start| {
            let there = self.key_at(*start);
            there.map_or(Ordering::Less, |there| (*there).cmp(key))
        })
    }

    /// A member, its value still to be read.
    pub(crate) fn member(&self, place: usize) -> Option<(Cow<'_, str>, Scanner<'_>)> {
        let mut scanner = self.scanner_at(*self.starts.get(place)?);
        let key = scanner.string().ok()?.0;
        scanner.colon().ok()?;
        Some((key, scanner))
    }

    /// The text of some members that follow one another, with the commas between them.
    pub(crate) fn text(&self, places: Range<usize>) -> &str {
        let Some(start) = self.starts.get(places.start) else {
            return "";
        };
        let end = match self.starts.get(places.end) {
            // Before the comma.
            Some(next) => (*next as usize).saturating_sub(1),
            None => self.within.end,
        };
        self.payload.get(*start as usize..end).unwrap_or_default()
    }

    fn scanner_at(&self, start: u32) -> Scanner<'_> {
        Scanner::canonical(self.payload.get(start as usize..).unwrap_or_default())
    }
}
