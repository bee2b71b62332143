//! Revocation lists (RFC 5280 5).

use std::path::Path;

use countersign_metadata::UtcTime;
use countersign_repo::RepoError;
use countersign_repo::policy::Span;
use countersign_signing::Secrets;
use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::CeremonyError;

use super::authority::Authority;
use super::ca_key::encode;
use super::error::PkiError;
use super::files::{self, Durable};
use super::index::Entry;
use super::profile::since_1970;
use super::record::{Reason, Record};
use super::{limits, x509};

/// A revocation list that was written.
#[derive(Debug, Clone)]
pub struct CrlReport {
    /// Its number; each list has a higher one than all before (RFC 5280 5.2.3).
    pub number: u64,
    /// How many certificates it revokes.
    pub revoked: usize,
    /// When the next one is due.
    pub next_update: UtcTime,
}

impl Authority {
    /// Writes the next revocation list to `out`, in place of an older one.
    ///
    /// # Errors
    /// [`PkiError::IndexOlder`] if `out` is a list that the index does not know,
    /// [`PkiError::CaNotValid`], [`PkiError::Clock`], and what the key's home says.
    pub fn write_crl(
        &mut self,
        out: &Path,
        due: Span,
        now: UtcTime,
        secrets: &Secrets,
    ) -> Result<CrlReport, CeremonyError> {
        self.check_clock(now)?;
        files::check_folder_of(out)?;
        self.check_replaced(out)?;
        let key = self.unlock(secrets)?;
        let revoked: Vec<RevokedCertParams> = self
            .index
            .entries()
            .iter()
            .filter_map(|entry| self.listed(entry))
            .collect();
        let report = CrlReport {
            number: self.index.next_crl(),
            revoked: revoked.len(),
            next_update: due.after(now),
        };
        // The number is used up before a list with it can exist.
        self.index.append(vec![Record::Crl {
            at: now,
            number: report.number,
            next_update: report.next_update,
        }])?;
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(1970, 1, 1) + since_1970(now),
            next_update: date_time_ymd(1970, 1, 1) + since_1970(report.next_update),
            crl_number: SerialNumber::from(report.number),
            issuing_distribution_point: None,
            revoked_certs: revoked,
            key_identifier_method: KeyIdMethod::PreSpecified(self.certificate.key_id.clone()),
        };
        let issuer = self.certificate.issuer(&key)?;
        let list = key.run(|_| params.signed_by(&issuer))?;
        if self.own_list(list.der()) != Some((report.number, now)) {
            return Err(PkiError::Produced("the revocation list").into());
        }
        let pem = list.pem().map_err(|error| encode(&error))?;
        files::replace(out, pem.as_bytes(), Durable::Now)?;
        Ok(report)
    }

    /// A certificate stays on the list until one list that was made after its end has shown it
    /// (RFC 5280 3.3).
    fn listed(&self, entry: &Entry) -> Option<RevokedCertParams> {
        let revocation = entry.revoked?;
        if self
            .index
            .last_crl()
            .is_some_and(|last| entry.not_after < last)
        {
            return None;
        }
        Some(RevokedCertParams {
            serial_number: SerialNumber::from_slice(entry.serial.as_bytes()),
            revocation_time: date_time_ymd(1970, 1, 1) + since_1970(revocation.at),
            reason_code: reason(revocation.reason),
            invalidity_date: None,
        })
    }

    /// What is replaced has to be an earlier list of this CA, and not another file whose name was
    /// mistyped. A list that the index does not know was made from a newer index.
    fn check_replaced(&self, out: &Path) -> Result<(), CeremonyError> {
        if out.symlink_metadata().is_err() {
            return Ok(());
        }
        let bytes = files::read(out, limits::CRL, "a revocation list")?;
        let der = x509::der(&bytes, x509::CRL).unwrap_or_default();
        let Some((number, at)) = self.own_list(&der) else {
            return Err(RepoError::AlreadyExists { path: out.into() }.into());
        };
        let next = self.index.next_crl();
        match self.index.latest() {
            Some(latest) if number >= next || at > latest => Err(PkiError::IndexOlder {
                path: out.into(),
                number,
                at,
                known: next - 1,
                latest,
            }
            .into()),
            _ => Ok(()),
        }
    }

    /// The number of a list and when it was made, if this CA signed it.
    fn own_list(&self, der: &[u8]) -> Option<(u64, UtcTime)> {
        let ca = self.certificate.parse().ok()?;
        let (rest, list) = CertificateRevocationList::from_der(der).ok()?;
        list.verify_signature(ca.public_key()).ok()?;
        if !rest.is_empty() || list.issuer().as_raw() != ca.subject().as_raw() {
            return None;
        }
        let number = u64::try_from(list.crl_number()?).ok()?;
        Some((number, x509::time(list.last_update()).ok()?))
    }
}

/// RFC 5280 5.3.1: the code is absent rather than `unspecified`.
fn reason(reason: Reason) -> Option<RevocationReason> {
    match reason {
        Reason::Unspecified => None,
        Reason::KeyCompromise => Some(RevocationReason::KeyCompromise),
        Reason::AffiliationChanged => Some(RevocationReason::AffiliationChanged),
        Reason::Superseded => Some(RevocationReason::Superseded),
        Reason::CessationOfOperation => Some(RevocationReason::CessationOfOperation),
        Reason::PrivilegeWithdrawn => Some(RevocationReason::PrivilegeWithdrawn),
    }
}
