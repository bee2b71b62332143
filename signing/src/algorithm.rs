//! The kinds of keys that can be generated.

use std::fmt;
use std::str::FromStr;

/// What kind of key to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// `ed25519` (RFC 8032).
    Ed25519,
    /// `ecdsa-p256`, with SHA-256.
    EcdsaP256,
    /// `ecdsa-p384`, with SHA-384.
    EcdsaP384,
    /// `rsa-2048`, `rsa-3072`, `rsa-4096`: RSASSA-PSS with SHA-256.
    Rsa(RsaBits),
}

/// Sizes of RSA moduli, those that every verifier here takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RsaBits {
    /// 2,048 bits
    B2048,
    /// 3,072 bits
    B3072,
    /// 4,096 bits
    B4096,
}

impl RsaBits {
    /// The size as a number.
    pub fn get(self) -> u32 {
        match self {
            Self::B2048 => 2048,
            Self::B3072 => 3072,
            Self::B4096 => 4096,
        }
    }
}

/// Not one of the names of [`Algorithm`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown algorithm {name:?}; choose ed25519, ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or \
     rsa-4096"
)]
pub struct UnknownAlgorithm {
    name: String,
}

impl Algorithm {
    /// Every algorithm, the recommended one first.
    pub const ALL: [Self; 6] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::Rsa(RsaBits::B2048),
        Self::Rsa(RsaBits::B3072),
        Self::Rsa(RsaBits::B4096),
    ];

    /// The name that [`FromStr`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Rsa(RsaBits::B2048) => "rsa-2048",
            Self::Rsa(RsaBits::B3072) => "rsa-3072",
            Self::Rsa(RsaBits::B4096) => "rsa-4096",
        }
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        let known = Self::ALL.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| UnknownAlgorithm { name: text.into() })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        for text in ["", "rsa", "rsa-1024", "ED25519", "ecdsa"] {
            assert!(text.parse::<Algorithm>().is_err(), "{text:?}");
        }
    }
}
