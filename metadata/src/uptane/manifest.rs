//! Vehicle version manifest: the reports of all ECUs, signed by the Primary (Uptane 5.4.2.1.1).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use crate::canonical;
use crate::document::{Decode, Document, SignatureForm, take_type};
use crate::envelope::{Payload, Signed};
use crate::error::MetadataError;
use crate::field::{Fields, Large, with};
use crate::json::{Object, Value};
use crate::limits::MAX_ECUS;
use crate::scan::Scanner;
use crate::uptane::{EcuSerial, EcuVersionReport, Vin};

const REPORTS: &str = "ecu_version_reports";

/// The content of a vehicle version manifest. Signed by the Primary's key. The reports in it are
/// not verified: each is signed by the ECU it is about.
#[derive(Debug, Clone)]
pub struct VehicleVersionManifest {
    /// `vin`
    pub vin: Vin,
    /// `primary_ecu_serial`
    pub primary_ecu_serial: EcuSerial,
    /// `ecu_version_reports`, by the serial under which the Primary lists them; at most
    /// [`MAX_ECUS`].
    pub ecu_version_reports: BTreeMap<EcuSerial, Signed<EcuVersionReport>>,
    /// Unknown fields, kept and signed over.
    pub extra: Object,
}

impl Document for VehicleVersionManifest {
    const NAME: &'static str = "vehicle-version-manifest";
    const SIGNATURES: SignatureForm = SignatureForm::Report;
}

impl VehicleVersionManifest {
    /// The canonical payload of this content, to be signed.
    pub fn to_payload(&self) -> String {
        let reports = self.ecu_version_reports.iter();
        let reports = reports.map(|(serial, report)| (serial.as_str().into(), report.to_value()));
        let members = [
            ("_type", Self::NAME.into()),
            ("vin", self.vin.as_str().into()),
            (
                "primary_ecu_serial",
                self.primary_ecu_serial.as_str().into(),
            ),
            (REPORTS, Value::Object(reports.collect())),
        ];
        canonical::encode(&with(&self.extra, members).into())
    }
}

impl Decode for VehicleVersionManifest {
    fn decode(payload: &Payload) -> Result<Self, MetadataError> {
        let mut reports = Large::new();
        let mut fields = Fields::beside(
            "signed",
            &mut Scanner::canonical(payload),
            &mut |scanner, name| (name == REPORTS).then(|| reports.read(scanner, read_reports)),
        )?;
        take_type::<Self>(&mut fields)?;
        let (vin, primary) = (fields.string("vin")?, fields.string("primary_ecu_serial")?);
        Ok(Self {
            vin: Vin::at(&fields.path_of("vin"), &vin)?,
            primary_ecu_serial: EcuSerial::at(&fields.path_of("primary_ecu_serial"), &primary)?,
            ecu_version_reports: reports.required(&fields, REPORTS)?,
            extra: fields.rest(),
        })
    }
}

type Reports = BTreeMap<EcuSerial, Signed<EcuVersionReport>>;

/// Reads the reports out of their text: each is a file of its own.
fn read_reports(scanner: &mut Scanner<'_>) -> Result<Reports, MetadataError> {
    let path = format!("signed.{REPORTS}");
    let mut reports = Reports::new();
    scanner.object(|scanner, serial, _| {
        if reports.len() == MAX_ECUS {
            let what = format!("has more than {MAX_ECUS}");
            return Err(MetadataError::field(path.as_str(), what));
        }
        let serial = EcuSerial::at(&path, &serial)?;
        let report = canonical::to_json(scanner.skip()?).into_bytes();
        reports.insert(serial, Signed::parse(report)?);
        Ok(())
    })?;
    Ok(reports)
}
