//! What a line of the transcript must be for the ceremony to go on.

use std::collections::{BTreeMap, BTreeSet};

use countersign_metadata::{KeyId, PublicKey, RoleType, UtcTime, Verified};

use super::{Ceremony, ProvedKey, Review, public_keys, refused};
use crate::clock;
use crate::error::CeremonyError;
use crate::event::digest;
use crate::next_root;
use crate::policy::{self, Finding, Weight, unaccepted};
use crate::profile::{Accepted, Slot};
use crate::root_role::RootRole;
use crate::statement::{SignedStatement, Statement, decode_hex};
use crate::words::fingerprint;

impl Ceremony {
    /// What the policy says of a proof.
    pub(crate) fn judge_proof(&self, proof: &SignedStatement) -> Vec<Finding> {
        let Statement::Possession {
            slot, key, custody, ..
        } = &proof.statement
        else {
            return Vec::new();
        };
        let Some((role, _, _)) = self.profile.slots().find(|(_, known, _)| known == slot) else {
            return Vec::new();
        };
        let mut findings = policy::check_custody(slot, self.profile.is_online(role), custody);
        let public = key.public();
        let previous = self.previous.as_ref().map(Verified::content);
        let same = |other: &PublicKey| Some(other) == public.as_ref();
        let old = |role: RootRole| {
            let key = public.as_ref();
            previous.is_some_and(|root| key.is_some_and(|key| role.has(root, key)))
        };
        if old(role) {
            findings.push(policy::old_key(slot));
        }
        // What the profile does not speak of stays in the Root.
        for other in RootRole::FURTHER {
            if self.profile.entries(other).is_none() && old(other) {
                findings.push(policy::shared_key(slot, &other));
            }
        }
        for (other, key) in self.known_keys() {
            if other != *slot && same(&key) {
                findings.push(policy::shared_key(slot, &other));
            }
        }
        let root = RoleType::Root.name();
        for (other, proved) in self.proved.iter().filter(|(other, _)| *other != slot) {
            if other.role == root && slot.role == root && proved.custody.home == custody.home {
                findings.push(policy::shared_home(slot, other, &custody.home));
            }
        }
        findings
    }

    pub(super) fn check_proof(
        &self,
        proof: &SignedStatement,
        findings: &[Finding],
        accepted: &[Accepted],
        time: UtcTime,
    ) -> Result<(Slot, ProvedKey), CeremonyError> {
        let Statement::Possession {
            ceremony,
            slot,
            key,
            custody,
            accepted: by_holder,
            time: theirs,
        } = &proof.statement
        else {
            return Err(refused("it is not a proof of possession"));
        };
        self.check_belongs(ceremony)?;
        if self.review.is_some() {
            return Err(self.wrong_phase("the keys are settled; plan again to change one"));
        }
        let known = self.profile.slots().find(|(_, known, _)| known == slot);
        let Some((_, _, entry)) = known.filter(|(_, _, key)| key.keyid.is_none()) else {
            return Err(CeremonyError::Refused(format!(
                "the profile asks for no key of {slot}"
            )));
        };
        let public = key.public().filter(|public| proof.holds(public));
        let Some(public) = public else {
            return Err(CeremonyError::Refused(format!(
                "the proof of {slot} is not signed with the key that it is about"
            )));
        };
        if let Some(wanted) = &entry.algorithm {
            next_root::check_algorithm(slot, wanted, &public)?;
        }
        if let Some(proved) = self.proved.get(slot) {
            let why = match proved.key == public {
                true => format!("{slot} has proved this key already"),
                false => format!("{slot} has proved another key already; plan again to change it"),
            };
            return Err(CeremonyError::Refused(why));
        }
        let known = self.known_keys();
        let twin = known
            .iter()
            .find(|(other, key)| other.role == slot.role && *key == public);
        if let Some((other, _)) = twin {
            return Err(CeremonyError::Refused(format!(
                "{slot} brings the key of {other}: one key counts once in a role, so the threshold \
                 would be a lie. Each holder makes a key of their own"
            )));
        }
        clock::check(
            &slot.holder,
            theirs,
            self.planned_at,
            time,
            self.tolerance(),
        )?;
        custody.check().map_err(CeremonyError::Refused)?;
        let found = self.judge_proof(proof);
        check_reasons(by_holder)?;
        check_accepted(accepted, &found)?;
        let all = [self.standing.as_slice(), accepted, by_holder.as_slice()].concat();
        check_policy(findings, &found, &all)?;
        let custody = custody.clone();
        let key = public;
        Ok((slot.clone(), ProvedKey { key, custody }))
    }

    pub(super) fn check_review(
        &self,
        payload: &str,
        words: &str,
        findings: &[Finding],
        accepted: &[Accepted],
        time: UtcTime,
    ) -> Result<Review, CeremonyError> {
        if self.review.is_some() {
            return Err(self.wrong_phase("it was reviewed already"));
        }
        let root = self.candidate()?;
        if root.to_payload() != payload {
            return Err(refused(
                "the reviewed root is not the one that the profile and the proofs make",
            ));
        }
        if fingerprint(payload.as_bytes()) != words {
            return Err(refused("the words are not those of the reviewed root"));
        }
        let previous = self.previous.as_ref().map(Verified::content);
        let found = policy::check_root(previous, &root, time);
        check_accepted(accepted, &found)?;
        let all = [self.standing.as_slice(), accepted].concat();
        check_policy(findings, &found, &all)?;
        Ok(Review {
            payload: payload.into(),
            root,
            line: String::new(),
            number: 0,
            time,
        })
    }

    pub(super) fn check_signature(
        &self,
        keyid: &str,
        sig: &str,
        statement: &SignedStatement,
        time: UtcTime,
    ) -> Result<(KeyId, Vec<u8>), CeremonyError> {
        let Some(review) = &self.review else {
            return Err(self.wrong_phase("nothing was reviewed yet, so nothing can be signed"));
        };
        let Statement::RootSignature {
            ceremony,
            review: line,
            payload,
            keyid: stated,
            time: theirs,
        } = &statement.statement
        else {
            return Err(refused("it is not a statement about a signature"));
        };
        self.check_belongs(ceremony)?;
        if *line != review.line || *payload != digest(review.payload.as_bytes()) {
            return Err(refused(
                "it was made for another review; ask for signatures with the newest request",
            ));
        }
        let keys = self.signing_keys();
        let found = keys.iter().find(|(id, _)| id.as_str() == keyid);
        let Some((id, key)) = found.filter(|_| stated == keyid) else {
            return Err(self.unexpected_key(keyid));
        };
        let signature = decode_hex(sig);
        let signature = signature.filter(|sig| key.verify(review.payload.as_bytes(), sig));
        let Some(signature) = signature.filter(|_| statement.holds(key)) else {
            return Err(CeremonyError::Refused(format!(
                "the signature of {} does not verify",
                self.describe(id)
            )));
        };
        if self.signatures.contains_key(id) {
            let why = format!("{} has signed already", self.describe(id));
            return Err(CeremonyError::Refused(why));
        }
        clock::check(
            &self.describe(id),
            theirs,
            review.time,
            time,
            self.tolerance(),
        )?;
        Ok((id.clone(), signature))
    }

    /// A signature by a key that was not to sign.
    fn unexpected_key(&self, keyid: &str) -> CeremonyError {
        let short: String = keyid.chars().take(16).collect();
        let left = self.root_keys().into_keys().find(|id| id.as_str() == keyid);
        CeremonyError::Refused(match left {
            Some(id) => format!(
                "this is signed by a key that leaves and was not to sign, {}: if it was lost, \
                 somebody has it. Find out who before you go on; if it may sign, plan again with it \
                 under roles.root.outgoing",
                self.describe(&id)
            ),
            None => {
                format!("key {short} is no root key, neither of the new root nor of the one before")
            }
        })
    }

    /// Whether participants vouch for the transcript up to now: keys of the new Root that signed
    /// it, as many as the profile wants and no more, so that none can be left out later.
    pub(super) fn check_seals(
        &self,
        seals: &[SignedStatement],
        root: &str,
        time: UtcTime,
    ) -> Result<Vec<KeyId>, CeremonyError> {
        let mut by: Vec<KeyId> = Vec::new();
        for seal in seals {
            let id = self.check_seal(seal, root, time)?;
            if by.contains(&id) {
                let who = self.describe(&id);
                return Err(CeremonyError::Refused(format!("{who} sealed it twice")));
            }
            by.push(id);
        }
        let needed = self.profile.policy.seal_signatures as usize;
        match by.len() == needed {
            true => Ok(by),
            false => Err(CeremonyError::Refused(format!(
                "the profile wants {needed} participants to sign the seal, and here are {}; give as \
                 many seals as it wants",
                by.len()
            ))),
        }
    }

    /// Whose seal it is, if it is one over the transcript up to now.
    pub(crate) fn check_seal(
        &self,
        seal: &SignedStatement,
        root: &str,
        time: UtcTime,
    ) -> Result<KeyId, CeremonyError> {
        let Statement::Seal {
            ceremony,
            transcript,
            root: sealed,
            keyid,
            time: theirs,
        } = &seal.statement
        else {
            return Err(refused("it is no seal"));
        };
        self.check_belongs(ceremony)?;
        if transcript != self.head() || sealed != root {
            return Err(refused(
                "it seals another state of the transcript: something was recorded since; ask for \
                 seals again with the request that 'seal' writes",
            ));
        }
        let keys = self.sealing_keys();
        let found = keys.iter().find(|(id, _)| id.as_str() == keyid);
        let Some((id, _)) = found.filter(|(_, key)| seal.holds(key)) else {
            return Err(refused(
                "it is not signed by a participant who signed the root with a key of the new root",
            ));
        };
        let who = self.describe(id);
        clock::check(&who, theirs, self.time, time, self.tolerance())?;
        Ok(id.clone())
    }

    /// The time of the last line: the later of the last seal and the line before, so that the
    /// participants vouch for it.
    pub(crate) fn time_of_seals(&self, seals: &[SignedStatement]) -> UtcTime {
        let times = seals.iter().filter_map(|seal| match &seal.statement {
            Statement::Seal { time, .. } => time.parse().ok(),
            _ => None,
        });
        times.fold(self.time, UtcTime::max)
    }

    /// The keys that may seal: those of the new Root that have signed it.
    pub fn sealing_keys(&self) -> BTreeMap<KeyId, PublicKey> {
        let next = self.review.as_ref().map(|review| &review.root);
        let keys = next.into_iter().flat_map(public_keys);
        keys.filter(|(id, _)| self.signatures.contains_key(id))
            .collect()
    }
}

/// What was recorded must be what the policy says, in whatever words, and be accepted where it
/// refuses: otherwise a lead could leave a warning out, and no reader would see it.
pub(super) fn check_policy(
    recorded: &[Finding],
    found: &[Finding],
    accepted: &[Accepted],
) -> Result<(), CeremonyError> {
    let stops: Vec<Finding> = unaccepted(found, accepted).into_iter().cloned().collect();
    if !stops.is_empty() {
        return Err(CeremonyError::Policy { findings: stops });
    }
    let all = |findings: &[Finding]| -> BTreeSet<(String, String, Weight)> {
        let owned = |(name, subject, weight): (&str, &str, Weight)| {
            (name.to_owned(), subject.to_owned(), weight)
        };
        findings
            .iter()
            .map(|finding| owned(finding.identity()))
            .collect()
    };
    match all(recorded) == all(found) {
        true => Ok(()),
        false => Err(refused("its findings are not those of the policy")),
    }
}

/// Whether each acceptance is of something that was found here.
fn check_accepted(accepted: &[Accepted], found: &[Finding]) -> Result<(), CeremonyError> {
    check_reasons(accepted)?;
    let idle = |entry: &&Accepted| !found.iter().any(|finding| finding.name == entry.finding);
    match accepted.iter().find(idle) {
        None => Ok(()),
        Some(entry) => Err(CeremonyError::Refused(format!(
            "it accepts {}, which was not found; leave that out",
            entry.finding
        ))),
    }
}

/// A finding is accepted for a reason, or not at all.
pub(super) fn check_reasons(accepted: &[Accepted]) -> Result<(), CeremonyError> {
    let checked = accepted.iter().try_for_each(Accepted::check);
    checked.map_err(CeremonyError::Refused)
}

/// What a holder's proof accepts.
pub(crate) fn by_holder(proof: &SignedStatement) -> &[Accepted] {
    match &proof.statement {
        Statement::Possession { accepted, .. } => accepted,
        _ => &[],
    }
}
