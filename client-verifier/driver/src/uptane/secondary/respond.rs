//! What an ECU answers to the requests of its Primary.

use countersign_metadata::UtcTime;
use countersign_metadata::uptane::OfflineName;
use countersign_verifier::uptane::Installed;
use countersign_verifier::{Code, Reject, RemoteName};

use super::Secondary;
use crate::store::StoreError;
use crate::uptane::link::{
    Answer, FileReader, Prepared, Refusal, Repository, Request, Respond, Source, VERSION, Wanted,
    fetch_metadata,
};
use crate::uptane::primary::OwnEcu;
use crate::uptane::state::{Order, StateError};

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
                let attestation = Some(attestation).filter(|bytes| !bytes.is_empty());
                self.prepare(attestation, offline, source)
            }
            Request::Activate { targets_version } => {
                let staged = self.staged();
                let offline = staged.and_then(|order| order.offline.clone());
                if staged.is_none_or(|order| order.mark.version != targets_version) {
                    let detail = format!("nothing is staged under version {targets_version}");
                    return Err(Reject::new(Code::PreconditionFailed, "", detail));
                }
                let activated = self.activate();
                if let Err(reject) = &activated {
                    self.note_refusal(targets_version, offline.as_ref(), reject)?;
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
    fn prepare(
        &mut self,
        attestation: Option<Vec<u8>>,
        offline: Option<OfflineName>,
        source: &mut dyn Source,
    ) -> Result<Answer, Reject> {
        let mut version = match offline {
            None => self.processed_version(),
            Some(_) => 0,
        };
        let prepared = self.verify_and_stage(attestation, offline.as_ref(), source, &mut version);
        if let Err(reject) = &prepared {
            self.note_refusal(version, offline.as_ref(), reject)?;
        }
        let image = prepared?;
        Ok(Answer::Prepared {
            targets_version: version,
            image,
        })
    }

    fn verify_and_stage(
        &mut self,
        attestation: Option<Vec<u8>>,
        offline: Option<&OfflineName>,
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
        match (attestation, offline) {
            (None, Some(_)) => self.recall_time(&followed)?,
            (attestation, _) => self.learn_time(&followed, attestation)?,
        }
        let verified = self.verify(followed, offline, &mut fetch)?;
        let order = Order {
            mark: verified.mark,
            offline: offline.cloned(),
        };
        *version = order.mark.version;
        let wanted = verified.image.filter(|directed| !self.runs(directed));
        let done = self.state().is_processed(&order);
        let Some(directed) = wanted.filter(|_| !done) else {
            return self.nothing(order);
        };
        let name = directed.content_name()?;
        let (length, _) = directed.download();
        let mut reader = FileReader::new(source, Wanted::Image { name }, length);
        self.stage(&directed, order, &mut reader)?;
        Ok(Prepared::Staged)
    }

    fn nothing(&mut self, order: Order) -> Result<Prepared, Reject> {
        self.abandon()?;
        self.change(|state| {
            state.processed_to_the_end(order);
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
            state.reports_mut().refused(version, None, reject);
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

    fn time(&mut self) -> Option<UtcTime> {
        self.parts.host.time()
    }
}
