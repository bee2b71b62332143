//! Reading anywhere in an encrypted image.

use std::io::{self, Read, Seek, SeekFrom};

use zeroize::Zeroizing;

use crate::error::EncryptionError;
use crate::format::{HEADER_LEN, Header, Layout, SEALED_LEN, SEGMENT_LEN, segment_offset};
use crate::key::{Cipher, ContentKey};

/// The plaintext of an encrypted image that is stored somewhere, to read from any place in any
/// order. Each segment is verified when it is read; those that are not read are not.
///
/// Errors of the image itself are [`io::ErrorKind::InvalidData`] with an [`EncryptionError`]
/// inside.
pub struct SegmentReader<R> {
    inner: R,
    cipher: Cipher,
    header: Header,
    layout: Layout,
    /// In the plaintext.
    position: u64,
    /// The segment that `plain` holds.
    held: Option<u64>,
    plain: Zeroizing<Vec<u8>>,
}

impl<R: Read + Seek> SegmentReader<R> {
    /// Reads the header of `inner`, an encrypted image of `encrypted_len` bytes, the length that
    /// verified metadata states.
    ///
    /// # Errors
    /// [`EncryptionError::Length`], [`EncryptionError::Header`],
    /// [`EncryptionError::UnknownMethod`]; [`EncryptionError::Truncated`] and
    /// [`EncryptionError::TooLong`] if `inner` has another length; [`EncryptionError::Io`].
    pub fn new(
        key: &ContentKey,
        mut inner: R,
        encrypted_len: u64,
    ) -> Result<Self, EncryptionError> {
        let layout = Layout::of(encrypted_len)?;
        let expected = encrypted_len;
        match inner.seek(SeekFrom::End(0))? {
            found if found < expected => {
                return Err(EncryptionError::Truncated { expected, found });
            }
            found if found > expected => return Err(EncryptionError::TooLong { expected }),
            _ => {}
        }
        let mut bytes = [0; HEADER_LEN];
        inner.rewind()?;
        inner.read_exact(&mut bytes)?;
        Ok(Self {
            inner,
            cipher: Cipher::new(key)?,
            header: Header::parse(&bytes)?,
            layout,
            position: 0,
            held: None,
            plain: Zeroizing::new(Vec::with_capacity(SEALED_LEN)),
        })
    }

    /// Length of the plaintext in bytes.
    pub fn plain_len(&self) -> u64 {
        self.layout.plain_len()
    }

    fn hold(&mut self, segment: u64) -> io::Result<()> {
        if self.held == Some(segment) {
            return Ok(());
        }
        self.held = None;
        let (number, place, length) = self.layout.segment(segment)?;
        let start = segment_offset(segment).ok_or(EncryptionError::ImageTooLong)?;
        self.plain.resize(length, 0);
        self.inner.seek(SeekFrom::Start(start))?;
        self.inner.read_exact(&mut self.plain)?;
        let opened = self
            .cipher
            .open(&self.header, (number, place), &mut self.plain)?;
        let length = opened.len();
        self.plain.truncate(length);
        self.held = Some(segment);
        Ok(())
    }
}

impl<R: Read + Seek> Read for SegmentReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() || self.position >= self.layout.plain_len() {
            return Ok(0);
        }
        self.hold(self.position / SEGMENT_LEN as u64)?;
        let rest = self
            .plain
            .get((self.position % SEGMENT_LEN as u64) as usize..);
        let read = rest.unwrap_or_default().read(out)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl<R: Read + Seek> Seek for SegmentReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.layout.plain_len().checked_add_signed(by),
        };
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "a place before the start");
        self.position = place.ok_or_else(before)?;
        Ok(self.position)
    }
}
