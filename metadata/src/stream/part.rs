//! One part of the file, gathered until it is complete.

use alloc::vec::Vec;

use crate::error::MetadataError;
use crate::limits::MAX_DEPTH;

/// The buffer grows by so many bytes: small, because small devices have little memory to spare.
const STEP: usize = 256;

/// A buffer with a bound.
#[derive(Debug)]
pub(super) struct Part {
    bytes: Vec<u8>,
    bound: usize,
    shape: Shape,
    /// Levels that are open around it and in it.
    depth: usize,
    around: usize,
}

/// How the end of the part is found. Whether it is well-formed is not asked here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A number or a word: up to what cannot belong to it.
    Scalar,
    /// Up to the last bracket.
    Between,
    /// In a string, up to its quote; a string of its own if no bracket is open.
    String,
    /// In a string, after a backslash.
    Escaped,
}

impl Part {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bytes: Vec::new(),
            bound,
            shape: Shape::Scalar,
            depth: 0,
            around: 0,
        }
    }

    /// Asks for all of its memory: a buffer that grows needs it twice.
    pub(super) fn reserve(&mut self) -> Result<(), MetadataError> {
        let reserved = self.bytes.try_reserve_exact(self.bound);
        reserved.map_err(|_| MetadataError::TooLarge { bound: 0 })
    }

    /// Starts anew with a value that begins with `first`, at a place where `around` levels are open.
    pub(super) fn start(&mut self, first: u8, around: usize) {
        self.bytes.clear();
        (self.depth, self.around) = (around, around);
        self.shape = match first {
            b'"' | b'[' | b'{' => Shape::Between,
            _ => Shape::Scalar,
        };
    }

    /// Takes what belongs to the part; how many bytes that is, and whether it is complete then.
    pub(super) fn take(&mut self, chunk: &[u8]) -> Result<(usize, bool), MetadataError> {
        let (length, complete) = match self.shape {
            Shape::Scalar => {
                let ends = |byte: &u8| b",]} \t\n\r".contains(byte);
                let end = chunk.iter().position(ends);
                (end.unwrap_or(chunk.len()), end.is_some())
            }
            _ => match chunk.iter().position(|byte| self.ends_with(*byte)) {
                Some(last) => (last.saturating_add(1), true),
                None => (chunk.len(), false),
            },
        };
        if self.depth > MAX_DEPTH {
            return Err(MetadataError::malformed(0, "nested too deeply"));
        }
        let taken = chunk.get(..length).unwrap_or_default();
        extend(&mut self.bytes, taken, self.bound)?;
        Ok((length, complete))
    }

    fn ends_with(&mut self, byte: u8) -> bool {
        self.shape = match (self.shape, byte) {
            (Shape::String, b'"') => Shape::Between,
            (Shape::String, b'\\') => Shape::Escaped,
            (Shape::Escaped, _) => Shape::String,
            (Shape::Between, b'"') => {
                self.shape = Shape::String;
                return false;
            }
            (Shape::Between, b'[' | b'{') => {
                self.depth = self.depth.saturating_add(1);
                // One bracket too many is enough.
                return self.depth > MAX_DEPTH;
            }
            (Shape::Between, b']' | b'}') => {
                self.depth = self.depth.saturating_sub(1);
                Shape::Between
            }
            (shape, _) => {
                self.shape = shape;
                return false;
            }
        };
        self.shape == Shape::Between && self.depth <= self.around
    }

    /// What was gathered.
    pub(super) fn text(&self) -> Result<&str, MetadataError> {
        crate::json::utf8(&self.bytes)
    }
}

/// Appends `more`, up to a bound and as far as there is memory.
pub(super) fn extend(bytes: &mut Vec<u8>, more: &[u8], bound: usize) -> Result<(), MetadataError> {
    let length = bytes.len().saturating_add(more.len());
    if length > bound {
        return Err(MetadataError::TooLarge { bound });
    }
    if length > bytes.capacity() {
        let room = length.next_multiple_of(STEP).min(bound);
        bytes
            .try_reserve_exact(room.saturating_sub(bytes.len()))
            .map_err(|_| MetadataError::TooLarge { bound: length })?;
    }
    bytes.extend_from_slice(more);
    Ok(())
}
