//! The hashes that metadata lists for a file.

use alloc::string::ToString;

use crate::crypto;
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::json::{Object, Value};
use crate::scan::PlainFile;

/// Digests of one file: those this crate can check, and the others as they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hashes {
    /// SHA-256.
    pub sha256: Option<[u8; 32]>,
    /// SHA-512.
    pub sha512: Option<[u8; 64]>,
    /// Hash functions this crate does not know, by name.
    pub other: Object,
}

impl Hashes {
    /// SHA-256 and SHA-512 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            sha256: Some(crypto::sha256(bytes)),
            sha512: Some(crypto::sha512(bytes)),
            other: Object::new(),
        }
    }

    /// Whether at least one listed hash function is known here; a file listed without any
    /// cannot be verified.
    pub fn any_known(&self) -> bool {
        self.sha256.is_some() || self.sha512.is_some()
    }

    /// Whether every known hash is that of `bytes`, and at least one is known.
    pub fn match_bytes(&self, bytes: &[u8]) -> bool {
        self.any_known()
            && self
                .sha256
                .is_none_or(|digest| digest == crypto::sha256(bytes))
            && self
                .sha512
                .is_none_or(|digest| digest == crypto::sha512(bytes))
    }

    /// Whether both are of the same content, as far as these tell: at least one known hash is in
    /// both, and all that are in both are equal.
    pub fn agree(&self, other: &Self) -> bool {
        let sha256 = self.sha256.zip(other.sha256).map(|(a, b)| a == b);
        let sha512 = self.sha512.zip(other.sha512).map(|(a, b)| a == b);
        (sha256.is_some() || sha512.is_some()) && sha256 != Some(false) && sha512 != Some(false)
    }

    pub(crate) fn decode(mut fields: Fields<'_>) -> Result<Self, MetadataError> {
        if fields.is_empty() {
            return fields.fail_here("lists no hash");
        }
        Ok(Self {
            sha256: digest(&mut fields, "sha256")?,
            sha512: digest(&mut fields, "sha512")?,
            other: fields.rest(),
        })
    }

    /// Those of a description in its usual form.
    pub(crate) fn of_plain(file: &PlainFile<'_>) -> Option<Self> {
        fn digest<const N: usize>(digits: &str) -> Option<[u8; N]> {
            let mut digest = [0; N];
            hex::decode_to_slice(digits, &mut digest).ok()?;
            Some(digest)
        }
        Some(Self {
            sha256: match file.sha256 {
                Some(digits) => Some(digest(digits)?),
                None => None,
            },
            sha512: match file.sha512 {
                Some(digits) => Some(digest(digits)?),
                None => None,
            },
            other: Object::new(),
        })
    }

    /// As metadata writes them: each by its name, in hexadecimal.
    pub fn to_value(&self) -> Value {
        let mut members = with(&self.other, []);
        let mut insert = |name: &str, digest: Option<&[u8]>| {
            if let Some(digest) = digest {
                members.insert(name.to_string(), hex::encode(digest).into());
            }
        };
        insert("sha256", self.sha256.as_ref().map(|digest| &digest[..]));
        insert("sha512", self.sha512.as_ref().map(|digest| &digest[..]));
        members.into()
    }
}

fn digest<const N: usize>(
    fields: &mut Fields<'_>,
    name: &str,
) -> Result<Option<[u8; N]>, MetadataError> {
    if !fields.members_has(name) {
        return Ok(None);
    }
    let mut digest = [0; N];
    let text = fields.string(name);
    match text.map(|text| hex::decode_to_slice(text, &mut digest)) {
        Ok(Ok(())) => Ok(Some(digest)),
        _ => fails(fields, name, N),
    }
}

fn fails<T>(fields: &Fields<'_>, name: &str, bytes: usize) -> Result<T, MetadataError> {
    fields.fail(name, alloc::format!("must be {bytes} bytes in hexadecimal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_agree_as_far_as_both_are_known() {
        let (one, other) = (Hashes::of(b"one"), Hashes::of(b"other"));
        let only256 = |hashes: &Hashes| Hashes {
            sha512: None,
            ..hashes.clone()
        };
        let only512 = |hashes: &Hashes| Hashes {
            sha256: None,
            ..hashes.clone()
        };
        assert!(one.agree(&one) && one.agree(&only256(&one)) && only512(&one).agree(&one));
        assert!(!one.agree(&other) && !only256(&one).agree(&other));
        // Nothing says that they are the same.
        assert!(!only256(&one).agree(&only512(&one)));
        let mixed = Hashes {
            sha512: other.sha512,
            ..one.clone()
        };
        assert!(!one.agree(&mixed));
    }
}
