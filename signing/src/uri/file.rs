//! `file:` URIs.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::UriError;
use super::percent::{self, PATH};

/// `PATH[?passphrase-file=PATH][&encryption=none]`: a PKCS#8 PEM file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileUri {
    pub(super) path: PathBuf,
    pub(super) passphrase_file: Option<PathBuf>,
    pub(super) unencrypted: bool,
}

impl FileUri {
    /// The key at `path`.
    ///
    /// # Errors
    /// When `path` is empty or holds a zero byte.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, UriError> {
        let path = path.into();
        Ok(Self {
            path: percent::path("the path", path.as_os_str().as_bytes().to_vec())?,
            passphrase_file: None,
            unencrypted: false,
        })
    }

    /// The key file. If relative, the caller's base folder goes before it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `passphrase-file`: a file whose first line is the passphrase.
    pub fn passphrase_file(&self) -> Option<&Path> {
        self.passphrase_file.as_deref()
    }

    /// `encryption=none`: a key generated here is written unencrypted. Reading does not need it.
    pub fn unencrypted(&self) -> bool {
        self.unencrypted
    }

    pub(super) fn parse(text: &str) -> Result<Self, UriError> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        if path.contains('#') {
            return Err(UriError::new("a # in a path is written %23"));
        }
        let path = match path.strip_prefix("//") {
            // RFC 8089: an empty authority is this machine.
            Some(rest) if rest.starts_with('/') => rest,
            Some(_) => {
                return Err(UriError::new(
                    "file: names a path on this machine: file:PATH or file:///PATH",
                ));
            }
            None => path,
        };
        let mut uri = Self {
            path: percent::decode_path("the path", path)?,
            passphrase_file: None,
            unencrypted: false,
        };
        for (name, value) in percent::pairs(query, '&')? {
            match (name, value) {
                ("passphrase-file", value) => {
                    uri.passphrase_file = Some(percent::decode_path(name, value)?);
                }
                ("encryption", "none") => uri.unencrypted = true,
                ("encryption", _) => {
                    return Err(UriError::new(
                        "encryption= can only be none; without it keys are encrypted",
                    ));
                }
                ("passphrase", _) => {
                    return Err(UriError::new(
                        "a passphrase does not belong in a URI, which lands in process lists and \
                         configuration; use passphrase-file= or COUNTERSIGN_PASSPHRASE",
                    ));
                }
                _ => {
                    return Err(UriError::new(format!(
                        "unknown attribute {name:?}; file: knows passphrase-file and encryption"
                    )));
                }
            }
        }
        match uri.unencrypted && uri.passphrase_file.is_some() {
            true => Err(UriError::new(
                "encryption=none and passphrase-file= contradict each other",
            )),
            false => Ok(uri),
        }
    }
}

impl fmt::Display for FileUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = percent::encode(self.path.as_os_str().as_bytes(), PATH);
        // "//x" would read as an authority.
        let authority = if path.starts_with("//") { "//" } else { "" };
        write!(f, "{authority}{path}")?;
        if let Some(file) = &self.passphrase_file {
            let file = percent::encode(file.as_os_str().as_bytes(), PATH);
            write!(f, "?passphrase-file={file}")?;
        }
        match self.unencrypted {
            true => f.write_str("?encryption=none"),
            false => Ok(()),
        }
    }
}
