//! Making a key, or opening one, and proving that its holder has it.

use std::path::Path;

use countersign_metadata::PublicKey;
use countersign_repo::keys::{self, KeyJson, redact};
use countersign_signing::{Algorithm, KeyUri, SignError, Weakness};

use super::{Station, open};
use crate::clock;
use crate::error::CeremonyError;
use crate::exchange::{Invitation, Message, Proof};
use crate::files::{self, Existing};
use crate::next_root;
use crate::policy::{self, Finding, unaccepted};
use crate::portable;
use crate::profile::Accepted;
use crate::review::check_confirmation;
use crate::statement::{CustodyFacts, SignedStatement, Statement};

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
