//! Issuing: the rules, and the order in which things become durable.

use std::path::Path;

use countersign_metadata::UtcTime;
use countersign_repo::policy::Span;
use countersign_signing::Secrets;

use crate::{CeremonyError, crash};

use super::authority::Authority;
use super::ca_key::CaKey;
use super::error::PkiError;
use super::files;
use super::identity::{DeviceId, ServerNames, Subject};
use super::index::{Entry, Status};
use super::key::DeviceKey;
use super::profile::{self, Expected, Validity};
use super::record::{Reason, Record, Serial};
use super::request::Request;
use super::{limits, x509};

/// What to do about a valid certificate that the same device has for another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is issued.
    Refuse,
    /// It is revoked first: the device was exchanged, or its key.
    Replace(Reason),
}

/// A certificate.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Its serial number.
    pub serial: Serial,
    /// Who it is for.
    pub subject: Subject,
    /// Its first second.
    pub not_before: UtcTime,
    /// Its last second.
    pub not_after: UtcTime,
    /// Whether it was signed just now. Otherwise it had been issued for the same key and device
    /// before, and is only given out again.
    pub fresh: bool,
    /// Its text.
    pub pem: String,
}

impl Issued {
    /// Writes the certificate to a new file.
    ///
    /// # Errors
    /// [`PkiError::NotWritten`]: it was issued all the same.
    pub fn write(&self, path: &Path) -> Result<(), CeremonyError> {
        let written = files::write_new(path, self.pem.as_bytes());
        written.map_err(|error| {
            PkiError::NotWritten {
                serial: self.serial,
                why: error.to_string(),
            }
            .into()
        })
    }
}

/// Refuses an output path whose folder does not exist, before a certificate is issued for it.
///
/// # Errors
/// [`CeremonyError::Io`]
pub fn check_out(path: &Path) -> Result<(), CeremonyError> {
    files::check_folder_of(path)
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
    renews: Option<Serial>,
    revokes: Vec<(Serial, Reason)>,
}

impl Authority {
    /// A certificate for a device. The same request for the same device gives the same
    /// certificate again, so that a run that broke off can be repeated.
    ///
    /// # Errors
    /// [`PkiError`], with what to do.
    pub fn issue(
        &mut self,
        device: &DeviceId,
        request: &Request,
        existing: Existing,
        valid: Span,
        now: UtcTime,
        secrets: &Secrets,
    ) -> Result<Issued, CeremonyError> {
        self.check_clock(now)?;
        let plan = self.plan(device, request, existing, now)?;
        self.carry_out(plan, valid, now, secrets)
    }

    /// A certificate for a server. Servers share names and change keys as they like, so nothing
    /// that was issued before is in the way.
    ///
    /// # Errors
    /// [`PkiError`], with what to do.
    pub fn issue_server(
        &mut self,
        names: &ServerNames,
        request: &Request,
        valid: Span,
        now: UtcTime,
        secrets: &Secrets,
    ) -> Result<Issued, CeremonyError> {
        self.check_clock(now)?;
        let subject = Subject::Server(names.clone());
        self.check_key(&subject, request, now)?;
        let order = Order {
            subject,
            key: request.key().clone(),
            renews: None,
            revokes: Vec::new(),
        };
        self.carry_out(Plan::Sign(order), valid, now, secrets)
    }

    /// The next certificate for the device that has the one in `old`, for the same key or a new
    /// one. The old one stays valid until it ends.
    ///
    /// # Errors
    /// [`PkiError`], with what to do.
    pub fn renew(
        &mut self,
        old: &Path,
        request: &Request,
        valid: Span,
        now: UtcTime,
        secrets: &Secrets,
    ) -> Result<Issued, CeremonyError> {
        self.check_clock(now)?;
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
        let plan = match next.filter(|next| next.status(now) == Status::Valid) {
            Some(next) if next.key == request.key().hash() => Plan::Have(next.serial),
            Some(next) => {
                let by = next.serial;
                return Err(PkiError::Renewed { serial, by }.into());
            }
            None => Plan::Sign(Order {
                subject,
                key: request.key().clone(),
                renews: Some(serial),
                revokes: Vec::new(),
            }),
        };
        self.carry_out(plan, valid, now, secrets)
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
            subject,
            key: request.key().clone(),
            renews: None,
            revokes,
        }))
    }

    /// One key has one holder, and a stolen key none.
    fn check_key(
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

    fn carry_out(
        &mut self,
        plan: Plan,
        valid: Span,
        now: UtcTime,
        secrets: &Secrets,
    ) -> Result<Issued, CeremonyError> {
        match plan {
            Plan::Have(serial) => self.have(serial),
            Plan::Sign(order) => {
                self.check_span(valid, now)?;
                let key = self.unlock(secrets)?;
                let issued = self.commit(vec![order], valid, now, &key)?;
                let issued = issued.into_iter().next();
                issued.ok_or_else(|| PkiError::Produced("it is missing").into())
            }
        }
    }

    /// A certificate that exists.
    pub(crate) fn have(&self, serial: Serial) -> Result<Issued, CeremonyError> {
        let (entry, pem) = self.find(serial)?;
        Ok(Issued {
            serial,
            subject: entry.subject.clone(),
            not_before: entry.not_before,
            not_after: entry.not_after,
            fresh: false,
            pem,
        })
    }

    /// A certificate does not outlive its CA. It is not cut short in silence either.
    pub(crate) fn check_span(&self, valid: Span, now: UtcTime) -> Result<Validity, PkiError> {
        let ca = self.certificate.validity;
        let validity = Validity::starting(now, valid, Some(ca.not_before));
        match validity.not_after <= ca.not_after {
            true => Ok(validity),
            false => Err(PkiError::OutlivesCa {
                not_after: validity.not_after,
                ca: ca.not_after,
            }),
        }
    }

    /// Signs a group of certificates. First their serials are durable, then they are signed and
    /// read back, then they are durable in the index, and only then does the caller see them.
    /// Two of one group must not be about the same device or key.
    pub(crate) fn commit(
        &mut self,
        orders: Vec<Order>,
        valid: Span,
        now: UtcTime,
        key: &CaKey,
    ) -> Result<Vec<Issued>, CeremonyError> {
        let validity = self.check_span(valid, now)?;
        let serials = self.reserve(&orders, now)?;
        crash::point();
        let mut records = Vec::new();
        let mut signed = Vec::new();
        for (order, serial) in orders.into_iter().zip(serials) {
            let pem = self.sign(&order, serial, validity, key)?;
            let Validity {
                not_before,
                not_after,
            } = validity;
            records.push(Record::Issued {
                at: now,
                serial,
                subject: order.subject.clone(),
                key: order.key.hash(),
                not_before,
                not_after,
                renews: order.renews,
                certificate: pem.clone(),
            });
            signed.push(Issued {
                serial,
                subject: order.subject,
                not_before,
                not_after,
                fresh: true,
                pem,
            });
        }
        self.index.append(records)?;
        crash::point();
        Ok(signed)
    }

    /// Serials that nobody else gets, and the revocations that make room: if the run ends here,
    /// the next one issues without them.
    fn reserve(&mut self, orders: &[Order], now: UtcTime) -> Result<Vec<Serial>, CeremonyError> {
        let mut serials = Vec::new();
        while serials.len() < orders.len() {
            let serial = Serial::random()?;
            if !self.index.is_known(serial) && !serials.contains(&serial) {
                serials.push(serial);
            }
        }
        let mut records = vec![Record::Reserved {
            at: now,
            serials: serials.clone(),
        }];
        let revokes = orders.iter().flat_map(|order| &order.revokes);
        records.extend(revokes.map(|(serial, reason)| Record::Revoked {
            at: now,
            serial: *serial,
            reason: *reason,
        }));
        self.index.append(records)?;
        Ok(serials)
    }

    fn sign(
        &self,
        order: &Order,
        serial: Serial,
        validity: Validity,
        key: &CaKey,
    ) -> Result<String, CeremonyError> {
        let params = profile::end_entity(&order.subject, serial, validity)?;
        let issuer = self.certificate.issuer(key)?;
        let signed = key.run(|_| params.signed_by(order.key.spki(), &issuer))?;
        let expected = Expected {
            ca: &self.certificate.parse()?,
            serial,
            subject: &order.subject,
            key: order.key.hash(),
            validity,
        };
        profile::check(signed.der(), &expected)?;
        Ok(signed.pem())
    }
}
