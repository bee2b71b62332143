//! Reading what is to be signed, and signing it.

use std::path::Path;

use countersign_metadata::{Role, Root, Signed, Unsigned, UtcTime, Verified};
use countersign_repo::keys::redact;
use countersign_signing::Signer;

use super::{Station, open};
use crate::clock;
use crate::error::CeremonyError;
use crate::event::digest;
use crate::exchange::{MadeSignature, Message, Request, Signatures};
use crate::files::{self, Existing};
use crate::next_root;
use crate::policy::{self, Finding, unaccepted};
use crate::review::{Diff, check_confirmation, confirmation};
use crate::statement::Statement;
use crate::words::fingerprint;

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
