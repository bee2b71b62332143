//! A whole file in memory, within a bound.

use super::{CHUNK, FetchError};

/// A file of at most `max_len` bytes as it comes in. Memory grows with what arrives, not with what
/// is announced, and at most `max_len + 1` bytes are read.
#[derive(Debug)]
pub struct WholeFile<'u> {
    url: &'u str,
    max_len: u64,
    bytes: Vec<u8>,
    filled: usize,
}

impl<'u> WholeFile<'u> {
    /// The body of `url` begins, with the bytes that the server announces.
    ///
    /// # Errors
    /// [`FetchError::TooLarge`] if these are more than `max_len`.
    pub fn begin(
        url: &'u str,
        max_len: u64,
        content_length: Option<u64>,
    ) -> Result<Self, FetchError> {
        let file = Self {
            url,
            max_len,
            bytes: Vec::new(),
            filled: 0,
        };
        match content_length {
            Some(announced) if announced > max_len => Err(file.too_large()),
            _ => Ok(file),
        }
    }

    /// Where the next bytes go; never empty.
    pub fn room(&mut self) -> &mut [u8] {
        // The vector doubles with what has arrived, and never grows beyond the limit and a byte.
        if self.filled == self.bytes.len() {
            let left = (self.max_len.saturating_add(1)).saturating_sub(self.filled as u64);
            let step = (self.filled.max(4096)).min(usize::try_from(left).unwrap_or(usize::MAX));
            self.bytes
                .resize(self.filled + step.clamp(1, 16 * CHUNK), 0);
        }
        &mut self.bytes[self.filled..]
    }

    /// The first `n` bytes of [`WholeFile::room`] were filled.
    ///
    /// # Errors
    /// [`FetchError::TooLarge`] if the file goes on beyond its limit (endless data).
    pub fn filled(&mut self, n: usize) -> Result<(), FetchError> {
        self.filled = self.filled.saturating_add(n).min(self.bytes.len());
        match self.filled as u64 > self.max_len {
            true => Err(self.too_large()),
            false => Ok(()),
        }
    }

    /// The body has ended.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.filled);
        self.bytes
    }

    fn too_large(&self) -> FetchError {
        FetchError::TooLarge {
            url: self.url.to_owned(),
            limit: self.max_len,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_more_than_the_limit_is_noticed_and_not_one_more_is_read() {
        for limit in [0_u64, 1, 4095, 4096, 5000, 3_000_000] {
            let mut file = WholeFile::begin("u", limit, None).unwrap();
            let mut read = 0;
            let error = loop {
                let room = file.room().len();
                assert!(room > 0);
                read += room as u64;
                if let Err(error) = file.filled(room) {
                    break error;
                }
            };
            assert!(matches!(error, FetchError::TooLarge { .. }));
            assert_eq!(read, limit + 1);
        }
        assert!(WholeFile::begin("u", 5, Some(6)).is_err());
    }

    #[test]
    fn memory_follows_what_arrives() {
        let mut file = WholeFile::begin("u", 512 << 20, Some(512 << 20)).unwrap();
        assert!(file.room().len() <= 4096);
        file.filled(3).unwrap();
        assert_eq!(file.into_bytes(), [0; 3]);
    }
}
