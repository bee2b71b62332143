//! Signing what is staged with the keys that are here.

use std::collections::BTreeMap;

use countersign_metadata::{KeyId, PublicKey, RoleType, Signed, Targets, Unsigned};

use crate::batch::Batch;
use crate::error::{RepoError, renew};
use crate::keyring::Availability;
use crate::keys::{is_uri, parse_uri};
use crate::repository::Repository;
use crate::requirements::{Outgoing, Requirement, Requirements};

/// What a run of signing did.
#[derive(Debug, Default)]
pub struct SignReport {
    /// Signatures made now.
    pub signed: Vec<Signature>,
    /// Keys that are named in `repo.toml` but could not be reached: key id and why.
    pub unreachable: Vec<(KeyId, String)>,
    /// What went wrong with keys that are there, by their URIs: a wrong PIN first of all.
    pub faults: BTreeMap<String, RepoError>,
    /// What is still missing, one line for each role; nothing means that all is signed.
    pub missing: Vec<String>,
    /// Staged files that are over, signed or not, one line for each with what to do.
    pub expired: Vec<String>,
    /// Whether anything is staged.
    pub staged: bool,
}

impl SignReport {
    /// Takes the first fault of a key, which explains better than anything why signatures lack.
    pub(crate) fn take_fault(&mut self) -> Result<(), RepoError> {
        self.faults
            .pop_first()
            .map_or(Ok(()), |(_, fault)| Err(fault))
    }
}

/// The keys that a run of signing is restricted to: URIs and what they open. None: no restriction.
pub(crate) type Only = BTreeMap<String, PublicKey>;

/// A signature made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The role whose file was signed.
    pub role: String,
    /// The key's id in the metadata.
    pub keyid: KeyId,
    /// The key's URI here.
    pub uri: String,
}

/// A file of any role, for signing and counting.
pub(crate) type AnyFile = Signed<Targets>;

impl Repository {
    /// Signs every staged file with the keys of `repo.toml`, or only with those of `only`, until
    /// thresholds are reached; `only` keys sign in any case. When all Targets roles are
    /// complete, Snapshot is derived from them and signed, then Timestamp.
    ///
    /// # Errors
    /// What went wrong with a key that is there, such as a wrong PIN, if signatures are missing
    /// in the end; all other keys have signed then. A key of `repo.toml` that is not there is no
    /// error; the report names it. A key of `only` must be there, and be asked for:
    /// [`RepoError::Key`], [`RepoError::NothingToSign`].
    pub fn sign(&mut self, only: &[String]) -> Result<SignReport, RepoError> {
        self.sign_with(only, Outgoing::Sign)
    }

    /// Signs as [`Repository::sign`] does, but only what a publish needs that treats outgoing keys
    /// like this: [`Outgoing::Lost`] does not ask them, even if they are here.
    ///
    /// # Errors
    /// As [`Repository::sign`].
    pub fn sign_for(&mut self, outgoing: Outgoing) -> Result<SignReport, RepoError> {
        self.sign_with(&[], outgoing)
    }

    fn sign_with(&mut self, only: &[String], outgoing: Outgoing) -> Result<SignReport, RepoError> {
        self.check_not_overtaken()?;
        let mut report = SignReport::default();
        let named = only.iter();
        let only: Only = named
            .map(|uri| Ok((uri.clone(), self.keys.open_named(&self.home, uri)?)))
            .collect::<Result<_, RepoError>>()?;
        if only.is_empty() {
            self.learn_keys(&mut report);
        }
        self.restage()?;
        let mut roles = self.drafts.targets_roles()?;
        if self.drafts.exists("root") {
            roles.insert(0, "root".into());
        }
        let requirements = self.requirements(outgoing)?;
        let mut batch = Batch::new(self.home.unfinished());
        for role in &roles {
            self.sign_draft(&mut batch, role, &requirements, &only, &mut report)?;
        }
        batch.finish()?;
        self.sign_online(&only, outgoing, &mut report)?;
        report.missing = self.missing(outgoing)?;
        report.expired = self.expired_drafts()?;
        report.staged = !self.drafts.roles()?.is_empty();
        self.keys.close();
        self.check_all_asked_for(&only)?;
        match report.missing.is_empty() {
            true => Ok(report),
            false => report.take_fault().map(|()| report),
        }
    }

    /// Somebody who names a key expects it to sign, so one that nothing asks for is a mistake.
    fn check_all_asked_for(&self, only: &Only) -> Result<(), RepoError> {
        let requirements = self.requirements(Outgoing::Sign)?;
        let mut asked: Vec<PublicKey> = Vec::new();
        let staged = self.drafts.roles()?;
        for role in &staged {
            for needed in requirements.of(role)? {
                asked.extend(needed.keys.into_values());
            }
        }
        match only.iter().find(|(_, key)| !asked.contains(key)) {
            None => Ok(()),
            Some((uri, _)) => Err(RepoError::NothingToSign {
                uri: uri.clone(),
                nothing_staged: staged.is_empty(),
            }),
        }
    }

    fn expired_drafts(&self) -> Result<Vec<String>, RepoError> {
        let mut lines = Vec::new();
        for role in self.drafts.roles()? {
            let header = self.draft_header(&role)?;
            if let Some(header) = header.filter(|header| header.expires <= self.now) {
                let (version, expires) = (header.version, header.expires);
                let remedy = renew(&role);
                lines.push(format!(
                    "{role} version {version} expired at {expires}; {remedy}"
                ));
            }
        }
        Ok(lines)
    }

    /// Stages what changes elsewhere make necessary: roles whose keys change need a new version.
    pub(crate) fn restage(&mut self) -> Result<(), RepoError> {
        self.restage_rekeyed()?;
        if !self.drafts.exists("targets") && self.must_reissue(RoleType::Targets, Outgoing::Sign)? {
            self.renew("targets")?;
        }
        Ok(())
    }

    pub(crate) fn sign_draft(
        &self,
        batch: &mut Batch,
        role: &str,
        requirements: &Requirements<'_>,
        only: &Only,
        report: &mut SignReport,
    ) -> Result<(), RepoError> {
        let Some(file) = self.drafts.signed::<Targets>(role)? else {
            return Ok(());
        };
        let needed = requirements.of(role)?;
        let made = self.signatures_for(role, &file, &needed, only, report)?;
        self.drafts.add_signatures(batch, role, made)
    }

    /// Signs a file with the keys that are here, for each requirement that is not met.
    pub(crate) fn signatures_for(
        &self,
        role: &str,
        file: &AnyFile,
        needed: &[Requirement],
        only: &Only,
        report: &mut SignReport,
    ) -> Result<Vec<(KeyId, Vec<u8>)>, RepoError> {
        let mut made: Vec<(KeyId, Vec<u8>)> = Vec::new();
        for requirement in needed {
            let tally = requirement.tally(file);
            let mut have = tally.valid.len();
            for keyid in tally.missing {
                if only.is_empty() && have >= tally.threshold as usize {
                    break;
                }
                if made.iter().any(|(id, _)| *id == keyid) {
                    have += 1;
                    continue;
                }
                let Some(key) = requirement.keys.get(&keyid) else {
                    continue;
                };
                let uri = match only.is_empty() {
                    true => self.uri_of(key),
                    false => uri_among(only, key),
                };
                // A key that failed is not asked again: a second wrong PIN may lock a token.
                let Some(uri) = uri.filter(|uri| !report.faults.contains_key(uri)) else {
                    continue;
                };
                let opened = match self.keys.open(&parse_uri(&uri)?, key) {
                    Ok(opened) => opened,
                    Err(fault) => {
                        report.faults.insert(uri, fault);
                        continue;
                    }
                };
                match opened {
                    Availability::Here(signer) => {
                        let signature = match signer.sign(file.payload().as_bytes()) {
                            Ok(signature) => signature,
                            Err(source) => {
                                let name = uri.clone();
                                let fault = RepoError::Key { uri: name, source };
                                report.faults.insert(uri, fault);
                                continue;
                            }
                        };
                        made.push((keyid.clone(), signature));
                        report.signed.push(Signature {
                            role: role.into(),
                            keyid,
                            uri,
                        });
                        have += 1;
                    }
                    Availability::NotNow(why) => {
                        if !report.unreachable.iter().any(|(id, _)| *id == keyid) {
                            report.unreachable.push((keyid, why));
                        }
                    }
                }
            }
        }
        Ok(made)
    }

    /// Whether nothing is staged for a role, or all its signatures are there.
    pub(crate) fn is_complete(
        &self,
        role: &str,
        requirements: &Requirements<'_>,
    ) -> Result<bool, RepoError> {
        let Some(file) = self.drafts.signed::<Targets>(role)? else {
            return Ok(true);
        };
        let needed = requirements.of(role)?;
        Ok(needed.iter().all(|requirement| requirement.is_met(&file)))
    }

    /// Signs a new file outside the drafts, by what is published alone.
    pub(crate) fn sign_now(
        &self,
        role: &str,
        payload: String,
        outgoing: Outgoing,
        report: &mut SignReport,
    ) -> Result<Vec<u8>, RepoError> {
        let needed = |outgoing| self.requirements(outgoing)?.without_staged().of(role);
        let (needed, lasting) = (needed(outgoing)?, needed(Outgoing::Lost)?);
        let mut file = Unsigned::new(payload);
        let unsigned =
            AnyFile::parse(file.to_file()).map_err(|error| RepoError::metadata(role, error))?;
        let only = Only::new();
        for (keyid, signature) in self.signatures_for(role, &unsigned, &needed, &only, report)? {
            file.add_signature(keyid, signature);
        }
        let signed =
            AnyFile::parse(file.to_file()).map_err(|error| RepoError::metadata(role, error))?;
        let mut missing = Vec::new();
        self.describe_missing(role, &signed, &needed, &mut missing);
        if missing.is_empty() {
            return Ok(file.to_file());
        }
        report.take_fault()?;
        match lasting.iter().all(|needed| needed.is_met(&signed)) {
            true => Err(self.outgoing_keys_error(role.into())?),
            false => Err(RepoError::Incomplete { missing }),
        }
    }

    /// Who must still sign, one line for each role and authority.
    pub(crate) fn missing(&self, outgoing: Outgoing) -> Result<Vec<String>, RepoError> {
        let requirements = self.requirements(outgoing)?;
        let mut lines = Vec::new();
        for role in self.drafts.roles()? {
            if let Some(file) = self.drafts.signed::<Targets>(&role)? {
                self.describe_missing(&role, &file, &requirements.of(&role)?, &mut lines);
            }
        }
        Ok(lines)
    }

    fn describe_missing(
        &self,
        role: &str,
        file: &AnyFile,
        needed: &[Requirement],
        lines: &mut Vec<String>,
    ) {
        for requirement in needed {
            let tally = requirement.tally(file);
            if tally.is_met() {
                continue;
            }
            let name = |id: &KeyId| {
                let uri = requirement.keys.get(id).and_then(|key| self.uri_of(key));
                match uri {
                    Some(uri) => format!("{} ({uri})", short(id)),
                    None => format!("{} (elsewhere)", short(id)),
                }
            };
            lines.push(format!(
                "{role}: {} of {} signatures of {}; can still sign: {}",
                tally.valid.len(),
                tally.threshold,
                requirement.by.text(),
                tally
                    .missing
                    .iter()
                    .map(name)
                    .collect::<Vec<_>>()
                    .join(", "),
            ));
        }
    }

    /// Learns the public halves of keys that were never used on this machine.
    fn learn_keys(&mut self, report: &mut SignReport) {
        let entries: Vec<String> = self.policy.all_keys().map(str::to_owned).collect();
        for entry in entries {
            if !is_uri(&entry) || self.keys.recall(&self.home, &entry).is_some() {
                continue;
            }
            match self.keys.resolve(&self.home, &entry) {
                Err(fault) if !fault.is_absent_key() => drop(report.faults.insert(entry, fault)),
                _ => {}
            }
        }
    }
}

fn uri_among(only: &Only, key: &PublicKey) -> Option<String> {
    let mut keys = only.iter();
    keys.find(|(_, named)| *named == key)
        .map(|(uri, _)| uri.clone())
}

/// Enough of a key id for people to tell keys apart.
pub(crate) fn short(id: &KeyId) -> String {
    id.as_str().chars().take(12).collect()
}
