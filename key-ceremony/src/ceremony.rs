//! The ceremony as a state machine without I/O: a line of the transcript in, the next state or a
//! refusal out.
//!
//! Conducting a ceremony and checking its transcript years later go through the same
//! [`Ceremony::apply`]: what could not be recorded then does not verify now.

mod checks;

use std::collections::BTreeMap;
use std::fmt;

use countersign_metadata::{
    Authority, KeyId, PublicKey, Role, RoleType, Root, SignatureEntry, Signed, Unsigned, UtcTime,
    Verified,
};

pub(crate) use self::checks::by_holder;
use self::checks::{check_policy, check_reasons};
use crate::clock;
use crate::error::CeremonyError;
use crate::event::{Event, Line, digest};
use crate::next_root;
use crate::policy::{self, Finding};
use crate::profile::{Accepted, KeyProfile, Profile, Slot};
use crate::review::{check_confirmation, confirmation};
use crate::root_role::RootRole;
use crate::statement::CustodyFacts;

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
            findings: found,
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
            } => {
                let (slot, proved) = self.check_proof(proof, findings, accepted, time)?;
                self.accepted
                    .extend(by_holder(proof).iter().chain(accepted).cloned());
                self.findings.extend(self.judge_proof(proof));
                self.proved.insert(slot, proved);
            }
            Event::Reviewed {
                payload,
                words,
                findings,
                accepted,
                confirmed,
            } => {
                let review = self.check_review(payload, words, findings, accepted, time)?;
                check_confirmation(confirmed, &confirmation(&review.root))?;
                let previous = self.previous.as_ref().map(Verified::content);
                let found = policy::check_root(previous, &review.root, time);
                self.accepted.extend(accepted.iter().cloned());
                self.findings.extend(found);
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
                if time != self.time_of_seals(seals) {
                    return Err(refused("its time is not that of the last seal"));
                }
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

    /// What of the policy is accepted for the whole ceremony, by its plan.
    pub(crate) fn standing(&self) -> &[Accepted] {
        &self.standing
    }

    /// SHA-256 of the last line.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// When the last line was written.
    pub fn time(&self) -> UtcTime {
        self.time
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

    /// The keys that are to sign, by their ids: Root keys of the new Root, and those that leave but
    /// are listed as outgoing. A key that was lost and signs all the same is a finding, no help.
    pub fn signing_keys(&self) -> BTreeMap<KeyId, PublicKey> {
        let mut keys = self.root_keys();
        keys.retain(|id, key| {
            let entry = self.entry_of(RoleType::Root.into(), id, Some(key));
            let retired = &self.profile.roles.root.retired;
            entry.is_some_and(|entry| !retired.contains(entry))
        });
        keys
    }

    /// The Root keys of the new Root and of the one before.
    fn root_keys(&self) -> BTreeMap<KeyId, PublicKey> {
        let previous = self.previous.as_ref().map(Verified::content);
        let next = self.review.as_ref().map(|review| &review.root);
        let roots = previous.into_iter().chain(next);
        roots.flat_map(public_keys).collect()
    }

    /// What the profile says of a key of `role` in the new or the previous Root.
    pub(crate) fn entry_of(
        &self,
        role: RootRole,
        id: &KeyId,
        key: Option<&PublicKey>,
    ) -> Option<&KeyProfile> {
        self.profile
            .entries(role)?
            .all()
            .find(|entry| match &entry.keyid {
                // Only the key that is meant: another's id may begin alike.
                Some(_) => {
                    let previous = self.previous.as_ref().map(Verified::content);
                    entry
                        .resolve(previous, role)
                        .is_ok_and(|meant| meant == *id)
                }
                None => {
                    let slot = Slot::new(role, &entry.holder);
                    let proved = self.proved.get(&slot);
                    key.is_some() && proved.map(|proved| &proved.key) == key
                }
            })
    }

    /// The holder of a key that can sign the Root, as far as the profile says.
    pub fn signing_holder(&self, id: &KeyId) -> Option<&str> {
        let key = self.signing_keys().remove(id)?;
        let entry = self.entry_of(RoleType::Root.into(), id, Some(&key))?;
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
                method: None,
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

    /// Whether all signatures are there and nobody has vouched for the transcript yet.
    pub fn is_complete(&self) -> bool {
        self.sealed.is_none() && self.review.is_some() && self.root_file().is_ok()
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

    /// Seconds that clocks may be apart.
    pub(crate) fn tolerance(&self) -> u32 {
        u32::try_from(self.profile.policy.clock_tolerance.seconds()).unwrap_or(u32::MAX)
    }

    pub(crate) fn wrong_phase(&self, hint: &str) -> CeremonyError {
        CeremonyError::Phase {
            have: self.phase(),
            hint: hint.into(),
        }
    }
}

/// The Root keys of a Root, by their ids.
fn public_keys(root: &Root) -> impl Iterator<Item = (KeyId, PublicKey)> {
    let listed = root.roles.get(&RoleType::Root);
    let ids = listed.into_iter().flat_map(|role| &role.keyids);
    ids.filter_map(|id| Some((id.clone(), root.keys.get(id)?.public()?)))
}

fn refused(why: &str) -> CeremonyError {
    CeremonyError::Refused(why.into())
}
