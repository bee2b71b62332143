//! Key URIs: the names by which configuration, flags and ceremony profiles call a private key.

mod file;
mod percent;
mod pkcs11;
mod yubihsm;

use std::fmt;
use std::str::FromStr;

pub use file::FileUri;
pub use pkcs11::Pkcs11Uri;
pub use yubihsm::YubiHsmUri;

/// Longest accepted URI, in bytes. Paths end at 4,096 (PATH_MAX); two of them and labels fit.
const MAX_LEN: usize = 16_384;

/// Where a private key lives. Parsed with [`FromStr`], written with [`Display`](fmt::Display);
/// never contains a secret.
///
/// | form | meaning |
/// | --- | --- |
/// | `file:keys/root1.pem` | a PKCS#8 PEM file, relative to [`Secrets`](crate::Secrets)' folder |
/// | `pkcs11:token=root-1;object=root` | a key in a PKCS#11 token (RFC 7512) |
/// | `yubihsm:connector=127.0.0.1:12345;id=0x0102` | a key in a YubiHSM 2 |
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyUri {
    /// `file:PATH`
    File(FileUri),
    /// `pkcs11:ATTRIBUTES?QUERY`
    Pkcs11(Pkcs11Uri),
    /// `yubihsm:ATTRIBUTES?QUERY`
    YubiHsm(YubiHsmUri),
}

/// Why a text is not a key URI. Never repeats attribute values, which may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a usable key URI: {reason}")]
pub struct UriError {
    reason: String,
}

impl UriError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

impl FromStr for KeyUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if text.len() > MAX_LEN {
            return Err(UriError::new(format!("longer than {MAX_LEN} bytes")));
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(UriError::new(
                "no scheme; write file:PATH, pkcs11:token=LABEL;object=LABEL or yubihsm:id=NUMBER",
            ));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "file" => FileUri::parse(rest).map(Self::File),
            "pkcs11" => Pkcs11Uri::parse(rest).map(Self::Pkcs11),
            "yubihsm" => YubiHsmUri::parse(rest).map(Self::YubiHsm),
            _ => Err(UriError::new(
                "unknown scheme; key URIs start with file:, pkcs11: or yubihsm:",
            )),
        }
    }
}

impl KeyUri {
    /// The same key, opened even if its token would let it leave. For callers that judge its
    /// [`Custody`](crate::Custody) themselves.
    #[must_use]
    pub fn allowing_extractable(self) -> Self {
        match self {
            Self::Pkcs11(uri) => Self::Pkcs11(Pkcs11Uri {
                allow_extractable: true,
                ..uri
            }),
            Self::YubiHsm(uri) => Self::YubiHsm(YubiHsmUri {
                allow_extractable: true,
                ..uri
            }),
            Self::File(uri) => Self::File(uri),
        }
    }
}

impl fmt::Display for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(uri) => write!(f, "file:{uri}"),
            Self::Pkcs11(uri) => write!(f, "pkcs11:{uri}"),
            Self::YubiHsm(uri) => write!(f, "yubihsm:{uri}"),
        }
    }
}

#[cfg(test)]
mod tests;
