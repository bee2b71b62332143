//! An ECU that verifies in part (Uptane 5.4.4.1).

use alloc::string::ToString;
use alloc::vec::Vec;

use countersign_bare_metal_messages::{self as messages, Assigned, Cycle, Outcome};
use countersign_metadata::uptane::{EcuSerial, HardwareId, Mapping, Nonce, OfflineName, Vin};
use countersign_metadata::{Hashes, MetadataError, UtcTime, sha256};
use countersign_verifier::uptane::{
    Directed, Ecu, Installed, PartialSession, PartialStream, TimeFloor, attested_time,
    latest_attested,
};
use countersign_verifier::{Code, Context, FollowRoot, Followed, Limits, Reject};

use crate::host::Host;
use crate::line::{Line, misuse};
use crate::refused;

/// Its metadata is with the host, the rest is here.
pub(crate) struct SmallEcu {
    vin: Vin,
    ecu: Ecu,
    installed: Option<Installed>,
    /// SHA-256 of what was installed since the factory.
    runs: Option<[u8; 32]>,
    floor: Option<TimeFloor>,
    /// What the last cycle has found.
    found: Option<Directed>,
    chunk: Option<usize>,
}

impl SmallEcu {
    pub(crate) fn provisioned(ecu: messages::Ecu, host: &mut Host) -> Result<Self, Reject> {
        let malformed = |error: MetadataError| Reject::metadata("", error);
        let hardware_id = HardwareId::new(&ecu.hardware_id).map_err(malformed)?;
        let installed = ecu.installed.map(|installed| Installed {
            hardware_id: hardware_id.clone(),
            path: installed.path,
            release_counter: installed.release_counter,
            length: installed.length,
            hashes: Hashes {
                sha256: Some(installed.sha256),
                ..Hashes::default()
            },
        });
        host.provision(ecu.root);
        Ok(Self {
            vin: Vin::new(&ecu.vin).map_err(malformed)?,
            ecu: Ecu {
                serial: EcuSerial::new(&ecu.serial).map_err(malformed)?,
                hardware_id,
            },
            installed,
            runs: None,
            floor: None,
            found: None,
            chunk: ecu
                .chunk
                .and_then(|chunk| usize::try_from(chunk).ok())
                .filter(|chunk| *chunk > 0),
        })
    }

    pub(crate) fn cycle(&mut self, cycle: Cycle, host: &mut Host) -> Outcome {
        self.found = None;
        let outcome = self.verify(cycle, host);
        self.outcome(outcome)
    }

    fn verify(&mut self, cycle: Cycle, host: &mut Host) -> Result<(), Reject> {
        let mut line = Line {
            host,
            folder: "metadata",
            repository: Mapping::DIRECTOR,
        };
        let followed = line.drive(&mut FollowRoot::new(Limits::director(), Mapping::DIRECTOR))?;
        let now = self.time(&followed, &cycle)?;
        let context = Context {
            limits: Limits::director(),
            repository: Mapping::DIRECTOR.into(),
            ..Context::new(now)
        };
        let (vin, ecu) = (self.vin.clone(), self.ecu.clone());
        let offline = cycle.offline.as_deref().map(OfflineName::new).transpose();
        let offline = offline.map_err(|error| Reject::metadata("", error))?;
        if offline.is_some() {
            line.folder = "offline";
        }
        let partial = match (offline, self.chunk) {
            (None, None) => line.drive(&mut PartialSession::new(followed, vin, ecu, context)),
            (Some(name), None) => line.drive(&mut PartialSession::offline(
                followed, vin, ecu, name, context,
            )),
            (None, Some(chunk)) => {
                line.stream(PartialStream::new(followed, vin, ecu, context), chunk)
            }
            (Some(name), Some(chunk)) => {
                let session = PartialStream::offline(followed, vin, ecu, name, context);
                line.stream(session, chunk)
            }
        }?;
        // Whoever cannot say which image it is cannot ask the Primary for it.
        if let Some(directed) = &partial.image {
            directed.content_name()?;
        }
        self.found = partial.image;
        Ok(())
    }

    /// 5.4.4.3
    fn time(&mut self, followed: &Followed, cycle: &Cycle) -> Result<UtcTime, Reject> {
        let now = UtcTime::from_unix(cycle.now).ok_or_else(|| misuse("that is no time"))?;
        let at = |reject: Reject| reject.at(Mapping::DIRECTOR);
        if cycle.offline.is_some() && cycle.attestation.is_none() {
            let latest = latest_attested(followed, self.floor.as_ref()).map_err(at)?;
            return Ok(latest.unwrap_or(now));
        }
        // Without one of its own, an ECU draws a nonce that nothing given here can answer.
        let nonce = Nonce(cycle.nonce.unwrap_or_default());
        let attestation = cycle.attestation.clone();
        let attested =
            attested_time(followed, attestation, &nonce, self.floor.as_ref()).map_err(at)?;
        Ok(match attested {
            Some(attested) => {
                self.floor = Some(attested.floor);
                attested.now
            }
            None => now,
        })
    }

    pub(crate) fn install(&mut self, now: i64, image: Option<Vec<u8>>) -> Outcome {
        let outcome = self.gate(now, image);
        self.outcome(outcome)
    }

    /// 5.4.3.3 to 5.4.3.5
    fn gate(&mut self, now: i64, image: Option<Vec<u8>>) -> Result<(), Reject> {
        let now = UtcTime::from_unix(now).ok_or_else(|| misuse("that is no time"))?;
        let Some(directed) = &self.found else {
            return Ok(());
        };
        let image = image.ok_or_else(|| {
            let detail = "the Primary has not handed it over";
            Reject::new(Code::ImageMissing, "", detail).at(Mapping::IMAGE)
        })?;
        let mut stream = directed.open_image(&self.ecu, self.installed.as_ref(), now)?;
        if directed.encryption().is_some() {
            let detail = "this ECU has no decryption key";
            return Err(Reject::new(Code::PreconditionFailed, "targets", detail));
        }
        for piece in image.chunks(7) {
            stream.update(piece)?;
        }
        stream.finish()?;
        self.runs = Some(sha256(&image));
        self.installed = Some(Installed {
            hardware_id: self.ecu.hardware_id.clone(),
            path: directed.path().to_string(),
            release_counter: directed.release_counter(),
            length: directed.file().length,
            hashes: directed.file().hashes.clone(),
        });
        Ok(())
    }

    fn outcome(&self, outcome: Result<(), Reject>) -> Outcome {
        let assigned = self.found.iter().map(|directed| Assigned {
            ecu: directed.ecu().serial.to_string(),
            path: directed.path().to_string(),
            release_counter: directed.release_counter(),
            encrypted: directed.encryption().is_some(),
        });
        let outcome = match outcome {
            Ok(()) => Outcome::default(),
            Err(reject) => refused(&reject),
        };
        Outcome {
            assigned: assigned.collect(),
            installed: self.runs,
            ..outcome
        }
    }
}
