//! The last step of a participant: to vouch for the transcript, on a machine of one's own.

use std::path::Path;

use countersign_metadata::{KeyId, Verified};
use countersign_repo::keys::redact;
use countersign_signing::Signer;

use crate::ceremony::{Ceremony, Phase};
use crate::clock;
use crate::conduct::check_newest;
use crate::error::CeremonyError;
use crate::event::digest;
use crate::exchange::{Message, SealRequest, Seals};
use crate::files::{self, Existing};
use crate::folder;
use crate::holder::{Station, open};
use crate::review::{check_confirmation, first_and_last};
use crate::statement::{SignedStatement, Statement};
use crate::words::fingerprint;

/// A request for a seal, with every line of its transcript checked here.
#[derive(Debug)]
pub struct ReadSealRequest {
    ceremony: Ceremony,
    root: Vec<u8>,
}

impl ReadSealRequest {
    /// Checks the transcript from its first line on.
    ///
    /// # Errors
    /// [`CeremonyError::Transcript`], [`CeremonyError::Missing`], [`CeremonyError::Phase`],
    /// [`CeremonyError::Clock`] if its last line is from the future.
    pub fn new(request: SealRequest, station: &Station<'_>) -> Result<Self, CeremonyError> {
        let previous = request.previous.map(String::into_bytes);
        let record = folder::replay(request.transcript.as_bytes(), previous)?;
        let ceremony = record.ceremony;
        if record.torn > 0 || ceremony.phase() == Phase::Sealed {
            return Err(ceremony.wrong_phase("there is nothing to seal in this request"));
        }
        clock::check_request(
            &ceremony.time().to_string(),
            station.now,
            ceremony.tolerance(),
        )?;
        let root = ceremony.root_file()?;
        Ok(Self { ceremony, root })
    }

    /// The ceremony, as far as it has come.
    pub fn ceremony(&self) -> &Ceremony {
        &self.ceremony
    }

    /// The fingerprint of the transcript's last line in words, and with it of all lines.
    pub fn words(&self) -> String {
        fingerprint(self.ceremony.head().as_bytes())
    }

    /// What has to be typed to seal.
    pub fn confirmation(&self) -> String {
        format!("seal {}", first_and_last(&self.words()))
    }

    /// What a participant reads before sealing.
    pub fn to_text(&self) -> String {
        let ceremony = &self.ceremony;
        let mut text = format!("{}\nceremony {}", ceremony.profile().name, ceremony.id());
        if let Some(review) = ceremony.review() {
            let words = fingerprint(review.payload.as_bytes());
            text.push_str(&format!("\n{}", ceremony.diff(&review.root).to_text()));
            text.push_str(&format!("\nfingerprint of the root: {words}"));
        }
        for id in ceremony.signed_by() {
            text.push_str(&format!("\nsigned by {}", ceremony.describe(id)));
        }
        for accepted in ceremony.accepted() {
            text.push_str(&format!(
                "\naccepted {}: {}",
                accepted.finding, accepted.reason
            ));
        }
        text.push_str(&format!(
            "\nfingerprint of the transcript, {} lines: {}",
            ceremony.lines(),
            self.words()
        ));
        text
    }

    /// Checks that the ceremony follows the Root that the participant has as the newest known.
    ///
    /// # Errors
    /// [`CeremonyError::OldRoot`]
    pub fn check_known(&self, newest: &[u8], place: &str) -> Result<(), CeremonyError> {
        let previous = self.ceremony.previous().map(Verified::received);
        let followed = previous.map(|bytes| bytes.to_vec());
        check_newest(followed.as_deref(), newest, place)
    }

    /// Seals with each of `uris`.
    ///
    /// # Errors
    /// [`CeremonyError::NotConfirmed`], [`CeremonyError::WrongKey`], [`CeremonyError::Sign`]
    pub fn seal(
        &self,
        station: &Station<'_>,
        uris: &[String],
        confirmed: &str,
    ) -> Result<Vec<SignedStatement>, CeremonyError> {
        check_confirmation(confirmed, &self.confirmation())?;
        let mut seals: Vec<(KeyId, SignedStatement)> = Vec::new();
        for uri in uris {
            let signer = open(station, uri)?;
            let id = self.id_of(uri, &*signer)?;
            if !seals.iter().any(|(known, _)| *known == id) {
                let statement = Statement::Seal {
                    ceremony: self.ceremony.id().into(),
                    transcript: self.ceremony.head().into(),
                    root: digest(&self.root),
                    keyid: id.as_str().into(),
                    time: station.now.to_string(),
                };
                seals.push((id, statement.sign(&*signer)?));
            }
        }
        Ok(seals.into_iter().map(|(_, seal)| seal).collect())
    }

    /// The id of a key that may seal.
    fn id_of(&self, uri: &str, signer: &dyn Signer) -> Result<KeyId, CeremonyError> {
        let keys = self.ceremony.sealing_keys();
        let found = keys.iter().find(|(_, key)| *key == signer.public_key());
        found.map(|(id, _)| id.clone()).ok_or_else(|| {
            let names = keys.keys().map(|id| self.ceremony.describe(id));
            CeremonyError::WrongKey {
                uri: redact(uri),
                found: signer.keyid().as_str().chars().take(16).collect(),
                wanted: self.why_not(signer),
                hint: format!(
                    "a participant who signed the root seals the transcript: {}",
                    names.collect::<Vec<_>>().join(", ")
                ),
            }
        })
    }

    fn why_not(&self, signer: &dyn Signer) -> String {
        let keys = self.ceremony.signing_keys();
        let found = keys.iter().find(|(_, key)| *key == signer.public_key());
        match found.map(|(id, _)| (id, self.ceremony.describe(id))) {
            None => "is no root key of this ceremony".into(),
            Some((id, who)) if self.ceremony.signed_by().any(|signed| signed == id) => {
                format!("is that of {who}, who leaves with this root")
            }
            Some((_, who)) => format!("is that of {who}, who has not signed this root"),
        }
    }
}

/// Whether seals of `ceremony` may be written to `out`: a file that is there is replaced only by an
/// interrupted run, repeated. To be asked before a token signs.
///
/// # Errors
/// [`CeremonyError::Exists`]
pub fn check_place(out: &Path, ceremony: &str) -> Result<(), CeremonyError> {
    let own = |there: &SignedStatement| there.statement.ceremony() == ceremony;
    match out.symlink_metadata().is_err() {
        true => Ok(()),
        false => match Message::read(out) {
            Ok(Message::Seals(there)) if there.seals.iter().all(own) => Ok(()),
            _ => Err(CeremonyError::Exists { path: out.into() }),
        },
    }
}

/// Writes seals to a file, which goes to the lead. Those of others are not written over.
///
/// # Errors
/// [`CeremonyError::Exists`], [`CeremonyError::Io`]
pub fn write_seals(out: &Path, seals: Vec<SignedStatement>) -> Result<(), CeremonyError> {
    let keys: Vec<Option<&str>> = seals.iter().map(key_of).collect();
    if let Ok(Message::Seals(there)) = Message::read(out)
        && !there.seals.iter().all(|seal| keys.contains(&key_of(seal)))
    {
        return Err(CeremonyError::Exists { path: out.into() });
    }
    let message = Message::Seals(Seals { seals });
    files::write(out, &message.to_file(), Existing::Replace)
}

fn key_of(seal: &SignedStatement) -> Option<&str> {
    match &seal.statement {
        Statement::Seal { keyid, .. } => Some(keyid),
        _ => None,
    }
}

/// Reads such a file.
///
/// # Errors
/// [`CeremonyError::Exchange`]
pub fn read_seals(path: &Path) -> Result<Vec<SignedStatement>, CeremonyError> {
    match Message::read(path)? {
        Message::Seals(seals) => Ok(seals.seals),
        other => Err(CeremonyError::Exchange {
            path: path.into(),
            why: format!("this is {}; a file of seals is needed here", other.kind()),
        }),
    }
}
