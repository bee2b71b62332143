//! What blobs are called.

use std::fmt;

use super::BlobError;

/// The SHA-256 of a blob's bytes in 64 lower-case hexadecimal digits. Nothing else can be a path in a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobName(String);

impl BlobName {
    /// From text.
    ///
    /// # Errors
    /// [`BlobError::Name`]
    pub fn new(text: &str) -> Result<Self, BlobError> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match text.len() == 64 && text.bytes().all(digit) {
            true => Ok(Self(text.into())),
            false => Err(BlobError::Name),
        }
    }

    /// From a SHA-256.
    pub(super) fn of_digest(digest: &[u8]) -> Self {
        Self(hex::encode(digest))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_digest_is_a_name() {
        let digest = BlobName::of_digest(&[0xa5; 32]);
        assert_eq!(BlobName::new(digest.as_str()).unwrap(), digest);
        let upper = "A5".repeat(32);
        let path = format!("../{}", "a".repeat(61));
        for text in ["", "a5", &upper, &path, &"g".repeat(64), &"0".repeat(65)] {
            assert!(BlobName::new(text).is_err(), "{text}");
        }
    }
}
