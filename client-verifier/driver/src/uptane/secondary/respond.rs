//! What an ECU answers to the requests of its Primary.

use countersign_verifier::uptane::{Installed, Mark};
use countersign_verifier::{Code, Reject, RemoteName};

use super::Secondary;
use crate::store::StoreError;
use crate::uptane::link::{
    Answer, FileReader, Prepared, Refusal, Repository, Request, Respond, Source, VERSION, Wanted,
    fetch_metadata,
};
use crate::uptane::primary::OwnEcu;
use crate::uptane::state::StateError;

/// What there is to prepare.
struct Order {
    /// The Offline Targets file, where all comes out of an offline bundle.
    offline: Option<String>,
    attestation: Option<Vec<u8>>,
}

impl Secondary {
    fn answer(&mut self, request: Request, source: &mut dyn Source) -> Result<Answer, Reject> {
        match request {
            Request::Hello { vin, .. } => {
                if vin != self.parts.vin {
                    let detail = format!("this ECU is in vehicle {}", self.parts.vin);
                    return Err(Reject::new(Code::VehicleMismatch, "", detail));
                }
                let nonce = self.begin()?;
                let ecu = &self.parts.ecu;
                Ok(Answer::Hello {
                    version: VERSION,
                    serial: ecu.serial.clone(),
                    hardware_id: ecu.hardware_id.clone(),
                    verification: self.parts.verification,
                    nonce,
                })
            }
            Request::Prepare {
                offline,
                attestation,
            } => {
                let order = Order {
                    offline,
                    attestation: Some(attestation).filter(|bytes| !bytes.is_empty()),
                };
                self.prepare(order, source)
            }
            Request::Activate { targets_version } => {
                let staged = self.staged();
                if staged.is_none_or(|mark| mark.version != targets_version) {
                    let detail = format!("nothing is staged under version {targets_version}");
                    return Err(Reject::new(Code::PreconditionFailed, "", detail));
                }
                let activated = self.activate();
                if let Err(reject) = &activated {
                    self.note_refusal(targets_version, reject)?;
                }
                let image = activated?;
                Ok(Answer::Activated { image })
            }
            Request::Abandon {} => {
                // The bytes stay: the next cycle checks them instead of getting them again.
                self.staged = None;
                Ok(Answer::Done {})
            }
            Request::Report {} => {
                // After a restart it is asked before anything else.
                self.settle()?;
                let report = self.report()?;
                Ok(Answer::Report { report })
            }
            Request::Acknowledge { report_counter } => {
                self.acknowledged(report_counter)?;
                Ok(Answer::Done {})
            }
        }
    }

    /// Steps 1 to 4. What is refused is in the next report.
    fn prepare(&mut self, order: Order, source: &mut dyn Source) -> Result<Answer, Reject> {
        let mut version = self.processed_version();
        let prepared = self.verify_and_stage(order, source, &mut version);
        if let Err(reject) = &prepared {
            self.note_refusal(version, reject)?;
        }
        let image = prepared?;
        Ok(Answer::Prepared {
            targets_version: version,
            image,
        })
    }

    fn verify_and_stage(
        &mut self,
        order: Order,
        source: &mut dyn Source,
        version: &mut u64,
    ) -> Result<Prepared, Reject> {
        // What was staged before holds no longer: it is verified anew.
        self.staged = None;
        self.settle()?;
        let mut fetch = |repository: Repository, name: &RemoteName, max_len| {
            fetch_metadata(source, repository, name, max_len)
                .map_err(|error| error.to_reject().at(repository.name()))
        };
        let followed = self.follow_root(&mut fetch)?;
        match (order.attestation, &order.offline) {
            (None, Some(_)) => self.recall_time(&followed)?,
            (attestation, _) => self.learn_time(&followed, attestation)?,
        }
        let done = self.state().processed().copied();
        let verified = match order.offline {
            Some(name) => self.verify_carried(followed, &name, &mut fetch)?,
            None => self.verify(followed, done, &mut fetch)?,
        };
        let mark = verified.mark;
        *version = mark.version;
        let wanted = verified.image.filter(|directed| !self.runs(directed));
        let Some(directed) = wanted.filter(|_| done != Some(mark)) else {
            return self.nothing(mark);
        };
        let name = directed.content_name()?;
        let (length, _) = directed.download();
        let mut reader = FileReader::new(source, Wanted::Image { name }, length);
        self.stage(&directed, mark, &mut reader)?;
        Ok(Prepared::Staged)
    }

    fn nothing(&mut self, mark: Mark) -> Result<Prepared, Reject> {
        self.abandon()?;
        self.change(|state| {
            state.processed_to_the_end(mark);
            Ok(())
        })?;
        Ok(Prepared::Nothing)
    }
}

impl Respond for Secondary {
    fn respond(&mut self, request: Request, source: &mut dyn Source) -> Answer {
        match self.answer(request, source) {
            Ok(answer) => answer,
            Err(reject) => Answer::Refused(Refusal::from(&reject)),
        }
    }
}

/// For a Primary, whose own ECU this may be.
impl OwnEcu for Secondary {
    fn note(&mut self, reject: &Reject) -> Result<(), StoreError> {
        let version = self.processed_version();
        let noted = self.parts.state.change(|state| {
            state.reports_mut().refused(version, reject);
            Ok(())
        });
        match noted {
            Err(StateError::Store(error)) => Err(error),
            // Nothing else can come of a note.
            _ => Ok(()),
        }
    }

    fn installed(&self) -> Option<Installed> {
        self.state().installed(&self.parts.ecu.hardware_id).cloned()
    }
}
