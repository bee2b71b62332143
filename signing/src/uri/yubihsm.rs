//! `yubihsm:` URIs.

use std::fmt;
use std::path::{Path, PathBuf};

use super::UriError;

/// `connector=HOST:PORT;id=NUMBER[;serial=DIGITS][;authkey=NUMBER][?pin-source=file:PATH]`: a key
/// in a YubiHSM 2 behind its connector.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct YubiHsmUri {
    pub(crate) connector: String,
    pub(crate) id: u16,
    pub(crate) serial: Option<String>,
    pub(crate) authkey: u16,
    pub(crate) label: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
}

impl YubiHsmUri {
    /// `id`: the object id of the asymmetric key.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// `pin-source=file:PATH`: a file whose first line is the authentication key's password.
    pub fn password_file(&self) -> Option<&Path> {
        self.password_file.as_deref()
    }

    pub(super) fn parse(_text: &str) -> Result<Self, UriError> {
        Err(UriError::new("yubihsm: keys are not built in yet"))
    }
}

impl fmt::Display for YubiHsmUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connector={};id={}", self.connector, self.id)
    }
}
