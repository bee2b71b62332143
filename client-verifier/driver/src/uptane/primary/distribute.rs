//! Time, metadata and images for every ECU (5.4.2.5 to 5.4.2.7): all prepare, then they activate.

use std::collections::BTreeMap;

use countersign_metadata::uptane::{EcuSerial, Nonce};
use countersign_verifier::{Code, Reject};

use super::manifest::Nothing;
use super::{Bundle, DirectorLink, EcuOutcome, Found, OwnEcu, Primary, Stop};
use crate::fetch::Fetcher;
use crate::store::Store;
use crate::uptane::keys::EcuSigner;
use crate::uptane::link::{
    Activated, Answer, LinkError, Mirror, Prepared, Refusal, Request, Source, VERSION,
};

/// Who answered at the beginning of a cycle, with which nonce.
pub(super) struct Greeted(BTreeMap<EcuSerial, Result<Nonce, EcuOutcome>>);

impl Greeted {
    /// The nonce of the ECU `own`, without which the Primary cannot tell the time.
    pub(super) fn nonce_of(&self, own: &EcuSerial) -> Result<Nonce, Reject> {
        let detail = match self.0.get(own) {
            Some(Ok(nonce)) => return Ok(*nonce),
            Some(Err(EcuOutcome::Refused(refusal))) => refusal.message.clone(),
            _ => String::from("the Primary's own ECU does not answer"),
        };
        Err(Reject::new(Code::PreconditionFailed, own.as_str(), detail))
    }

    pub(super) fn nonces(&self) -> impl Iterator<Item = Nonce> {
        self.0
            .values()
            .filter_map(|answer| answer.as_ref().ok().copied())
    }
}

impl<Fe, D, St, O, K> Primary<'_, Fe, D, St, O, K>
where
    Fe: Fetcher,
    D: DirectorLink,
    St: Store,
    O: OwnEcu,
    K: EcuSigner,
{
    /// Asks every ECU who it is, and for the nonce that the time shall answer.
    pub(super) fn greet(&mut self) -> Greeted {
        let serials = self.serials();
        let greeted = serials.into_iter().map(|serial| {
            let answer = self.greet_one(&serial);
            (serial, answer)
        });
        Greeted(greeted.collect())
    }

    fn greet_one(&mut self, serial: &EcuSerial) -> Result<Nonce, EcuOutcome> {
        let request = Request::Hello {
            version: VERSION,
            vin: self.parts.vin.clone(),
            primary: self.parts.serial.clone(),
        };
        let expected = match self.parts.secondaries.get(serial) {
            Some(member) => member.hardware_id.clone(),
            None => self.parts.hardware_id.clone(),
        };
        match self.call(serial, request, &mut Nothing) {
            Ok(Answer::Hello {
                serial: found,
                hardware_id,
                nonce,
                ..
            }) if found == *serial && hardware_id == expected => Ok(nonce),
            Ok(Answer::Hello {
                serial: found,
                hardware_id,
                ..
            }) => Err(EcuOutcome::Unreachable(format!(
                "ECU {found} ({hardware_id}) answers in the place of {serial} ({expected})"
            ))),
            other => Err(failed(other)),
        }
    }

    /// Lets every ECU prepare, and then those activate that may.
    pub(super) fn distribute(
        &mut self,
        found: &Found,
        greeted: Greeted,
    ) -> Result<BTreeMap<EcuSerial, EcuOutcome>, Stop> {
        let update = &found.update;
        let mut ecus = BTreeMap::new();
        let mut staged = Vec::new();
        for (serial, greeted) in greeted.0 {
            let outcome = match greeted {
                Err(outcome) => outcome,
                Ok(_) => match self.prepare(&serial, found) {
                    Ok(Prepared::Nothing) => EcuOutcome::Nothing,
                    Ok(Prepared::Staged) => {
                        staged.push(serial.clone());
                        EcuOutcome::Abandoned
                    }
                    Err(outcome) => outcome,
                },
            };
            ecus.insert(serial, outcome);
        }
        let named = |serial: &EcuSerial| {
            let mut images = update.images.iter();
            images.any(|directed| directed.ecu().serial == *serial)
        };
        let missing = ecus.iter().any(|(serial, outcome)| {
            let ready = matches!(outcome, EcuOutcome::Abandoned | EcuOutcome::Nothing);
            named(serial) && !ready
        });
        let request = match missing && self.parts.bundle == Bundle::AllOrNothing {
            true => {
                self.note_unreachable(&ecus)?;
                Request::Abandon {}
            }
            false => Request::Activate {
                targets_version: update.mark.version,
            },
        };
        // The Primary itself comes last: its new image may need a restart.
        staged.sort_by_key(|serial| *serial == self.parts.serial);
        for serial in staged {
            let outcome = match self.call(&serial, request.clone(), &mut Nothing) {
                Ok(Answer::Activated { image }) => match image {
                    Activated::Confirmed => EcuOutcome::Installed,
                    Activated::OnTrial => EcuOutcome::OnTrial,
                },
                Ok(Answer::Done {}) => EcuOutcome::Abandoned,
                other => failed(other),
            };
            ecus.insert(serial, outcome);
        }
        Ok(ecus)
    }

    /// The Director learns for whom the others wait.
    fn note_unreachable(&mut self, ecus: &BTreeMap<EcuSerial, EcuOutcome>) -> Result<(), Stop> {
        for (serial, outcome) in ecus {
            if let EcuOutcome::Unreachable(why) = outcome {
                let code = Code::SecondaryUnreachable;
                let reject = Reject::new(code, serial.as_str(), why.as_str());
                self.parts.own.note(&reject)?;
            }
        }
        Ok(())
    }

    fn prepare(&mut self, serial: &EcuSerial, found: &Found) -> Result<Prepared, EcuOutcome> {
        let request = Request::Prepare {
            offline: found.offline.clone(),
            attestation: found.attestation.clone(),
        };
        let mut mirror = Mirror::new(&mut self.parts.director_store, &mut self.parts.image_store);
        mirror.set_offline(found.offline.clone());
        for (name, path) in &found.files {
            mirror.add_image(name, path.clone());
        }
        let answer = match self.parts.secondaries.get_mut(serial) {
            Some(member) => member.link.call(request, &mut mirror),
            None => Ok(self.parts.own.respond(request, &mut mirror)),
        };
        match answer {
            Ok(Answer::Prepared { image, .. }) => Ok(image),
            other => Err(failed(other)),
        }
    }

    /// Whether there is nothing to try again: every ECU has the metadata, and those that were named
    /// have their new image or have failed to run it.
    pub(super) fn is_over(&self, ecus: &BTreeMap<EcuSerial, EcuOutcome>) -> bool {
        let final_refusal = |refusal: &Refusal| {
            [Code::InstallFailed, Code::NotConfirmed]
                .iter()
                .any(|code| code.number() == refusal.code)
        };
        ecus.values().all(|outcome| match outcome {
            EcuOutcome::Nothing | EcuOutcome::Installed => true,
            EcuOutcome::Refused(refusal) => final_refusal(refusal),
            // An image on trial may fall back, and is then tried once more.
            EcuOutcome::OnTrial | EcuOutcome::Unreachable(_) | EcuOutcome::Abandoned => false,
        })
    }

    fn call(
        &mut self,
        serial: &EcuSerial,
        request: Request,
        source: &mut dyn Source,
    ) -> Result<Answer, LinkError> {
        match self.parts.secondaries.get_mut(serial) {
            Some(member) => member.link.call(request, source),
            None => Ok(self.parts.own.respond(request, source)),
        }
    }

    fn serials(&self) -> Vec<EcuSerial> {
        let own = [self.parts.serial.clone()].into_iter();
        own.chain(self.parts.secondaries.keys().cloned()).collect()
    }
}

fn failed(answer: Result<Answer, LinkError>) -> EcuOutcome {
    match answer {
        Ok(Answer::Refused(refusal)) => EcuOutcome::Refused(refusal),
        Ok(_) => EcuOutcome::Unreachable("it answered something else than was asked".into()),
        Err(error) => EcuOutcome::Unreachable(error.to_string()),
    }
}
