//! The lead's steps: plan, merge, review, seal.

use std::path::{Path, PathBuf};

use countersign_metadata::{Key, KeyId, Role, RoleType, Root, UtcTime, Verified};
use countersign_repo::keys::KeyJson;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::ceremony::{Ceremony, Phase, by_holder};
use crate::error::CeremonyError;
use crate::event::{Attachment, Event};
use crate::exchange::{Invitation, Message, Request, RequestedKey, SealRequest};
use crate::files::{self, Existing};
use crate::folder::{Folder, PREVIOUS, Record};
use crate::next_root::accept_previous;
use crate::policy;
use crate::profile::{Accepted, KeyProfile, Profile, Slot};
use crate::report;
use crate::review::{Diff, check_confirmation, confirmation};
use crate::root_role::RootRole;
use crate::statement::{SignedStatement, Statement};
use crate::words::{fingerprint, key_fingerprint};

/// The name of the request for signatures.
pub const REQUEST: &str = "requests/sign-root.json";
/// The name of the request for seals, which lies there while the ceremony is complete and open.
pub const SEAL_REQUEST: &str = "requests/seal.json";
/// The name of the printable report.
pub const REPORT: &str = "report.html";
const INVITATIONS: &str = "invitations";

/// What came of taking in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// A proof of possession.
    Proof {
        /// Of whose key.
        slot: Slot,
        /// The key's fingerprint in words, which its holder was shown.
        words: String,
        /// What of the policy was overridden for it, by the holder or now.
        accepted: Vec<Accepted>,
    },
    /// A signature, by whom.
    Signature(String),
    /// It had been taken in before.
    Known(String),
}

impl Folder {
    /// Begins a ceremony in a new folder and writes the invitations.
    ///
    /// `previous` is the file of the newest Root, if this is not the first.
    ///
    /// # Errors
    /// [`CeremonyError::Policy`], [`CeremonyError::Refused`], [`CeremonyError::Exists`]
    pub fn plan(
        path: &Path,
        profile: String,
        previous: Option<Vec<u8>>,
        accepted: Vec<Accepted>,
        now: UtcTime,
    ) -> Result<Self, CeremonyError> {
        let parsed = Profile::parse(&profile).map_err(CeremonyError::Refused)?;
        let before = previous.clone().map(accept_previous).transpose()?;
        let mut nonce = [0; 32];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| CeremonyError::Refused("the system has no randomness".into()))?;
        let event = Event::Planned {
            nonce: hex::encode(nonce),
            profile,
            previous: previous
                .as_deref()
                .map(|bytes| Attachment::new(PREVIOUS, bytes)),
            findings: policy::check_plan(&parsed, before.as_ref().map(Verified::content)),
            accepted,
            software: env!("CARGO_PKG_VERSION").into(),
        };
        let folder = Self::create(path, event, previous, now)?;
        folder.write_derived()?;
        Ok(folder)
    }

    /// Takes in a proof or signatures. What was taken in before is no error, so that an
    /// interrupted run can be repeated.
    ///
    /// # Errors
    /// [`CeremonyError::Exchange`], [`CeremonyError::Refused`], [`CeremonyError::Clock`], ...
    pub fn merge(
        &mut self,
        file: &Path,
        accepted: &[Accepted],
        now: UtcTime,
    ) -> Result<Vec<Merged>, CeremonyError> {
        let message = Message::read(file)?;
        let fail = |error: CeremonyError| match error {
            CeremonyError::Refused(why) => CeremonyError::Exchange {
                path: file.into(),
                why,
            },
            error => error,
        };
        let merged = match message {
            Message::Proof(proof) => {
                vec![self.merge_proof(proof.proof, accepted, now).map_err(fail)?]
            }
            Message::Signatures(made) => {
                let mut merged = Vec::new();
                for made in made.signatures {
                    let event = Event::Signed {
                        keyid: made.keyid,
                        sig: made.sig,
                        statement: made.statement,
                    };
                    merged.push(self.merge_signature(event, now).map_err(fail)?);
                }
                merged
            }
            Message::Seals(_) => {
                return Err(fail(CeremonyError::Refused(
                    "this is a file of seals, which is given to 'key-ceremony seal'".into(),
                )));
            }
            other => {
                return Err(fail(CeremonyError::Refused(format!(
                    "this is {}, which goes to a holder; what comes back from there is merged",
                    other.kind()
                ))));
            }
        };
        self.write_derived()?;
        Ok(merged)
    }

    /// What there is to review now: the next Root and its fingerprint in words.
    ///
    /// # Errors
    /// [`CeremonyError::Phase`] while keys are missing.
    pub fn next_root(&self) -> Result<(Root, Diff), CeremonyError> {
        let ceremony = self.ceremony();
        let root = match ceremony.review() {
            Some(review) => review.root.clone(),
            None => ceremony.candidate()?,
        };
        let diff = ceremony.diff(&root);
        Ok((root, diff))
    }

    /// Records that the next Root was reviewed, and writes the request for signatures.
    ///
    /// # Errors
    /// [`CeremonyError::Policy`], [`CeremonyError::NotConfirmed`], [`CeremonyError::OldRoot`]
    pub fn review(
        &mut self,
        root: &Root,
        accepted: Vec<Accepted>,
        confirmed: &str,
        now: UtcTime,
    ) -> Result<(), CeremonyError> {
        if self.ceremony().review().is_some() {
            return self.write_derived();
        }
        let payload = root.to_payload();
        let previous = self.ceremony().previous().map(Verified::content);
        check_confirmation(confirmed, &confirmation(root))?;
        let event = Event::Reviewed {
            words: fingerprint(payload.as_bytes()),
            findings: policy::check_root(previous, root, now),
            payload,
            accepted,
            confirmed: confirmed.into(),
        };
        self.append(event, now)?;
        self.write_derived()
    }

    /// What participants are asked to vouch for: the transcript up to now.
    ///
    /// # Errors
    /// [`CeremonyError::Missing`] below a threshold.
    pub fn seal_request(&self) -> Result<SealRequest, CeremonyError> {
        self.ceremony().root_file()?;
        Ok(seal_request(&crate::folder::read(self.path())?))
    }

    /// Who has to vouch for the transcript, with [`SEAL_REQUEST`].
    pub fn unsealed(&self) -> CeremonyError {
        let ceremony = self.ceremony();
        let sealing = ceremony.sealing_keys();
        CeremonyError::Unsealed {
            needed: ceremony.profile().policy.seal_signatures,
            who: sealing.keys().map(|id| ceremony.describe(id)).collect(),
            request: self.path().join(SEAL_REQUEST),
        }
    }

    /// Writes the new Root and closes the transcript.
    ///
    /// # Errors
    /// [`CeremonyError::Missing`] below a threshold, [`CeremonyError::Refused`]
    pub fn seal(&mut self, seals: Vec<SignedStatement>, now: UtcTime) -> Result<(), CeremonyError> {
        if self.ceremony().phase() < Phase::Sealed {
            let file = self.ceremony().root_file()?;
            let name = self.ceremony().root_name();
            let root = Attachment::new(name, &file);
            for seal in &seals {
                self.ceremony().check_seal(seal, &root.sha256, now)?;
            }
            if seals.len() < self.ceremony().profile().policy.seal_signatures as usize {
                self.write_derived()?;
                return Err(self.unsealed());
            }
            let time = self.ceremony().time_of_seals(&seals);
            self.append(Event::Sealed { root, seals }, time)?;
        }
        self.write_derived()
    }

    fn merge_proof(
        &mut self,
        proof: SignedStatement,
        accepted: &[Accepted],
        now: UtcTime,
    ) -> Result<Merged, CeremonyError> {
        let Statement::Possession { slot, key, .. } = &proof.statement else {
            return Err(CeremonyError::Refused(
                "it is not a proof of possession".into(),
            ));
        };
        self.ceremony().check_belongs(proof.statement.ceremony())?;
        let slot = slot.clone();
        let words = key
            .public()
            .map(|key| key_fingerprint(&Key::new(&key).id()));
        let known = self.ceremony().proved().get(&slot);
        if known.is_some_and(|known| Some(&known.key) == key.public().as_ref()) {
            return Ok(Merged::Known(slot.to_string()));
        }
        let findings = self.ceremony().judge_proof(&proof);
        let meant = |entry: &&Accepted| findings.iter().any(|found| found.name == entry.finding);
        let accepted: Vec<Accepted> = accepted.iter().filter(meant).cloned().collect();
        let overridden = [by_holder(&proof), &accepted].concat();
        let event = Event::Proved {
            findings,
            accepted,
            proof,
        };
        self.append(event, now)?;
        Ok(Merged::Proof {
            slot,
            words: words.unwrap_or_default(),
            accepted: overridden,
        })
    }

    fn merge_signature(&mut self, event: Event, now: UtcTime) -> Result<Merged, CeremonyError> {
        let Event::Signed {
            keyid, statement, ..
        } = &event
        else {
            return Err(CeremonyError::Refused("it is not a signature".into()));
        };
        let belongs = statement.statement.ceremony();
        self.ceremony().check_belongs(belongs)?;
        let id = KeyId::new(keyid.as_str())
            .map_err(|error| CeremonyError::Refused(error.to_string()))?;
        let name = self.ceremony().describe(&id);
        if self.ceremony().signed_by().any(|known| *known == id) {
            return Ok(Merged::Known(name));
        }
        self.append(event, now)?;
        Ok(Merged::Signature(name))
    }

    /// Writes what follows from the transcript: invitations, the request, the Root, the report.
    /// They may be deleted; the next command writes them again.
    ///
    /// # Errors
    /// [`CeremonyError::Io`]
    pub fn write_derived(&self) -> Result<(), CeremonyError> {
        for file in derived(&crate::folder::read(self.path())?) {
            self.write_one(Path::new(&file.name), &file.bytes)?;
        }
        match self.ceremony().is_complete() {
            true => Ok(()),
            false => files::remove(&self.path().join(SEAL_REQUEST)),
        }
    }

    fn write_one(&self, name: &Path, bytes: &[u8]) -> Result<(), CeremonyError> {
        let path: PathBuf = self.path().join(name);
        if let Some(folder) = path.parent() {
            files::make_folder(folder)?;
        }
        match files::read_if_there(&path, bytes.len() as u64) {
            Ok(Some(there)) if there == bytes => Ok(()),
            _ => files::write(&path, bytes, Existing::Replace),
        }
    }
}

/// Checks that the Root that a ceremony follows, or is to follow, is the newest one, which was
/// found in `place`.
///
/// # Errors
/// [`CeremonyError::OldRoot`]
pub fn check_newest(
    followed: Option<&[u8]>,
    newest: &[u8],
    place: &str,
) -> Result<(), CeremonyError> {
    let newest = accept_previous(newest.to_vec())?;
    let followed = followed.map(|bytes| accept_previous(bytes.to_vec()));
    let followed = followed.transpose()?;
    match followed.as_ref().map(Verified::payload) == Some(newest.payload()) {
        true => Ok(()),
        false => Err(CeremonyError::OldRoot {
            planned: followed.map_or(0, |root| root.content().version()),
            where_: place.into(),
            found: newest.content().version(),
        }),
    }
}

impl Ceremony {
    /// What `root` changes against the Root before, with the holders' names.
    pub fn diff(&self, root: &Root) -> Diff {
        let previous = self.previous().map(Verified::content);
        Diff::new(previous, root, |role, id, key| {
            Some(self.entry_of(role, id, key)?.holder.clone())
        })
    }
}

/// A file that follows from the transcript.
pub(crate) struct Derived {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// The line that it follows from.
    pub(crate) line: u64,
}

/// Every file that follows from the transcript.
pub(crate) fn derived(record: &Record) -> Vec<Derived> {
    let ceremony = &record.ceremony;
    let mut files = Vec::new();
    for invitation in invitations(ceremony) {
        files.push(Derived {
            name: format!("{INVITATIONS}/{}.json", invitation.slot.file_name()),
            bytes: Message::Invitation(invitation).to_file(),
            line: 1,
        });
    }
    if let Some((request, line)) = request(ceremony) {
        files.push(Derived {
            name: REQUEST.into(),
            bytes: Message::Request(Box::new(request)).to_file(),
            line,
        });
    }
    if ceremony.is_complete() {
        files.push(Derived {
            name: SEAL_REQUEST.into(),
            bytes: Message::SealRequest(Box::new(seal_request(record))).to_file(),
            line: ceremony.lines(),
        });
    }
    if let Some(sealed) = ceremony.sealed() {
        files.push(Derived {
            name: sealed.name.clone(),
            bytes: sealed.root.clone(),
            line: ceremony.lines(),
        });
        files.push(Derived {
            name: REPORT.into(),
            bytes: report::html(record).into_bytes(),
            line: ceremony.lines(),
        });
    }
    files
}

fn invitations(ceremony: &Ceremony) -> Vec<Invitation> {
    let profile = ceremony.profile();
    let slots = profile.slots().filter(|(_, _, key)| key.keyid.is_none());
    let invitation = |(role, slot, key): (RootRole, Slot, &KeyProfile)| Invitation {
        ceremony: ceremony.id().into(),
        name: profile.name.clone(),
        who: profile
            .holders
            .get(&slot.holder)
            .cloned()
            .unwrap_or_default(),
        algorithm: key.algorithm.clone(),
        uri: key.uri.clone(),
        online: profile.is_online(role),
        accepted: ceremony.standing().to_vec(),
        time: ceremony.planned_at().to_string(),
        clock_tolerance: tolerance(ceremony),
        slot,
    };
    slots.map(invitation).collect()
}

fn seal_request(record: &Record) -> SealRequest {
    let previous = record.ceremony.previous();
    SealRequest {
        transcript: record
            .lines
            .iter()
            .map(|line| format!("{}\n", line.to_text()))
            .collect(),
        previous: previous.map(|root| String::from_utf8_lossy(root.received()).into_owned()),
    }
}

fn request(ceremony: &Ceremony) -> Option<(Request, u64)> {
    let review = ceremony.review()?;
    let previous = ceremony.previous();
    let keys = ceremony.signing_keys().into_iter().map(|(id, key)| {
        let entry = ceremony.entry_of(RoleType::Root.into(), &id, Some(&key));
        let requested = RequestedKey {
            uri: entry.and_then(|entry| entry.uri.clone()),
            key: KeyJson::new(&key),
        };
        (id.as_str().to_owned(), requested)
    });
    let request = Request {
        ceremony: ceremony.id().into(),
        name: ceremony.profile().name.clone(),
        review: review.line.clone(),
        payload: review.payload.clone(),
        previous: previous.map(|root| String::from_utf8_lossy(root.received()).into_owned()),
        keys: keys.collect(),
        holders: ceremony.diff(&review.root).holders(),
        findings: ceremony.findings().to_vec(),
        accepted: ceremony.accepted().to_vec(),
        time: review.time.to_string(),
        clock_tolerance: tolerance(ceremony),
    };
    Some((request, review.number))
}

fn tolerance(ceremony: &Ceremony) -> u32 {
    let seconds = ceremony.profile().policy.clock_tolerance.seconds();
    u32::try_from(seconds).unwrap_or(u32::MAX)
}
