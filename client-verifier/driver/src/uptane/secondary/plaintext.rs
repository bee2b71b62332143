//! An encrypted image, read as the image.

use std::io::{self, ErrorKind, Read};

use crate::uptane::Sealed;

/// Decrypts what it reads. Errors wrap a [`Reject`](countersign_verifier::Reject), or are those of the source.
pub(super) struct Plaintext<'r> {
    ciphertext: &'r mut dyn Read,
    /// `None` once the end was seen.
    sealed: Option<Sealed>,
    /// Bytes of the present segment that were read.
    given: usize,
}

impl<'r> Plaintext<'r> {
    /// Starts with the first byte of `ciphertext`.
    pub(super) fn new(sealed: Sealed, ciphertext: &'r mut dyn Read) -> Self {
        Self {
            ciphertext,
            sealed: Some(sealed),
            given: 0,
        }
    }

    /// Plaintext that was not read yet; empty at the end.
    fn rest(&mut self) -> io::Result<&[u8]> {
        while let Some(sealed) = &mut self.sealed
            && sealed.plain().len() == self.given
        {
            self.given = 0;
            if !take(sealed, self.ciphertext)?
                && let Some(sealed) = self.sealed.take()
            {
                sealed.finish().map_err(io::Error::other)?;
            }
        }
        let plain = self.sealed.as_ref().map(Sealed::plain);
        Ok(plain
            .and_then(|plain| plain.get(self.given..))
            .unwrap_or_default())
    }
}

/// Takes more ciphertext in; whether there was any.
fn take(sealed: &mut Sealed, ciphertext: &mut dyn Read) -> io::Result<bool> {
    let room = sealed.room();
    if room.is_empty() {
        // What goes on beyond its end is not the image.
        let mut more = [0];
        let n = read(ciphertext, &mut more)?;
        let refused = sealed.update(&more[..n], &mut |_| Ok(()));
        refused.map_err(io::Error::other)?;
        return Ok(n > 0);
    }
    let n = read(ciphertext, room)?;
    if n > 0 {
        sealed.filled(n).map_err(io::Error::other)?;
    }
    Ok(n > 0)
}

fn read(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl Read for Plaintext<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.rest()?;
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.given += n;
        Ok(n)
    }
}
