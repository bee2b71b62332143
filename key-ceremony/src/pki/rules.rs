//! Who may have a certificate. The rules look at the index and change nothing.

use std::path::Path;

use countersign_metadata::UtcTime;

use crate::CeremonyError;

use super::authority::Authority;
use super::error::PkiError;
use super::identity::{DeviceId, Subject};
use super::index::{Entry, Status};
use super::key::DeviceKey;
use super::record::{Reason, Serial};
use super::request::Request;
use super::{files, limits, x509};

/// What to do about a valid certificate that the same device has for another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is issued.
    Refuse,
    /// It is revoked first: the device was exchanged, or its key.
    Replace(Reason),
}

/// What a request comes to.
#[derive(Debug)]
pub(crate) enum Plan {
    /// A certificate is to be signed.
    Sign(Order),
    /// There is one for this key and device.
    Have(Serial),
}

/// A certificate to be signed, by the rules.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) subject: Subject,
    pub(crate) key: DeviceKey,
    pub(crate) renews: Option<Serial>,
    pub(crate) revokes: Vec<(Serial, Reason)>,
}

impl Order {
    pub(crate) fn new(subject: Subject, request: &Request) -> Self {
        Self {
            subject,
            key: request.key().clone(),
            renews: None,
            revokes: Vec::new(),
        }
    }
}

impl Authority {
    /// What a request for a device comes to.
    pub(crate) fn plan(
        &self,
        device: &DeviceId,
        request: &Request,
        existing: Existing,
        now: UtcTime,
    ) -> Result<Plan, PkiError> {
        let subject = Subject::Device(device.clone());
        self.check_key(&subject, request, now)?;
        let valid = |entry: &&Entry| entry.status(now) == Status::Valid;
        let held: Vec<&Entry> = self.index.of_device(device).filter(valid).collect();
        let same = held
            .iter()
            .filter(|entry| entry.key == request.key().hash());
        if let Some(entry) = same.max_by_key(|entry| entry.not_after) {
            return Ok(Plan::Have(entry.serial));
        }
        let revoked = self.index.of_device(device).find_map(|entry| {
            let same = entry.key == request.key().hash();
            let revocation = entry.revoked.filter(|_| same)?;
            Some((entry.serial, revocation.at))
        });
        // Otherwise a manifest that is run again would undo a revocation.
        if let (Existing::Refuse, Some((serial, at))) = (existing, revoked) {
            return Err(PkiError::WasRevoked {
                subject,
                serial,
                at,
            });
        }
        let revokes = match (existing, held.first()) {
            (Existing::Refuse, Some(entry)) => {
                return Err(PkiError::HasCertificate {
                    subject,
                    serial: entry.serial,
                    not_after: entry.not_after,
                });
            }
            (Existing::Refuse, None) => Vec::new(),
            (Existing::Replace(reason), _) => {
                held.iter().map(|entry| (entry.serial, reason)).collect()
            }
        };
        Ok(Plan::Sign(Order {
            revokes,
            ..Order::new(subject, request)
        }))
    }

    /// One key has one holder, and a stolen key none.
    pub(crate) fn check_key(
        &self,
        subject: &Subject,
        request: &Request,
        now: UtcTime,
    ) -> Result<(), PkiError> {
        request.check_names(subject)?;
        let hash = request.key().hash();
        if hash == x509::key_hash(self.public()) {
            return Err(PkiError::KeyIsCa);
        }
        for entry in self.index.with_key(hash) {
            let serial = entry.serial;
            let reason = entry.revoked.map(|revocation| revocation.reason);
            if reason == Some(Reason::KeyCompromise) {
                return Err(PkiError::KeyCompromised { serial });
            }
            let servers = matches!(
                (subject, &entry.subject),
                (Subject::Server(_), Subject::Server(_))
            );
            if entry.subject != *subject && !servers && entry.status(now) == Status::Valid {
                let subject = entry.subject.clone();
                return Err(PkiError::KeyInUse { subject, serial });
            }
        }
        Ok(())
    }

    /// What a request for the next certificate of a device comes to.
    pub(crate) fn plan_renewal(
        &self,
        old: &Path,
        request: &Request,
        now: UtcTime,
    ) -> Result<Plan, CeremonyError> {
        let entry = self.own(old)?;
        let serial = entry.serial;
        if let Some(revocation) = entry.revoked {
            let at = revocation.at;
            return Err(PkiError::Revoked { serial, at }.into());
        }
        if entry.status(now) == Status::Ended {
            let not_after = entry.not_after;
            return Err(PkiError::Ended { serial, not_after }.into());
        }
        if entry.subject.device().is_none() {
            return Err(PkiError::NotADevice(serial).into());
        }
        let subject = entry.subject.clone();
        self.check_key(&subject, request, now)?;
        let next = self.index.renewed_by(serial);
        match next.filter(|next| next.status(now) == Status::Valid) {
            Some(next) if next.key == request.key().hash() => Ok(Plan::Have(next.serial)),
            Some(next) => {
                let by = next.serial;
                Err(PkiError::Renewed { serial, by }.into())
            }
            None => Ok(Plan::Sign(Order {
                renews: Some(serial),
                ..Order::new(subject, request)
            })),
        }
    }

    /// The entry of a certificate that this CA issued, byte for byte.
    pub(crate) fn own(&self, file: &Path) -> Result<&Entry, CeremonyError> {
        let fail = |why: String| PkiError::Certificate {
            path: file.into(),
            why,
        };
        let bytes = files::read(file, limits::FILE, "a certificate")?;
        let der = x509::der(&bytes, x509::CERTIFICATE).map_err(fail)?;
        let certificate = x509::certificate(&der).map_err(fail)?;
        let serial = Serial::from_der(certificate.raw_serial());
        let entry = serial.and_then(|serial| self.index.get(serial));
        if let Some(entry) = entry {
            let kept = self.index.certificate(entry)?;
            let kept = x509::der(kept.as_bytes(), x509::CERTIFICATE).map_err(fail)?;
            if kept == der {
                return Ok(entry);
            }
        }
        Err(PkiError::Unknown(file.display().to_string()).into())
    }
}
