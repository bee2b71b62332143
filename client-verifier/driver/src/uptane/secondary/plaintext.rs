//! An encrypted image, read as the image.

use std::io::{self, Read};

use countersign_verifier::Reject;
use zeroize::Zeroizing;

use crate::uptane::Sealed;

/// Bytes of ciphertext taken in at a time.
const CHUNK: usize = 64 * 1024;

/// Decrypts what it reads. Errors wrap a [`Reject`], or are those of the source.
pub(super) struct Plaintext<'r> {
    ciphertext: &'r mut dyn Read,
    /// `None` once the end was seen.
    sealed: Option<Sealed>,
    buffer: Zeroizing<Vec<u8>>,
    plain: Zeroizing<Vec<u8>>,
    given: usize,
}

impl<'r> Plaintext<'r> {
    /// Starts with the first byte of `ciphertext`.
    pub(super) fn new(sealed: Sealed, ciphertext: &'r mut dyn Read) -> Self {
        Self {
            ciphertext,
            sealed: Some(sealed),
            buffer: Zeroizing::new(vec![0; CHUNK]),
            plain: Zeroizing::new(Vec::new()),
            given: 0,
        }
    }

    /// Takes more ciphertext in, until there is plaintext or the end.
    fn fill(&mut self) -> io::Result<()> {
        self.plain.clear();
        self.given = 0;
        while self.plain.is_empty() {
            let Some(sealed) = &mut self.sealed else {
                return Ok(());
            };
            let n = self.ciphertext.read(&mut self.buffer)?;
            if n > 0 {
                let plain = &mut self.plain;
                let mut keep = |bytes: &[u8]| {
                    plain.extend_from_slice(bytes);
                    Ok::<(), Reject>(())
                };
                let taken = sealed.update(&self.buffer[..n], &mut keep);
                taken.map_err(io::Error::other)?;
            } else if let Some(sealed) = self.sealed.take() {
                sealed.finish().map_err(io::Error::other)?;
            }
        }
        Ok(())
    }
}

impl Read for Plaintext<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.plain.len() {
            self.fill()?;
        }
        let rest = &self.plain[self.given..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.given += n;
        Ok(n)
    }
}
