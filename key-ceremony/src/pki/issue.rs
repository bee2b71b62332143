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
use super::profile::{self, Expected, Validity};
use super::record::{Record, Serial};
use super::request::Request;
use super::rules::{Existing, Order, Plan};

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
        let plan = Plan::Sign(Order::new(subject, request));
        self.carry_out(plan, valid, now, secrets)
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
        let plan = self.plan_renewal(old, request, now)?;
        self.carry_out(plan, valid, now, secrets)
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
