//! Succinct hashed bins (TAP 15).

use alloc::format;
use alloc::string::{String, ToString};

use crate::authority::RoleKeys;
use crate::crypto;
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::json::{Object, Value};
use crate::path::TargetPath;

/// Bins by the leading bits of the path's SHA-256, one set of keys for all (TAP 15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccinctRoles {
    /// Who signs every bin.
    pub role_keys: RoleKeys,
    /// Leading bits that choose the bin, 1 to 32.
    pub bit_length: u32,
    /// Bins are named `PREFIX-` and the bin number in hexadecimal.
    pub name_prefix: String,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

impl SuccinctRoles {
    /// How many bins there are.
    pub fn bins(&self) -> u64 {
        1 << self.bits()
    }

    /// The name of bin `number`, in as many hexadecimal digits as the last bin needs.
    pub fn bin_name(&self, number: u64) -> String {
        format!(
            "{}-{number:0width$x}",
            self.name_prefix,
            width = self.digits()
        )
    }

    /// The names of all bins, first to last.
    pub fn bin_names(&self) -> impl Iterator<Item = String> {
        (0..self.bins()).map(|number| self.bin_name(number))
    }

    /// The bin that lists `path`.
    pub fn bin_of(&self, path: &TargetPath) -> String {
        let hash = crypto::sha256(path.as_str().as_bytes());
        let leading = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        self.bin_name(u64::from(leading) >> (32 - self.bits()))
    }

    /// Whether `name` is one of the bins.
    pub fn is_bin(&self, name: &str) -> bool {
        let number = name
            .strip_prefix(&self.name_prefix)
            .and_then(|rest| rest.strip_prefix('-'));
        let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.is_some_and(|number| number < self.bins() && self.bin_name(number) == name)
    }

    /// The field is public, so a caller may have set what no file can say.
    fn bits(&self) -> u32 {
        self.bit_length.clamp(1, 32)
    }

    fn digits(&self) -> usize {
        format!("{:x}", self.bins() - 1).len()
    }

    pub(crate) fn decode(path: String, value: Value) -> Result<Self, MetadataError> {
        let mut fields = Fields::of(path, value)?;
        let role_keys = RoleKeys::take(&mut fields)?;
        let bit_length = match fields.unsigned("bit_length", 1)? {
            bits @ 1..=32 => bits as u32,
            _ => return fields.fail("bit_length", "must be 1 to 32"),
        };
        let name_prefix = fields.string("name_prefix")?;
        Ok(Self {
            role_keys,
            bit_length,
            name_prefix,
            extra: fields.rest(),
        })
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut members = self.role_keys.to_members();
        members.extend(with(
            &self.extra,
            [
                ("bit_length", self.bit_length.into()),
                ("name_prefix", self.name_prefix.to_string().into()),
            ],
        ));
        members.into()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn bins_are_named_by_the_leading_bits() {
        let bins = |bit_length| SuccinctRoles {
            role_keys: RoleKeys::new([], 1),
            bit_length,
            name_prefix: "bin".into(),
            extra: Object::new(),
        };
        let path = TargetPath::new("fw.img").expect("a path");
        // sha256("fw.img") starts with the digits that the widest bin number shows whole.
        let hash = hex::encode(crypto::sha256(b"fw.img"));
        assert_eq!(bins(32).bin_of(&path), format!("bin-{}", &hash[..8]));
        assert_eq!(bins(8).bin_of(&path), format!("bin-{}", &hash[..2]));
        assert_eq!(bins(1).bin_names().collect::<Vec<_>>(), ["bin-0", "bin-1"]);
        assert!(bins(5).is_bin("bin-1f") && bins(5).is_bin("bin-00"));
        for name in [
            "bin-20", "bin-1F", "bin-1", "bin-001", "bin1f", "bin-", "bin-+1",
        ] {
            assert!(!bins(5).is_bin(name), "{name}");
        }
    }
}
