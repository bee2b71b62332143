//! The holders' steps, each on a machine of its own: make and prove a key, read what is to be
//! signed, sign it.

use std::path::Path;

use countersign_metadata::{PublicKey, Role, Root, Signed, Unsigned, UtcTime, Verified};
use countersign_repo::keys::{self, KeyJson, redact};
use countersign_signing::{Algorithm, KeyUri, Secrets, SignError, Signer, Weakness};

use crate::clock;
use crate::error::CeremonyError;
use crate::event::digest;
use crate::exchange::{Invitation, MadeSignature, Message, Proof, Request, Signatures};
use crate::files::{self, Existing};
use crate::next_root;
use crate::policy::{self, Finding, unaccepted};
use crate::portable;
use crate::profile::Accepted;
use crate::review::{Diff, check_confirmation, confirmation};
use crate::statement::{CustodyFacts, SignedStatement, Statement};
use crate::words::fingerprint;

/// What a holder's step needs to know of its surroundings.
#[derive(Debug)]
pub struct Station<'a> {
    /// PINs and passphrases.
    pub secrets: &'a Secrets,
    /// The clock.
    pub now: UtcTime,
    /// Whether this machine is a CI machine.
    pub in_ci: bool,
}

/// Whether a key is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    /// Make it. It must not exist.
    Generate(Option<Algorithm>),
    /// It exists.
    Expect,
}

/// What a holder answers to an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Where the key is or is to be, if the holder says so.
    pub uri: Option<&'a str>,
    /// Whether it is to be made.
    pub existence: Existence,
    /// What of the policy the holder overrides, and why.
    pub accepted: Vec<Accepted>,
    /// What was typed to confirm: role and holder.
    pub confirmed: &'a str,
}

/// Makes or opens the key that `invitation` asks for, proves possession of it, and writes the
/// proof to `out`.
///
/// # Errors
/// [`CeremonyError::NotConfirmed`], [`CeremonyError::Sign`], [`CeremonyError::Policy`],
/// [`CeremonyError::Clock`], [`CeremonyError::Usage`]
pub fn prove(
    station: &Station<'_>,
    invitation: &Invitation,
    answer: Answer<'_>,
    out: &Path,
) -> Result<PublicKey, CeremonyError> {
    let uri = place_of_key(station, answer.uri, invitation)?;
    check_confirmation(answer.confirmed, &invitation.slot.to_string())?;
    let before = proof_there(out, invitation)?;
    let accepted = [invitation.accepted.as_slice(), &answer.accepted].concat();
    if let Existence::Generate(algorithm) = answer.existence {
        check_custody(invitation, &foreseen(station, uri), &accepted)?;
        generate(station, invitation, uri, algorithm, before.as_ref())?;
    }
    let signer = open(station, uri)?;
    let public = signer.public_key().clone();
    if let Some(wanted) = &invitation.algorithm {
        next_root::check_algorithm(&invitation.slot, wanted, &public)?;
    }
    let custody = CustodyFacts::new(&signer.custody(), station.in_ci);
    check_custody(invitation, &custody, &accepted)?;
    let statement = Statement::Possession {
        ceremony: invitation.ceremony.clone(),
        slot: invitation.slot.clone(),
        key: KeyJson::new(&public),
        custody,
        accepted: answer.accepted,
        time: station.now.to_string(),
    };
    let proof = statement.sign(&*signer)?;
    let message = Message::Proof(Proof { proof });
    files::write(out, &message.to_file(), Existing::Replace)?;
    Ok(public)
}

/// Where the key is, as the holder says, or else as the invitation asks; and whether the invitation
/// is one for now.
///
/// # Errors
/// [`CeremonyError::Clock`], [`CeremonyError::Usage`], [`CeremonyError::Refused`] if the invitation
/// names more than a key in a token.
pub fn place_of_key<'a>(
    station: &Station<'_>,
    given: Option<&'a str>,
    invitation: &'a Invitation,
) -> Result<&'a str, CeremonyError> {
    clock::check_request(&invitation.time, station.now, invitation.clock_tolerance)?;
    match (given, invitation.uri.as_deref()) {
        (Some(given), _) => Ok(given),
        (None, Some(asked)) => match portable::check_invited(asked) {
            Ok(()) => Ok(asked),
            Err(why) => Err(CeremonyError::Refused(format!("the invitation: {why}"))),
        },
        (None, None) => Err(CeremonyError::Usage(
            "the invitation does not say where the key is to be; name it with --key URI".into(),
        )),
    }
}

/// What is known of a key's custody before it is made: so that none is made that the policy refuses.
fn foreseen(station: &Station<'_>, uri: &str) -> CustodyFacts {
    let in_file = matches!(uri.parse(), Ok(KeyUri::File(_)));
    let weaknesses = in_file.then(|| Weakness::InFile.name().to_owned());
    CustodyFacts {
        kind: if in_file { "file" } else { "token" }.into(),
        home: String::new(),
        weaknesses: weaknesses.into_iter().collect(),
        in_ci: station.in_ci,
    }
}

fn check_custody(
    invitation: &Invitation,
    custody: &CustodyFacts,
    accepted: &[Accepted],
) -> Result<(), CeremonyError> {
    let found = policy::check_custody(&invitation.slot, invitation.online, custody);
    let stops: Vec<Finding> = unaccepted(&found, accepted).into_iter().cloned().collect();
    match stops.is_empty() {
        true => Ok(()),
        false => Err(CeremonyError::Policy { findings: stops }),
    }
}

/// A request as its reader may believe it: everything that it shows was derived here from the
/// bytes that are to be signed.
#[derive(Debug)]
pub struct ReadRequest {
    request: Request,
    previous: Option<Verified<Root>>,
    root: Root,
}

impl ReadRequest {
    /// Reads a request and checks it.
    ///
    /// # Errors
    /// [`CeremonyError::Exchange`] when it is not one, or contradicts itself.
    pub fn new(
        path: &Path,
        request: Request,
        station: &Station<'_>,
    ) -> Result<Self, CeremonyError> {
        clock::check_request(&request.time, station.now, request.clock_tolerance)?;
        let fail = |why: String| CeremonyError::Exchange {
            path: path.into(),
            why,
        };
        let root = decode(&request.payload).map_err(fail)?;
        let previous = match &request.previous {
            Some(text) => Some(next_root::accept_previous(text.clone().into_bytes())?),
            None => None,
        };
        let before = previous.as_ref().map_or(0, |root| root.content().version());
        if before.checked_add(1) != Some(root.version()) {
            return Err(fail(format!(
                "it asks for signatures on root version {}, which does not follow version {before}",
                root.version()
            )));
        }
        let known = previous.as_ref().map(Verified::content);
        next_root::check_nothing_hidden(known, &root).map_err(fail)?;
        Ok(Self {
            request,
            previous,
            root,
        })
    }

    /// What changes, and who is who as far as the request says.
    pub fn diff(&self) -> Diff {
        let previous = self.previous.as_ref().map(Verified::content);
        Diff::new(previous, &self.root, |_, id, _| {
            self.request.holders.get(id.as_str()).cloned()
        })
    }

    /// The Root that is to be signed.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The request as it was read.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// What the policy says: of the Root, as this machine finds, and what else the request tells.
    pub fn findings(&self, now: UtcTime) -> Vec<Finding> {
        let mut findings = self.own_findings(now);
        for told in &self.request.findings {
            if !findings
                .iter()
                .any(|found| found.identity() == told.identity())
            {
                findings.push(told.clone());
            }
        }
        findings
    }

    fn own_findings(&self, now: UtcTime) -> Vec<Finding> {
        let previous = self.previous.as_ref().map(Verified::content);
        policy::check_foreign_root(previous, &self.root, now)
    }

    /// The fingerprint in words, to be compared by voice.
    pub fn words(&self) -> String {
        fingerprint(self.request.payload.as_bytes())
    }

    /// What has to be typed to sign.
    pub fn confirmation(&self) -> String {
        confirmation(&self.root)
    }

    /// Checks that the Root that the holder has, as the newest known, is the one that is followed.
    ///
    /// # Errors
    /// [`CeremonyError::OldRoot`]
    pub fn check_known(&self, newest: Vec<u8>, place: &str) -> Result<(), CeremonyError> {
        let newest = next_root::accept_previous(newest)?;
        let same = |root: &Verified<Root>| root.payload() == newest.payload();
        match self.previous.as_ref().is_some_and(same) {
            true => Ok(()),
            false => Err(CeremonyError::OldRoot {
                planned: self.root.version().saturating_sub(1),
                where_: place.into(),
                found: newest.content().version(),
            }),
        }
    }

    /// Signs with each of `uris` and writes the signatures to `out`.
    ///
    /// # Errors
    /// [`CeremonyError::NotConfirmed`], [`CeremonyError::WrongKey`], [`CeremonyError::Sign`]
    pub fn sign(
        &self,
        station: &Station<'_>,
        uris: &[String],
        confirmed: &str,
        out: &Path,
    ) -> Result<Vec<String>, CeremonyError> {
        check_confirmation(confirmed, &self.confirmation())?;
        let found = self.own_findings(station.now);
        let stops = unaccepted(&found, &self.request.accepted);
        if !stops.is_empty() {
            let findings = stops.into_iter().cloned().collect();
            return Err(CeremonyError::Policy { findings });
        }
        check_place_of_signatures(out, &self.request.ceremony)?;
        let mut signatures: Vec<MadeSignature> = Vec::new();
        for uri in uris {
            let signer = open(station, uri)?;
            // A Root made elsewhere may list one key under two ids; each has a vote of its own Root.
            for id in self.ids_of(uri, &*signer)? {
                if !signatures.iter().any(|made| made.keyid == id) {
                    signatures.push(self.sign_with(station, &*signer, id)?);
                }
            }
        }
        keep_signatures(out, &signatures)?;
        let who = signatures.iter().map(|made| made.keyid.clone()).collect();
        let message = Message::Signatures(Signatures { signatures });
        files::write(out, &message.to_file(), Existing::Replace)?;
        Ok(who)
    }

    fn sign_with(
        &self,
        station: &Station<'_>,
        signer: &dyn Signer,
        keyid: String,
    ) -> Result<MadeSignature, CeremonyError> {
        let payload = self.request.payload.as_bytes();
        let sig = hex::encode(signer.sign(payload)?);
        let statement = Statement::RootSignature {
            ceremony: self.request.ceremony.clone(),
            review: self.request.review.clone(),
            payload: digest(payload),
            keyid: keyid.clone(),
            time: station.now.to_string(),
        };
        Ok(MadeSignature {
            statement: statement.sign(signer)?,
            keyid,
            sig,
        })
    }

    /// The ids under which a Root lists the key; who it is asked of is in the request.
    fn ids_of(&self, uri: &str, signer: &dyn Signer) -> Result<Vec<String>, CeremonyError> {
        let public = Some(signer.public_key());
        let asked = self.request.keys.iter();
        let same = asked.filter(|(_, key)| key.key.public().as_ref() == public);
        let ids: Vec<String> = same.map(|(id, _)| id.clone()).collect();
        if !ids.is_empty() {
            return Ok(ids);
        }
        let names = self.request.keys.keys().map(|id| {
            let short: String = id.chars().take(16).collect();
            match self.request.holders.get(id) {
                Some(holder) => format!("{holder} {short}"),
                None => short,
            }
        });
        let names: Vec<String> = names.collect();
        Err(CeremonyError::WrongKey {
            uri: redact(uri),
            found: signer.keyid().as_str().chars().take(16).collect(),
            wanted: "is not asked for".into(),
            hint: format!(
                "the keys that can sign are: {}. Is this the right token, and the right key in it?",
                names.join(", ")
            ),
        })
    }
}

/// Opens a key whatever its custody: the policy of the ceremony judges that.
///
/// # Errors
/// [`CeremonyError::Sign`], [`CeremonyError::Usage`]
pub fn open(station: &Station<'_>, uri: &str) -> Result<Box<dyn Signer>, CeremonyError> {
    let uri: KeyUri = uri.parse().map_err(SignError::Uri)?;
    Ok(countersign_signing::open(
        &uri.allowing_extractable(),
        station.secrets,
    )?)
}

/// Makes the key. One that is there already is taken for the result of an interrupted run only if it
/// has signed the proof that lies there.
fn generate(
    station: &Station<'_>,
    invitation: &Invitation,
    uri: &str,
    algorithm: Option<Algorithm>,
    proof: Option<&SignedStatement>,
) -> Result<(), CeremonyError> {
    let wanted = invitation.algorithm.as_deref().map(str::parse).transpose();
    let wanted = wanted.map_err(|error| CeremonyError::Usage(format!("{error}")))?;
    let algorithm = match (algorithm, wanted) {
        (Some(given), Some(wanted)) if given != wanted => {
            return Err(CeremonyError::Usage(format!(
                "the profile asks {} for a key of type {}, not {}; leave --algorithm out, or plan \
                 again",
                invitation.slot,
                wanted.name(),
                given.name()
            )));
        }
        (given, wanted) => given.or(wanted).unwrap_or(Algorithm::Ed25519),
    };
    match open(station, uri) {
        // The key's own signature says that it was made for this.
        Ok(there) if proof.is_some_and(|proof| proof.holds(there.public_key())) => Ok(()),
        Ok(there) => Err(CeremonyError::Refused(format!(
            "{} is a key already, {}, and keys are never overwritten. If an interrupted run made it \
             just now, or it is to stay, go on with 'key-ceremony prove'; to make a new one choose \
             another name with --key",
            redact(uri),
            there.keyid()
        ))),
        Err(CeremonyError::Sign(error)) if is_missing(&error) => {
            keys::generate(uri, algorithm, station.secrets)?;
            crate::crash::point();
            Ok(())
        }
        // Nobody is asked for a PIN twice, and no wrong one is tried a second time.
        Err(error) => Err(error),
    }
}

/// Whether everything is there but the key.
fn is_missing(error: &SignError) -> bool {
    match error {
        SignError::NoKey { .. } => true,
        SignError::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// The proof that is there already. Only the answer to the same question is replaced: that is an
/// interrupted run, repeated. Checked before a key is made.
fn proof_there(
    out: &Path,
    invitation: &Invitation,
) -> Result<Option<SignedStatement>, CeremonyError> {
    if out.symlink_metadata().is_err() {
        return Ok(None);
    }
    if let Ok(Message::Proof(Proof { proof })) = Message::read(out)
        && let Statement::Possession { ceremony, slot, .. } = &proof.statement
        && (ceremony, slot) == (&invitation.ceremony, &invitation.slot)
    {
        return Ok(Some(proof));
    }
    Err(CeremonyError::Exists { path: out.into() })
}

/// As for a proof. Checked before a token signs.
fn check_place_of_signatures(out: &Path, ceremony: &str) -> Result<(), CeremonyError> {
    if out.symlink_metadata().is_err() {
        return Ok(());
    }
    let own = |made: &MadeSignature| made.statement.statement.ceremony() == ceremony;
    match Message::read(out) {
        Ok(Message::Signatures(there)) if there.signatures.iter().all(own) => Ok(()),
        _ => Err(CeremonyError::Exists { path: out.into() }),
    }
}

/// Refuses to write over the signature of somebody else.
fn keep_signatures(out: &Path, new: &[MadeSignature]) -> Result<(), CeremonyError> {
    let Ok(Message::Signatures(there)) = Message::read(out) else {
        return Ok(());
    };
    let again = |old: &MadeSignature| new.iter().any(|made| made.keyid == old.keyid);
    match there.signatures.iter().all(again) {
        true => Ok(()),
        false => Err(CeremonyError::Exists { path: out.into() }),
    }
}

/// Decodes the payload; it must be in canonical form, or what is shown is not what is signed.
fn decode(payload: &str) -> Result<Root, String> {
    let file = Unsigned::new(payload.to_owned()).to_file();
    let signed = Signed::<Root>::parse(file).map_err(|error| error.to_string())?;
    if **signed.payload() != *payload {
        return Err("the payload is not in canonical form".into());
    }
    signed
        .decode_unverified()
        .map_err(|error| error.to_string())
}
