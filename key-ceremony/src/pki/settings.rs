//! The folder of a CA: which key it has, in whose custody, and who works on it now.
//!
//! ```text
//! ca.json      which key it has, and in whose custody
//! ca.pem       its certificate
//! index.jsonl  everything it signed; only grows
//! lock         held by the process that works on it
//! ```

use std::fs::{File, TryLockError};
use std::path::Path;

use countersign_metadata::UtcTime;
use serde::{Deserialize, Serialize};

use crate::CeremonyError;

use super::ca_key::CaKey;
use super::error::PkiError;
use super::files::{self, Durable};
use super::limits;
use super::record::{hexadecimal, utc};

pub(crate) const SETTINGS: &str = "ca.json";
pub(crate) const CERTIFICATE: &str = "ca.pem";
pub(crate) const INDEX: &str = "index.jsonl";
const LOCK: &str = "lock";

/// What a CA key must be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CustodyPolicy {
    /// A token or HSM that made it and that does not let it out.
    Token,
    /// Anything: for trials, or where something else keeps the key from being copied.
    Accepted,
}

/// `ca.json`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The version of this file.
    pub(crate) format: u32,
    /// A key URI.
    pub(crate) key: String,
    pub(crate) custody: CustodyPolicy,
    /// The SubjectPublicKeyInfo.
    #[serde(with = "hexadecimal")]
    pub(crate) public: Vec<u8>,
    #[serde(with = "utc")]
    pub(crate) made: UtcTime,
}

pub(crate) fn read_settings(folder: &Path) -> Result<Settings, CeremonyError> {
    let path = folder.join(SETTINGS);
    if path.symlink_metadata().is_err() {
        return Err(PkiError::NoCa(folder.into()).into());
    }
    let bytes = files::read(&path, limits::FILE, "the settings of a CA")?;
    let fail = |what: String| PkiError::Settings {
        path: path.clone(),
        what,
    };
    let settings: Settings =
        serde_json::from_slice(&bytes).map_err(|error| fail(error.to_string()))?;
    match settings.format {
        1 => Ok(settings),
        other => Err(fail(format!("its format {other} is not known to this version")).into()),
    }
}

pub(crate) fn write_settings(folder: &Path, settings: &Settings) -> Result<(), CeremonyError> {
    let mut text =
        serde_json::to_vec_pretty(settings).map_err(|error| PkiError::Encode(error.to_string()))?;
    text.push(b'\n');
    files::replace(&folder.join(SETTINGS), &text, Durable::Now)
}

pub(crate) fn check_custody(key: &CaKey, policy: CustodyPolicy) -> Result<(), PkiError> {
    let custody = key.signer().custody();
    let weaknesses = custody.weaknesses();
    match policy {
        CustodyPolicy::Token if !weaknesses.is_empty() => Err(PkiError::WeakCustody {
            home: custody.home.to_string(),
            weaknesses,
        }),
        _ => Ok(()),
    }
}

pub(crate) fn lock(folder: &Path) -> Result<File, CeremonyError> {
    let path = folder.join(LOCK);
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| CeremonyError::io("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PkiError::Locked(folder.into()).into()),
        Err(TryLockError::Error(source)) => Err(CeremonyError::io("lock", &path, source)),
    }
}
