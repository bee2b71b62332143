//! From JSON text to canonical form without a value in between.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::{Result, Scanner, duplicate};
use crate::canonical;

impl<'a> Scanner<'a> {
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
        out.push('{');
        self.object(|scanner, key, at| {
            if !members.is_empty() {
                out.push(',');
            }
            let from = out.len() - start;
            canonical::write_string(out, &key);
            out.push(':');
            scanner.canonicalise(out)?;
            members.push((key, at, from..out.len() - start));
            Ok(())
        })?;
        out.push('}');
        if members.is_sorted_by(|(a, ..), (b, ..)| a < b) {
            return Ok(());
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
        let unsorted = out.split_off(start);
        canonical::write_members(out, members, |out, (_, _, range)| {
            out.push_str(&unsorted[range]);
        });
        Ok(())
    }
}
