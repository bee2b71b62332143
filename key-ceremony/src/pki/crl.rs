//! Revocation lists (RFC 5280 5).

use std::fs::File;
use std::io::Read as _;
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
        check_older(out)?;
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
        self.check_crl(list.der())?;
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

    fn check_crl(&self, der: &[u8]) -> Result<(), PkiError> {
        let fail = |_| PkiError::Produced("the revocation list");
        let ca = self.certificate.parse()?;
        let (_, list) = CertificateRevocationList::from_der(der).map_err(|_| fail(()))?;
        list.verify_signature(ca.public_key())
            .map_err(|_| fail(()))?;
        match list.issuer().as_raw() == ca.subject().as_raw() {
            true => Ok(()),
            false => Err(fail(())),
        }
    }
}

/// What is replaced has to be a list, and not some other file with a name that was mistyped.
fn check_older(out: &Path) -> Result<(), CeremonyError> {
    if out.symlink_metadata().is_err() {
        return Ok(());
    }
    let mut begin = Vec::new();
    let label = b"-----BEGIN X509 CRL-----";
    let file = File::open(out).map(|file| file.take(label.len() as u64));
    let read = file.and_then(|mut file| file.read_to_end(&mut begin));
    read.map_err(|source| CeremonyError::io("read", out, source))?;
    match begin == label {
        true => Ok(()),
        false => Err(RepoError::AlreadyExists { path: out.into() }.into()),
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
