//! Whole files out of the parts that a Primary serves.

use std::io::{self, Read, Seek, SeekFrom};

use countersign_verifier::{RemoteName, Reply};

use super::{Fetch, LinkError, MAX_BODY, Part, Repository, Source, Wanted};

/// Fetches a metadata file of at most `max_len` bytes, as the answer to a session's step.
///
/// # Errors
/// [`LinkError`]; that a file is absent or too large is an answer.
pub fn fetch_metadata(
    source: &mut dyn Source,
    repository: Repository,
    name: &RemoteName,
    max_len: u64,
) -> Result<Reply, LinkError> {
    let file = Wanted::metadata(repository, name);
    let mut bytes = Vec::new();
    loop {
        let from = bytes.len() as u64;
        let Some(part) = next_part(source, &file, from)? else {
            return match from {
                0 => Ok(Reply::NotFound),
                _ => Err(LinkError::protocol("a file vanished between two parts")),
            };
        };
        if part.total > max_len {
            return Ok(Reply::TooLarge);
        }
        bytes.extend(part.bytes);
        if bytes.len() as u64 == part.total {
            return Ok(Reply::Fetched(bytes));
        }
    }
}

/// The next part of a file, which is what was asked for or an error: no more bytes than that, none
/// beyond the end, and at least one before it.
fn next_part(source: &mut dyn Source, file: &Wanted, from: u64) -> Result<Option<Part>, LinkError> {
    let fetch = Fetch {
        file: file.clone(),
        from,
        max_len: MAX_BODY as u32,
    };
    let Some(part) = source.part(&fetch)? else {
        return Ok(None);
    };
    let (got, left) = (part.bytes.len() as u64, part.total.saturating_sub(from));
    match got <= left.min(MAX_BODY as u64) && (got > 0 || left == 0) {
        true => Ok(Some(part)),
        false => Err(LinkError::protocol(format!(
            "{got} bytes from byte {from} on, of a file of {}",
            part.total
        ))),
    }
}

/// An image read over a link, from its start or from anywhere. Errors wrap a [`LinkError`].
pub struct FileReader<'a> {
    source: &'a mut dyn Source,
    file: Wanted,
    /// What the signed metadata says, in bytes.
    length: u64,
    at: u64,
    /// The last part, and where it begins.
    part: Vec<u8>,
    part_at: u64,
}

impl<'a> FileReader<'a> {
    /// Reads `file`, which has `length` bytes if it is the right one. A longer one is an error at
    /// its first part: nothing of it is passed on.
    pub fn new(source: &'a mut dyn Source, file: Wanted, length: u64) -> Self {
        Self {
            source,
            file,
            length,
            at: 0,
            part: Vec::new(),
            part_at: 0,
        }
    }

    /// The bytes at the present position, fetched if need be; empty at the end.
    fn fill(&mut self) -> Result<&[u8], LinkError> {
        let within = self.at.checked_sub(self.part_at).map(|skip| skip as usize);
        if within.is_none_or(|skip| skip >= self.part.len()) {
            self.part.clear();
            self.part_at = self.at;
            if self.at >= self.length {
                // An empty image is asked for even so: its absence has to be noticed.
                if self.length > 0 {
                    return Ok(&[]);
                }
            }
            let Some(part) = next_part(self.source, &self.file, self.at)? else {
                return Err(LinkError::NoImage);
            };
            if part.total > self.length {
                return Err(LinkError::ImageTooLong {
                    found: part.total,
                    signed: self.length,
                });
            }
            self.part = part.bytes;
        }
        let skip = (self.at - self.part_at) as usize;
        Ok(&self.part[skip.min(self.part.len())..])
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill().map_err(io::Error::other)?;
        let n = bytes.len().min(buffer.len());
        buffer[..n].copy_from_slice(&bytes[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for FileReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        self.at = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
