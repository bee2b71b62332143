//! Vehicle version manifest: the reports of all ECUs, signed by the Primary (Uptane 5.4.2.1.1).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use crate::canonical;
use crate::document::{Decode, Document, SignatureForm, take_type};
use crate::envelope::{Payload, Signed};
use crate::error::MetadataError;
use crate::field::{Fields, with};
use crate::json::{Object, Value, parse_canonical};
use crate::limits::MAX_ECUS;
use crate::uptane::{EcuSerial, EcuVersionReport, Vin};

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
            ("ecu_version_reports", Value::Object(reports.collect())),
        ];
        canonical::encode(&with(&self.extra, members).into())
    }
}

impl Decode for VehicleVersionManifest {
    fn decode(payload: &Payload) -> Result<Self, MetadataError> {
        let mut fields = Fields::of("signed", parse_canonical(payload)?)?;
        take_type::<Self>(&mut fields)?;
        let (vin, primary) = (fields.string("vin")?, fields.string("primary_ecu_serial")?);
        Ok(Self {
            vin: Vin::at(&fields.path_of("vin"), &vin)?,
            primary_ecu_serial: EcuSerial::at(&fields.path_of("primary_ecu_serial"), &primary)?,
            ecu_version_reports: reports(&mut fields)?,
            extra: fields.rest(),
        })
    }
}

fn reports(
    fields: &mut Fields<'_>,
) -> Result<BTreeMap<EcuSerial, Signed<EcuVersionReport>>, MetadataError> {
    let name = "ecu_version_reports";
    let path = fields.path_of(name);
    let listed = fields.object(name)?;
    if listed.len() > MAX_ECUS {
        return fields.fail(name, format!("has more than {MAX_ECUS}"));
    }
    let mut reports = BTreeMap::new();
    for (serial, value) in listed {
        let serial = EcuSerial::at(&path, &serial)?;
        reports.insert(serial, Signed::of_value(&value)?);
    }
    Ok(reports)
}
