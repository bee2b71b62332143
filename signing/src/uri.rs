//! Key URIs: the names by which configuration, flags and ceremony profiles call a private key.

mod file;
mod percent;
mod pkcs11;

use std::fmt;
use std::str::FromStr;

pub use file::FileUri;
pub use pkcs11::Pkcs11Uri;

/// Longest accepted URI, in bytes. Paths end at 4,096 (PATH_MAX); two of them and labels fit.
const MAX_LEN: usize = 16_384;

/// Where a private key lives. Parsed with [`FromStr`], written with [`Display`](fmt::Display);
/// never contains a secret.
///
/// | form | meaning |
/// | --- | --- |
/// | `file:keys/root1.pem` | a PKCS#8 PEM file, relative to [`Secrets`](crate::Secrets)' folder |
/// | `pkcs11:token=root-1;object=root` | a key in a PKCS#11 token (RFC 7512) |
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyUri {
    /// `file:PATH`
    File(FileUri),
    /// `pkcs11:ATTRIBUTES?QUERY`
    Pkcs11(Pkcs11Uri),
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
                "no scheme; write file:PATH or pkcs11:token=LABEL;object=LABEL",
            ));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "file" => FileUri::parse(rest).map(Self::File),
            "pkcs11" => Pkcs11Uri::parse(rest).map(Self::Pkcs11),
            "yubihsm" => Err(UriError::new(
                "yubihsm: keys are not built in yet; reach a YubiHSM through its PKCS#11 module \
                 with pkcs11:token=YubiHSM;object=LABEL?module-path=PATH",
            )),
            _ => Err(UriError::new(
                "unknown scheme; key URIs start with file: or pkcs11:",
            )),
        }
    }
}

impl fmt::Display for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(uri) => write!(f, "file:{uri}"),
            Self::Pkcs11(uri) => write!(f, "pkcs11:{uri}"),
        }
    }
}

#[cfg(test)]
mod tests;
