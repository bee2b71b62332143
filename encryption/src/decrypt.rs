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
    /// Bytes of the header or segment that are there.
    filled: usize,
    /// Bytes of plaintext at the start of the buffer.
    plain: usize,
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
            buffer: Zeroizing::new(vec![0; SEALED_LEN]),
            filled: 0,
            plain: 0,
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
        while !bytes.is_empty() {
            let room = self.room();
            let (now, rest) = bytes.split_at(bytes.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.filled(now.len())?;
            if !self.plain().is_empty()
                && let Err(error) = sink(self.plain())
            {
                self.stopped = true;
                return Err(error);
            }
            bytes = rest;
        }
        match self.stopped {
            true => Err(EncryptionError::Stopped.into()),
            false => Ok(()),
        }
    }

    /// Where the next bytes of the encrypted image go, up to the end of the header or the segment: they are
    /// decrypted where they are. Empty after the last segment and after an error.
    pub fn room(&mut self) -> &mut [u8] {
        self.plain = 0;
        let wanted = match self.stopped {
            true => 0,
            false => self.wanted().unwrap_or(0),
        };
        let wanted = wanted.clamp(self.filled, SEALED_LEN);
        &mut self.buffer[self.filled..wanted]
    }

    /// The first `n` bytes of [`room`](Self::room) came. If they end a segment, [`plain`](Self::plain) is
    /// what it decrypts to.
    ///
    /// # Errors
    /// As [`update`](Self::update). To say that there are bytes where there is no room for them is
    /// [`EncryptionError::TooLong`].
    pub fn filled(&mut self, n: usize) -> Result<(), EncryptionError> {
        self.plain = 0;
        // Holds if anything below returns early.
        if std::mem::replace(&mut self.stopped, true) {
            return Err(EncryptionError::Stopped);
        }
        let wanted = self.wanted()?;
        let missing = wanted - self.filled;
        self.filled += n.min(missing);
        if n >= missing {
            self.complete(wanted)?;
            self.filled = 0;
        }
        self.stopped = false;
        Ok(())
    }

    /// Verified plaintext: of the segment that the last [`filled`](Self::filled) has completed, until the
    /// next [`room`](Self::room).
    pub fn plain(&self) -> &[u8] {
        &self.buffer[..self.plain]
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
            found: whole + self.filled as u64,
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

    fn complete(&mut self, length: usize) -> Result<(), EncryptionError> {
        let Some(header) = &self.header else {
            let bytes = self.buffer.first_chunk().ok_or(EncryptionError::Header)?;
            self.header = Some(Header::parse(bytes)?);
            return Ok(());
        };
        let (number, place, _) = self.layout.segment(self.next)?;
        let segment = &mut self.buffer[..length];
        let plain = self.cipher.open(header, (number, place), segment)?;
        self.plain = plain.len();
        self.next += 1;
        Ok(())
    }
}
