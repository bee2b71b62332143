//! Decrypting an image as it arrives.

use zeroize::Zeroizing;

use crate::error::EncryptionError;
use crate::format::{HEADER_LEN, Header, Layout, SEALED_LEN};
use crate::key::{Cipher, ContentKey};

/// Decrypts an image that is pushed into it in parts of any size.
///
/// Plaintext leaves it segment by segment, each only after its tag was verified: what came out was
/// encrypted with this key at this place. That the image is whole is known when
/// [`finish`](Self::finish) returns. Whether it is the image that was approved is another question,
/// which the hashes in the metadata answer.
pub struct Decryptor {
    cipher: Cipher,
    layout: Layout,
    /// `None` until its bytes are there.
    header: Option<Header>,
    /// The segment that is being collected.
    next: u64,
    buffer: Zeroizing<Vec<u8>>,
    stopped: bool,
}

impl Decryptor {
    /// Starts with the first byte of an encrypted image of `encrypted_len` bytes, the length that
    /// verified metadata states.
    ///
    /// # Errors
    /// [`EncryptionError::Length`] if no encrypted image has that length.
    pub fn new(key: &ContentKey, encrypted_len: u64) -> Result<Self, EncryptionError> {
        Ok(Self {
            cipher: Cipher::new(key)?,
            layout: Layout::of(encrypted_len)?,
            header: None,
            next: 0,
            // No part of the plaintext is left behind by a buffer that grows.
            buffer: Zeroizing::new(Vec::with_capacity(SEALED_LEN)),
            stopped: false,
        })
    }

    /// Goes on with the first byte of `segment`, which is at
    /// [`segment_offset`](crate::segment_offset). Of the plaintext, the first `segment` times 64
    /// KiB are taken to be there.
    ///
    /// # Errors
    /// [`EncryptionError::Length`], [`EncryptionError::NoSegment`]
    pub fn resume(
        key: &ContentKey,
        header: &Header,
        encrypted_len: u64,
        segment: u64,
    ) -> Result<Self, EncryptionError> {
        let fresh = Self::new(key, encrypted_len)?;
        fresh.layout.segment(segment)?;
        Ok(Self {
            header: Some(header.clone()),
            next: segment,
            ..fresh
        })
    }

    /// The header, once it has arrived: what [`resume`](Self::resume) needs.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// The first segment that has not been handed out, counted from 0.
    pub fn next_segment(&self) -> u64 {
        self.next
    }

    /// Takes the next bytes, and gives `sink` what they decrypt to.
    ///
    /// # Errors
    /// [`EncryptionError::Decrypt`], [`EncryptionError::TooLong`], [`EncryptionError::Header`] or
    /// [`EncryptionError::UnknownMethod`], and what `sink` returns. After an error nothing more is
    /// decrypted: [`EncryptionError::Stopped`].
    pub fn update<E: From<EncryptionError>>(
        &mut self,
        mut bytes: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        // Holds if anything below returns early.
        if std::mem::replace(&mut self.stopped, true) {
            return Err(EncryptionError::Stopped.into());
        }
        while !bytes.is_empty() {
            let missing = self.wanted()? - self.buffer.len();
            let (now, rest) = bytes.split_at(missing.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = rest;
            if now.len() == missing {
                self.complete(sink)?;
                self.buffer.clear();
            }
        }
        self.stopped = false;
        Ok(())
    }

    /// Says that there are no more bytes.
    ///
    /// # Errors
    /// [`EncryptionError::Truncated`], [`EncryptionError::Stopped`]
    pub fn finish(self) -> Result<(), EncryptionError> {
        if self.stopped {
            return Err(EncryptionError::Stopped);
        }
        if self.next == self.layout.segments {
            return Ok(());
        }
        let whole = match &self.header {
            // The segment is one of the image's, so it has an offset.
            Some(_) => crate::segment_offset(self.next).unwrap_or(0),
            None => 0,
        };
        Err(EncryptionError::Truncated {
            expected: self.layout.encrypted_len,
            found: whole + self.buffer.len() as u64,
        })
    }

    /// How long the header or segment is that is being collected.
    fn wanted(&self) -> Result<usize, EncryptionError> {
        if self.header.is_none() {
            return Ok(HEADER_LEN);
        }
        match self.layout.segment(self.next) {
            Ok((.., length)) => Ok(length),
            Err(_) => Err(EncryptionError::TooLong {
                expected: self.layout.encrypted_len,
            }),
        }
    }

    fn complete<E: From<EncryptionError>>(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(header) = &self.header else {
            let bytes = self.buffer.first_chunk().ok_or(EncryptionError::Header)?;
            self.header = Some(Header::parse(bytes)?);
            return Ok(());
        };
        let (number, place, _) = self.layout.segment(self.next)?;
        let plain = self
            .cipher
            .open(header, (number, place), &mut self.buffer)?;
        if !plain.is_empty() {
            sink(plain)?;
        }
        self.next += 1;
        Ok(())
    }
}
