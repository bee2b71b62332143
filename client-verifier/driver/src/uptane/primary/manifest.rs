//! The vehicle version manifest (5.4.2.1).

use std::collections::BTreeMap;

use countersign_metadata::uptane::{EcuSerial, EcuVersionReport, VehicleVersionManifest};
use countersign_metadata::{Authority, Key, RoleKeys, Signed, Unsigned};
use countersign_verifier::{Code, Reject};

use super::record::Kept;
use super::{DirectorLink, OwnEcu, Primary, PrimaryError};
use crate::fetch::Fetcher;
use crate::store::Store;
use crate::uptane::keys::EcuSigner;
use crate::uptane::link::{Answer, Fetch, LinkError, Part, Request, Source};

impl<Fe, D, St, O, K> Primary<'_, Fe, D, St, O, K>
where
    Fe: Fetcher,
    D: DirectorLink,
    St: Store,
    O: OwnEcu,
    K: EcuSigner,
{
    /// Gathers the reports, of an ECU that does not answer its last one, and sends them. What
    /// could not be sent is sent again next time; the text says why.
    pub(super) fn report(&mut self) -> Result<Option<String>, PrimaryError> {
        self.gather()?;
        let manifest = self.manifest()?;
        match self.parts.director.put_manifest(&manifest) {
            Ok(()) => {
                self.acknowledge();
                Ok(None)
            }
            Err(error) => Ok(Some(error.to_string())),
        }
    }

    fn gather(&mut self) -> Result<(), PrimaryError> {
        let own = self.parts.own.respond(Request::Report {}, &mut Nothing);
        let mut answers = vec![(self.parts.serial.clone(), self.parts.key.key().clone(), own)];
        for (serial, member) in &mut self.parts.secondaries {
            // Who does not answer is met again when the cycle greets everybody.
            if let Ok(answer) = member.link.call(Request::Report {}, &mut Nothing) {
                answers.push((serial.clone(), member.key.clone(), answer));
            }
        }
        for (serial, key, answer) in answers {
            let Answer::Report { report } = answer else {
                continue;
            };
            match self.accept(&serial, &key, report) {
                Ok(Some(kept)) => self.record.reported(&serial, kept)?,
                Ok(None) => {}
                Err(reject) => self.parts.own.note(&reject)?,
            }
        }
        Ok(())
    }

    /// A report counts if the ECU that it is about has signed it, with the key that the vehicle
    /// knows, and later than the one before.
    fn accept(
        &self,
        serial: &EcuSerial,
        key: &Key,
        report: Vec<u8>,
    ) -> Result<Option<Kept>, Reject> {
        let metadata = |error| Reject::metadata(serial.as_str(), error);
        let file = String::from_utf8(report.clone()).unwrap_or_default();
        let report = Signed::<EcuVersionReport>::parse(report).map_err(metadata)?;
        let report = report.verify(&authority(serial, key)).map_err(metadata)?;
        let content = report.content();
        let refuse = |code, detail: String| Err(Reject::new(code, serial.as_str(), detail));
        if content.ecu_serial != *serial {
            let detail = format!("its report is about ECU {}", content.ecu_serial);
            return refuse(Code::EcuUnknown, detail);
        }
        let (counter, keyid) = (content.report_counter, key.id().to_string());
        let of_this_key = |last: &&Kept| last.keyid == keyid;
        let last = self.record.reports().get(serial.as_str());
        match last.filter(of_this_key) {
            Some(last) if counter < last.counter => {
                let detail = format!("report {counter} after report {}", last.counter);
                refuse(Code::VersionRollback, detail)
            }
            Some(last) if counter == last.counter && file != last.file => {
                let detail = format!("another report {counter} than before");
                refuse(Code::SameVersion, detail)
            }
            Some(last) if counter == last.counter => Ok(None),
            _ => Ok(Some(Kept {
                counter,
                keyid,
                file,
            })),
        }
    }

    fn manifest(&self) -> Result<Vec<u8>, PrimaryError> {
        let mut reports = BTreeMap::new();
        for (serial, kept) in self.record.reports() {
            // They were read when they were kept.
            let report = Signed::parse(kept.file.clone().into_bytes());
            if let (Ok(serial), Ok(report)) = (EcuSerial::new(serial), report)
                && self.is_member(&serial)
            {
                reports.insert(serial, report);
            }
        }
        let manifest = VehicleVersionManifest {
            vin: self.parts.vin.clone(),
            primary_ecu_serial: self.parts.serial.clone(),
            ecu_version_reports: reports,
            extra: Default::default(),
        };
        let mut file = Unsigned::new(manifest.to_payload());
        let signature = self.parts.key.sign(file.payload())?;
        file.add_signature_by(self.parts.key.key(), signature);
        Ok(file.to_report_file())
    }

    /// Whether this ECU is in the vehicle now. The report of one that was replaced is not sent.
    fn is_member(&self, serial: &EcuSerial) -> bool {
        *serial == self.parts.serial || self.parts.secondaries.contains_key(serial)
    }

    /// The ECUs need not repeat what the Director has.
    fn acknowledge(&mut self) {
        for (serial, kept) in self.record.reports() {
            let request = Request::Acknowledge {
                report_counter: kept.counter,
            };
            let member = EcuSerial::new(serial).ok();
            if *serial == *self.parts.serial.as_str() {
                self.parts.own.respond(request, &mut Nothing);
            } else if let Some(member) = member.and_then(|s| self.parts.secondaries.get_mut(&s)) {
                // One that misses it sends the same report again.
                let _ = member.link.call(request, &mut Nothing);
            }
        }
    }
}

/// The one key that signs an ECU's reports.
fn authority(serial: &EcuSerial, key: &Key) -> Authority {
    let id = key.id();
    let keys = [(id.clone(), key.clone())].into();
    Authority::assume(serial.as_str(), &RoleKeys::new([id], 1), &keys)
}

/// Serves nothing: for requests that need nothing.
pub(super) struct Nothing;

impl Source for Nothing {
    fn part(&mut self, _: &Fetch) -> Result<Option<Part>, LinkError> {
        Ok(None)
    }
}
