//! The ceremony as a state machine without I/O: a line of the transcript in, the next state or a
//! refusal out.
//!
//! Conducting a ceremony and checking its transcript years later go through the same
//! [`Ceremony::apply`]: what could not be recorded then does not verify now.

use std::collections::BTreeMap;
use std::fmt;

use countersign_metadata::{
    Authority, KeyId, PublicKey, Role, RoleType, Root, SignatureEntry, Signed, Unsigned, UtcTime,
    Verified,
};

use crate::clock;
use crate::error::CeremonyError;
use crate::event::{Event, Line, digest};
use crate::next_root;
use crate::policy::{self, Finding, unaccepted};
use crate::profile::{Accepted, KeyProfile, Profile, Slot};
use crate::review::check_confirmation;
use crate::statement::{CustodyFacts, SignedStatement, Statement, decode_hex};
use crate::words::fingerprint;

/// Where a ceremony is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Keys are being made and proved.
    Planned,
    /// Every key is proved; the next Root can be reviewed.
    Keyed,
    /// The next Root is confirmed; nobody has signed it.
    Reviewed,
    /// Somebody has signed it.
    Signing,
    /// The Root file is written. Nothing can be added.
    Sealed,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Planned => "planned",
            Self::Keyed => "keyed",
            Self::Reviewed => "reviewed",
            Self::Signing => "signing",
            Self::Sealed => "sealed",
        })
    }
}

/// A ceremony, as far as it has come.
#[derive(Debug, Clone)]
pub struct Ceremony {
    id: String,
    profile: Profile,
    previous: Option<Verified<Root>>,
    planned_at: UtcTime,
    proved: BTreeMap<Slot, ProvedKey>,
    review: Option<Review>,
    signatures: BTreeMap<KeyId, Vec<u8>>,
    sealed: Option<Sealed>,
    findings: Vec<Finding>,
    accepted: Vec<Accepted>,
    /// Of `accepted`, what counts for the whole ceremony: what the plan says. A holder speaks for
    /// one key, and so does whoever takes in a proof.
    standing: Vec<Accepted>,
    head: String,
    lines: u64,
    time: UtcTime,
}

/// A key whose possession was proved.
#[derive(Debug, Clone)]
pub struct ProvedKey {
    /// The public half.
    pub key: PublicKey,
    /// How the private half is kept.
    pub custody: CustodyFacts,
}

/// The next Root, confirmed.
#[derive(Debug, Clone)]
pub struct Review {
    /// Its payload.
    pub payload: String,
    /// What it says.
    pub root: Root,
    /// SHA-256 of the transcript's line.
    pub line: String,
    /// The line's number.
    pub number: u64,
    /// When.
    pub time: UtcTime,
}

/// The end.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The new Root's file name.
    pub name: String,
    /// Its bytes.
    pub root: Vec<u8>,
    /// The ids of the keys that signed the seal.
    pub by: Vec<KeyId>,
}

impl Ceremony {
    /// Begins with the first line. `previous` is the file of the Root before, if there is one.
    ///
    /// # Errors
    /// [`CeremonyError`]
    pub fn begin(line: &Line, previous: Option<Vec<u8>>) -> Result<Self, CeremonyError> {
        let Event::Planned {
            profile,
            previous: named,
            accepted,
            findings,
            nonce,
            ..
        } = &line.event
        else {
            return Err(refused("the transcript does not begin with a plan"));
        };
        if line.line != 1 || line.previous != "0".repeat(64) {
            return Err(refused(
                "the first line is not numbered 1, or follows another",
            ));
        }
        if nonce.len() != 64 || hex::decode(nonce).is_err() {
            return Err(refused("the nonce is not 32 bytes in hexadecimal"));
        }
        let time = line.time().map_err(CeremonyError::Refused)?;
        let profile = Profile::parse(profile).map_err(CeremonyError::Refused)?;
        let previous = match (named, previous) {
            (None, None) => None,
            (Some(named), Some(bytes)) if named.sha256 == digest(&bytes) => {
                Some(next_root::accept_previous(bytes)?)
            }
            (Some(named), Some(_)) => {
                return Err(CeremonyError::Refused(format!(
                    "{} is not the file that the ceremony began with",
                    named.name
                )));
            }
            (Some(named), None) => {
                let why = format!("{}, which the ceremony began with, is missing", named.name);
                return Err(CeremonyError::Refused(why));
            }
            (None, Some(_)) => return Err(refused("the ceremony began without a previous root")),
        };
        next_root::check_profile_fits(&profile, previous.as_ref().map(Verified::content))?;
        let accepted = [profile.policy.accept.as_slice(), accepted.as_slice()].concat();
        check_reasons(&accepted)?;
        let found = policy::check_plan(&profile, previous.as_ref().map(Verified::content));
        check_policy(findings, &found, &accepted)?;
        Ok(Self {
            id: digest(line.to_text().as_bytes()),
            previous,
            planned_at: time,
            proved: BTreeMap::new(),
            review: None,
            signatures: BTreeMap::new(),
            sealed: None,
            findings: findings.clone(),
            standing: accepted.clone(),
            accepted,
            head: digest(line.to_text().as_bytes()),
            lines: 1,
            time,
            profile,
        })
    }

    /// Checks that `line` may come next, in full, and goes on to the state after it.
    ///
    /// # Errors
    /// [`CeremonyError`]; then nothing has changed.
    pub fn apply(&mut self, line: &Line) -> Result<(), CeremonyError> {
        if line.line != self.lines + 1 || line.previous != self.head {
            return Err(refused("it does not follow the line before it"));
        }
        let time = line.time().map_err(CeremonyError::Refused)?;
        clock::check_order(self.time, time)?;
        if self.phase() == Phase::Sealed {
            return Err(self.wrong_phase("it is sealed, so nothing can be added"));
        }
        match &line.event {
            Event::Planned { .. } => return Err(refused("a ceremony is planned once")),
            Event::Proved {
                proof,
                findings,
                accepted,
            } => self.apply_proof(proof, findings, accepted, time)?,
            Event::Reviewed {
                payload,
                words,
                findings,
                accepted,
                confirmed,
            } => {
                check_reasons(accepted)?;
                let review = self.check_review(payload, words, findings, accepted, time)?;
                check_confirmation(confirmed, &review.root)?;
                self.accepted.extend(accepted.iter().cloned());
                self.findings.extend(findings.iter().cloned());
                self.review = Some(Review {
                    line: digest(line.to_text().as_bytes()),
                    number: line.line,
                    ..review
                });
            }
            Event::Signed {
                keyid,
                sig,
                statement,
            } => {
                let (keyid, sig) = self.check_signature(keyid, sig, statement, time)?;
                self.signatures.insert(keyid, sig);
            }
            Event::Sealed { root, seals } => {
                let file = self.root_file()?;
                if root.name != self.root_name() || root.sha256 != digest(&file) {
                    return Err(refused("the sealed root is not the one that was signed"));
                }
                let by = self.check_seals(seals, &root.sha256, time)?;
                self.sealed = Some(Sealed {
                    name: root.name.clone(),
                    root: file,
                    by,
                });
            }
        }
        self.head = digest(line.to_text().as_bytes());
        self.lines = line.line;
        self.time = time;
        Ok(())
    }

    /// The line that would record `event` now.
    pub fn next_line(&self, event: Event, now: UtcTime) -> Line {
        Line {
            line: self.lines + 1,
            previous: self.head.clone(),
            time: now.to_string(),
            event,
        }
    }

    /// Where the ceremony is.
    pub fn phase(&self) -> Phase {
        match (&self.sealed, &self.review) {
            (Some(_), _) => Phase::Sealed,
            (None, Some(_)) if !self.signatures.is_empty() => Phase::Signing,
            (None, Some(_)) => Phase::Reviewed,
            (None, None) if self.unproved().next().is_none() => Phase::Keyed,
            (None, None) => Phase::Planned,
        }
    }

    /// The ceremony's id: SHA-256 of its first line, in hexadecimal.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The Root before.
    pub fn previous(&self) -> Option<&Verified<Root>> {
        self.previous.as_ref()
    }

    /// When it was planned.
    pub fn planned_at(&self) -> UtcTime {
        self.planned_at
    }

    /// The keys whose possession was proved.
    pub fn proved(&self) -> &BTreeMap<Slot, ProvedKey> {
        &self.proved
    }

    /// The confirmed Root.
    pub fn review(&self) -> Option<&Review> {
        self.review.as_ref()
    }

    /// The end.
    pub fn sealed(&self) -> Option<&Sealed> {
        self.sealed.as_ref()
    }

    /// Everything that the policy has said so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Everything of it that was accepted.
    pub fn accepted(&self) -> &[Accepted] {
        &self.accepted
    }

    /// SHA-256 of the last line.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// How many lines there are.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The places whose keys are not proved yet. Keys that stay need no proof.
    pub fn unproved(&self) -> impl Iterator<Item = Slot> {
        let open = |slot: &Slot| !self.proved.contains_key(slot);
        self.profile
            .slots()
            .filter(move |(_, slot, key)| key.keyid.is_none() && open(slot))
            .map(|(_, slot, _)| slot)
    }

    /// The next Root. Its time of validity begins with the last line, so that it is the same
    /// whenever it is looked at.
    ///
    /// # Errors
    /// [`CeremonyError::Phase`] while keys are missing, [`CeremonyError::Refused`]
    pub fn candidate(&self) -> Result<Root, CeremonyError> {
        let missing: Vec<String> = self.unproved().map(|slot| slot.to_string()).collect();
        if !missing.is_empty() {
            return Err(self.wrong_phase(&format!(
                "there is no proof of possession yet from {}. Take in their proofs with 'merge'; if \
                 a holder cannot come, plan again without them",
                missing.join(", ")
            )));
        }
        let keys: BTreeMap<Slot, PublicKey> = self
            .proved
            .iter()
            .map(|(slot, proved)| (slot.clone(), proved.key.clone()))
            .collect();
        let previous = self.previous.as_ref().map(Verified::content);
        next_root::build(&self.profile, previous, &keys, self.time)
    }

    /// Who may sign the next Root: its own keys and those of the Root before. Each authority has
    /// a threshold of its own (TUF 5.3.4).
    pub fn authorities(&self) -> Vec<Authority> {
        let previous = self.previous.as_ref().map(Verified::content);
        let next = self.review.as_ref().map(|review| &review.root);
        let roots = previous.into_iter().chain(next);
        roots
            .map(|root| root.claimed_authority(RoleType::Root))
            .collect()
    }

    /// The keys that may sign, by their ids.
    pub fn signing_keys(&self) -> BTreeMap<KeyId, PublicKey> {
        let previous = self.previous.as_ref().map(Verified::content);
        let next = self.review.as_ref().map(|review| &review.root);
        let mut keys = BTreeMap::new();
        for root in previous.into_iter().chain(next) {
            let listed = root.roles.get(&RoleType::Root);
            for id in listed.map_or(&[][..], |role| role.keyids.as_slice()) {
                if let Some(key) = root.keys.get(id).and_then(|key| key.public()) {
                    keys.insert(id.clone(), key);
                }
            }
        }
        keys
    }

    /// What the profile says of a key of `role` in the new or the previous Root.
    pub(crate) fn entry_of(
        &self,
        role: RoleType,
        id: &KeyId,
        key: Option<&PublicKey>,
    ) -> Option<&KeyProfile> {
        let entries = self.profile.role(role);
        let leaving = entries.outgoing.iter().chain(&entries.retired);
        entries
            .keys
            .iter()
            .chain(leaving)
            .find(|entry| match &entry.keyid {
                Some(start) => id.as_str().starts_with(start.as_str()),
                None => {
                    let slot = Slot {
                        role: role.name().into(),
                        holder: entry.holder.clone(),
                    };
                    let proved = self.proved.get(&slot);
                    key.is_some() && proved.map(|proved| &proved.key) == key
                }
            })
    }

    /// The holder of a key that can sign the Root, as far as the profile says.
    pub fn signing_holder(&self, id: &KeyId) -> Option<&str> {
        let key = self.signing_keys().remove(id)?;
        let entry = self.entry_of(RoleType::Root, id, Some(&key))?;
        Some(&entry.holder)
    }

    /// The keys that have signed.
    pub fn signed_by(&self) -> impl Iterator<Item = &KeyId> {
        self.signatures.keys()
    }

    /// The signed Root file; refuses below a threshold and says who is missing.
    ///
    /// # Errors
    /// [`CeremonyError::Phase`], [`CeremonyError::Missing`]
    pub fn root_file(&self) -> Result<Vec<u8>, CeremonyError> {
        let Some(review) = &self.review else {
            return Err(self.wrong_phase("nothing was reviewed yet; run 'review'"));
        };
        let entries: Vec<SignatureEntry> = self
            .signatures
            .iter()
            .map(|(keyid, signature)| SignatureEntry {
                keyid: keyid.clone(),
                signature: Some(signature.clone()),
            })
            .collect();
        for authority in self.authorities() {
            let tally = authority.tally(review.payload.as_bytes(), &entries);
            if !tally.is_met() {
                let missing = tally.missing.iter().map(|id| self.describe(id)).collect();
                return Err(CeremonyError::Missing {
                    missing,
                    hint: format!(
                        "{} of {} signatures are there; take in more with 'merge'",
                        tally.valid.len(),
                        tally.threshold
                    ),
                });
            }
        }
        let mut file = Unsigned::new(review.payload.clone());
        for (keyid, signature) in &self.signatures {
            file.add_signature(keyid.clone(), signature.clone());
        }
        let bytes = file.to_file();
        // The last word is the verifier's own rule.
        let signed = Signed::<Root>::parse(bytes.clone());
        let accepted = signed.and_then(|signed| match &self.previous {
            Some(previous) => previous.verify_next(signed),
            None => signed.verify_by_itself(),
        });
        accepted.map_err(|error| CeremonyError::Refused(error.to_string()))?;
        Ok(bytes)
    }

    /// The new Root's file name (TUF 4.3).
    pub fn root_name(&self) -> String {
        let version = self
            .review
            .as_ref()
            .map_or(0, |review| review.root.version());
        format!("{version}.root.json")
    }

    /// `anna (key 1a2b3c4d)`
    pub fn describe(&self, id: &KeyId) -> String {
        let short: String = id.as_str().chars().take(8).collect();
        match self.signing_holder(id) {
            Some(holder) => format!("{holder} (key {short})"),
            None => format!("the holder of key {short}"),
        }
    }

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
        let mut findings = policy::check_custody(&self.profile, role, slot, custody);
        let public = key.public();
        let previous = self.previous.as_ref().map(Verified::content);
        let same = |other: &PublicKey| Some(other) == public.as_ref();
        if previous.is_some_and(|root| lists(root, role, same)) {
            findings.push(policy::old_key(slot));
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

    fn apply_proof(
        &mut self,
        proof: &SignedStatement,
        findings: &[Finding],
        accepted: &[Accepted],
        time: UtcTime,
    ) -> Result<(), CeremonyError> {
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
        let all = [self.standing.as_slice(), accepted, by_holder.as_slice()].concat();
        check_reasons(&all)?;
        check_policy(findings, &self.judge_proof(proof), &all)?;
        self.accepted
            .extend(by_holder.iter().chain(accepted).cloned());
        self.findings.extend(findings.iter().cloned());
        let custody = custody.clone();
        let key = public;
        self.proved.insert(slot.clone(), ProvedKey { key, custody });
        Ok(())
    }

    fn check_review(
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
        let all = [self.standing.as_slice(), accepted].concat();
        let previous = self.previous.as_ref().map(Verified::content);
        check_policy(findings, &policy::check_root(previous, &root, time), &all)?;
        Ok(Review {
            payload: payload.into(),
            root,
            line: String::new(),
            number: 0,
            time,
        })
    }

    fn check_signature(
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
            return Err(CeremonyError::Refused(format!(
                "key {keyid} is no root key, neither of the new root nor of the one before"
            )));
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

    fn check_seals(
        &self,
        seals: &[SignedStatement],
        root: &str,
        time: UtcTime,
    ) -> Result<Vec<KeyId>, CeremonyError> {
        let keys = self.signing_keys();
        let mut by: Vec<KeyId> = Vec::new();
        for seal in seals {
            let expected = |keyid: &str| Statement::Seal {
                ceremony: self.id.clone(),
                transcript: self.head.clone(),
                root: root.into(),
                keyid: keyid.into(),
                time: time.to_string(),
            };
            let Statement::Seal { keyid, .. } = &seal.statement else {
                return Err(refused("it is not sealed by a seal"));
            };
            let signed = |id: &KeyId| self.signatures.contains_key(id) && !by.contains(id);
            let found = keys.iter().find(|(id, _)| id.as_str() == keyid);
            match found.filter(|(id, _)| signed(id)) {
                Some((id, key)) if seal.statement == expected(keyid) && seal.holds(key) => {
                    by.push(id.clone());
                }
                _ => {
                    return Err(refused(
                        "the seal is not signed over this transcript by participants who signed \
                         the root, each once",
                    ));
                }
            }
        }
        let needed = self.profile.policy.seal_signatures;
        match by.len() >= needed as usize {
            true => Ok(by),
            false => Err(CeremonyError::Refused(format!(
                "the profile wants {needed} participants to sign the seal, here are {}; name \
                 further keys with --key",
                by.len()
            ))),
        }
    }

    /// The keys of the next Root, as far as they are known: those that stay and those that were
    /// proved.
    fn known_keys(&self) -> Vec<(Slot, PublicKey)> {
        let previous = self.previous.as_ref().map(Verified::content);
        let kept = previous.map(|root| next_root::kept_keys(&self.profile, root));
        let proved = self.proved.iter();
        let proved = proved.map(|(slot, proved)| (slot.clone(), proved.key.clone()));
        kept.unwrap_or_default().into_iter().chain(proved).collect()
    }

    pub(crate) fn check_belongs(&self, ceremony: &str) -> Result<(), CeremonyError> {
        match ceremony == self.id {
            true => Ok(()),
            false => Err(refused(
                "it belongs to another ceremony; use the files that this one wrote",
            )),
        }
    }

    fn tolerance(&self) -> u32 {
        u32::try_from(self.profile.policy.clock_tolerance.seconds()).unwrap_or(u32::MAX)
    }

    pub(crate) fn wrong_phase(&self, hint: &str) -> CeremonyError {
        CeremonyError::Phase {
            have: self.phase(),
            hint: hint.into(),
        }
    }
}

/// What was recorded, and what this version would find, must both have been accepted.
fn check_policy(
    recorded: &[Finding],
    found: &[Finding],
    accepted: &[Accepted],
) -> Result<(), CeremonyError> {
    let mut stops: Vec<Finding> = Vec::new();
    for finding in [unaccepted(recorded, accepted), unaccepted(found, accepted)].concat() {
        if !stops.contains(finding) {
            stops.push(finding.clone());
        }
    }
    match stops.is_empty() {
        true => Ok(()),
        false => Err(CeremonyError::Policy { findings: stops }),
    }
}

/// A finding is accepted for a reason, or not at all.
fn check_reasons(accepted: &[Accepted]) -> Result<(), CeremonyError> {
    let checked = accepted.iter().try_for_each(Accepted::check);
    checked.map_err(CeremonyError::Refused)
}

fn lists(root: &Root, role: RoleType, same: impl Fn(&PublicKey) -> bool) -> bool {
    let authority = root.claimed_authority(role);
    authority.public_keys().into_iter().any(same)
}

fn refused(why: &str) -> CeremonyError {
    CeremonyError::Refused(why.into())
}
