//! Step 6: the version report (5.4.3.6, 5.4.2.1.2).

use countersign_metadata::uptane::{EcuVersionReport, InstalledImage};
use countersign_metadata::{Hashes, TargetPath, Unsigned, UtcTime};
use countersign_verifier::{Code, Reject};

use super::Secondary;
use crate::uptane::keys::EcuSigner;

impl Secondary {
    /// The signed report. It is durable before it is given away, and the same one again while
    /// nothing has changed and nobody has acknowledged it.
    pub(super) fn report(&mut self) -> Result<Vec<u8>, Reject> {
        if let Some(report) = self.state().reports().unacknowledged() {
            return Ok(report.to_vec());
        }
        let report = self.compose()?;
        let file = sign(&*self.parts.signer, report.to_payload())?;
        self.change(|state| state.reports_mut().made(file.clone()))?;
        Ok(file)
    }

    /// The Director has the report with this counter.
    pub(super) fn acknowledged(&mut self, counter: u64) -> Result<(), Reject> {
        self.change(|state| {
            state.reports_mut().acknowledged(counter);
            Ok(())
        })
    }

    fn compose(&mut self) -> Result<EcuVersionReport, Reject> {
        let latest_time = self.latest_time()?;
        let ecu = &self.parts.ecu;
        let state = self.parts.state.state();
        let reports = state.reports();
        let counter = reports.next_counter();
        Ok(EcuVersionReport {
            ecu_serial: ecu.serial.clone(),
            installed_image: state.installed(&ecu.hardware_id).and_then(|image| {
                Some(InstalledImage {
                    filepath: TargetPath::new(&image.path).ok()?,
                    length: image.length,
                    // Those of unknown functions may be of any length.
                    hashes: Hashes {
                        other: Default::default(),
                        ..image.hashes.clone()
                    },
                })
            }),
            attacks_detected: reports.attacks().to_vec(),
            latest_time,
            report_counter: counter.map_err(|error| super::state_failed(&error))?,
            outcome: reports.outcome().cloned(),
            extra: Default::default(),
        })
    }

    /// The latest time that this ECU can verify. One that never could says 1970.
    fn latest_time(&mut self) -> Result<UtcTime, Reject> {
        let now = self.now();
        let floor = self.state().time_floor().map(|floor| floor.time);
        let known = now.as_ref().ok().copied().or(floor);
        let time = known.or_else(|| self.parts.host.time());
        time.or(UtcTime::from_unix(0)).map_or(now, Ok)
    }
}

/// A signed report.
fn sign(signer: &dyn EcuSigner, payload: String) -> Result<Vec<u8>, Reject> {
    let mut file = Unsigned::new(payload);
    let signature = signer.sign(file.payload());
    let signature =
        signature.map_err(|error| Reject::new(Code::PreconditionFailed, "", error.to_string()))?;
    file.add_signature_by(signer.key(), signature);
    Ok(file.to_report_file())
}
