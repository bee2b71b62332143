//! A certification authority that is ready to work.

use std::fs::File;
use std::path::Path;

use countersign_metadata::UtcTime;
use countersign_repo::keys;
use countersign_signing::{Home, Secrets};
use rcgen::PublicKeyData as _;

use crate::CeremonyError;

use super::ca_certificate::{CaCertificate, read_certificate};
use super::ca_key::CaKey;
use super::error::PkiError;
use super::index::{Entry, Filter, Index};
use super::profile::Validity;
use super::record::Serial;
use super::settings::{INDEX, Settings, check_custody, lock, read_settings};
use super::{files, limits, x509};

/// What a CA is.
#[derive(Debug, Clone)]
pub struct CaSummary {
    /// Its distinguished name.
    pub name: String,
    /// What holds its key.
    pub home: Option<Home>,
    /// SHA-256 of its certificate, in hexadecimal; `None` while it waits for one.
    pub fingerprint: Option<String>,
    /// First and last second; `None` while it waits for a certificate.
    pub validity: Option<(UtcTime, UtcTime)>,
}

/// A CA that is ready to work.
#[derive(Debug)]
pub struct Authority {
    settings: Settings,
    pub(crate) certificate: CaCertificate,
    pub(crate) index: Index,
    /// None when only looked at.
    _lock: Option<File>,
}

impl Authority {
    /// Opens a CA to work with it, and keeps others out.
    ///
    /// # Errors
    /// [`PkiError::NoCa`], [`PkiError::NotAdopted`], [`PkiError::Locked`], and
    /// [`PkiError::IndexMissing`], [`PkiError::Index`] or [`PkiError::IndexOther`] rather than to
    /// forget what was issued and revoked.
    pub fn open(folder: &Path) -> Result<Self, CeremonyError> {
        let settings = read_settings(folder)?;
        let lock = lock(folder)?;
        let index = Index::open(&folder.join(INDEX))?;
        Self::with(folder, settings, index, Some(lock))
    }

    /// Opens a CA to look at it, whoever works with it.
    ///
    /// # Errors
    /// As [`Authority::open`].
    pub fn view(folder: &Path) -> Result<Self, CeremonyError> {
        let settings = read_settings(folder)?;
        let index = Index::view(&folder.join(INDEX))?;
        Self::with(folder, settings, index, None)
    }

    fn with(
        folder: &Path,
        settings: Settings,
        index: Index,
        lock: Option<File>,
    ) -> Result<Self, CeremonyError> {
        if index.ca() != Some(x509::key_hash(&settings.public)) {
            return Err(PkiError::IndexOther(folder.join(INDEX)).into());
        }
        Ok(Self {
            certificate: read_certificate(folder, &settings)?,
            settings,
            index,
            _lock: lock,
        })
    }

    /// What this CA is.
    ///
    /// # Errors
    /// None that [`Authority::open`] has not found before.
    pub fn summary(&self) -> Result<CaSummary, CeremonyError> {
        let mut summary = CaSummary {
            name: String::new(),
            home: None,
            fingerprint: None,
            validity: None,
        };
        summary.read(&self.certificate)?;
        Ok(summary)
    }

    /// The certificates that `filter` takes, in the order of their issue.
    pub fn list(&self, filter: &Filter, now: UtcTime) -> Vec<&Entry> {
        let entries = self.index.entries().iter();
        entries.filter(|entry| filter.takes(entry, now)).collect()
    }

    /// Writes one certificate to a new file.
    ///
    /// # Errors
    /// [`PkiError::Unknown`], and that another file is there.
    pub fn export(&self, serial: Serial, path: &Path) -> Result<(), CeremonyError> {
        let (_, pem) = self.find(serial)?;
        files::write_new(path, pem.as_bytes())
    }

    /// One certificate and its PEM text.
    ///
    /// # Errors
    /// [`PkiError::Unknown`]
    pub fn find(&self, serial: Serial) -> Result<(&Entry, String), CeremonyError> {
        let entry = self.index.get(serial);
        let entry = entry.ok_or_else(|| PkiError::Unknown(format!("certificate {serial}")))?;
        Ok((entry, self.index.certificate(entry)?))
    }

    /// Opens the key, which has to be the one of this CA, in the custody that was agreed on.
    pub(crate) fn unlock(&self, secrets: &Secrets) -> Result<CaKey, CeremonyError> {
        let key = CaKey::open(&self.settings.key, secrets)?;
        if key.subject_public_key_info() != self.settings.public {
            let uri = keys::redact(&self.settings.key);
            return Err(PkiError::CaKeyOther(uri).into());
        }
        check_custody(&key, self.settings.custody)?;
        Ok(key)
    }

    /// Whether the clock can be right, and the CA is valid by it.
    pub(crate) fn check_clock(&self, now: UtcTime) -> Result<(), PkiError> {
        if let Some(latest) = self.index.latest()
            && now.unix().saturating_add(limits::CLOCK_BEHIND) < latest.unix()
        {
            return Err(PkiError::Clock { now, latest });
        }
        let Validity {
            not_before,
            not_after,
        } = self.certificate.validity;
        match self.certificate.validity.contains(now) {
            true => Ok(()),
            false => Err(PkiError::CaNotValid {
                not_before,
                not_after,
                now,
            }),
        }
    }

    /// The SubjectPublicKeyInfo of the CA.
    pub(crate) fn public(&self) -> &[u8] {
        &self.settings.public
    }
}

impl CaSummary {
    pub(crate) fn read(&mut self, certificate: &CaCertificate) -> Result<(), PkiError> {
        let validity = certificate.validity;
        self.name = x509::shown(certificate.parse()?.subject());
        let digest = countersign_metadata::sha256(&certificate.der);
        self.fingerprint = Some(hex::encode(digest));
        self.validity = Some((validity.not_before, validity.not_after));
        Ok(())
    }
}
