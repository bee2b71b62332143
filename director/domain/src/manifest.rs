//! Judging what a vehicle reports (Uptane 5.4.2.1).

use std::collections::BTreeMap;

use countersign_metadata::uptane::{
    DetectedAttack, EcuSerial, EcuVersionReport, InstalledImage, Outcome, VehicleVersionManifest,
    Vin,
};
use countersign_metadata::{MetadataError, Signed, UtcTime, sha256};

use crate::record::VehicleRecord;

/// Bytes of a manifest: 256 reports with 32 attacks each stay below it.
pub const MAX_MANIFEST: usize = 8 << 20;

/// What the times in reports are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportRules {
    /// The time of whoever judges.
    pub now: UtcTime,
    /// How long ago a report may have been made, in seconds; `None`: any time ago, for fleets whose
    /// ECUs learn no time.
    pub max_age: Option<i64>,
    /// How far ahead an ECU's clock may be, in seconds.
    pub max_ahead: i64,
}

impl ReportRules {
    /// A day, and five minutes. A report that is older is made anew by its ECU as soon as it is
    /// attested the time, in the same cycle.
    pub fn at(now: UtcTime) -> Self {
        Self {
            now,
            max_age: Some(86_400),
            max_ahead: 300,
        }
    }
}

/// What was last heard of an ECU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Counter of its report.
    pub report_counter: u64,
    /// SHA-256 of what was signed.
    pub digest: [u8; 32],
    /// The latest time that the ECU could verify.
    pub latest_time: UtcTime,
    /// What it runs; `None` if it does not know.
    pub installed: Option<InstalledImage>,
    /// How its last update ended.
    pub outcome: Option<Outcome>,
}

/// What an accepted manifest has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// ECUs whose report is the one that was accepted before: nothing was learnt of these.
    pub stale: Vec<EcuSerial>,
    /// Attacks that were not told of before.
    pub attacks: Vec<(EcuSerial, DetectedAttack)>,
}

/// Why a manifest is dropped. Nothing of it is believed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestRefusal {
    /// Beyond [`MAX_MANIFEST`].
    #[error("the manifest has {0} bytes; at most {MAX_MANIFEST} are read")]
    TooLarge(usize),
    /// Not a manifest.
    #[error("this is no manifest: {0}")]
    Malformed(MetadataError),
    /// Of a vehicle that is not registered.
    #[error("vehicle {0} is not registered")]
    UnknownVehicle(Vin),
    /// Of another vehicle than the one that sends it.
    #[error("vehicle {sender} sends a manifest of vehicle {claimed}")]
    OtherVehicle {
        /// Who sends it.
        sender: Vin,
        /// Of which vehicle it is.
        claimed: Vin,
    },
    /// It names another ECU as the Primary.
    #[error("{found} is not the Primary of this vehicle")]
    NotPrimary {
        /// What it names.
        found: EcuSerial,
    },
    /// The Primary has not signed it.
    #[error("the manifest is not signed by the Primary: {0}")]
    Signature(MetadataError),
    /// A report of an ECU that this vehicle does not have.
    #[error("ECU {0} reports, and is not registered in this vehicle")]
    UnknownEcu(EcuSerial),
    /// No report of an ECU that this vehicle has.
    #[error("ECU {0} is registered in this vehicle, and its report is missing")]
    MissingEcu(EcuSerial),
    /// The ECU has not signed the report.
    #[error("the report of ECU {serial} is not signed by it: {error}")]
    ReportSignature {
        /// The ECU.
        serial: EcuSerial,
        /// What is wrong.
        error: MetadataError,
    },
    /// The report is about another ECU than the one it is listed for.
    #[error("the report listed for ECU {listed} is about {found}")]
    OtherEcu {
        /// For which it is listed.
        listed: EcuSerial,
        /// Which it is about.
        found: EcuSerial,
    },
    /// An older report, or another one under a counter that was used.
    #[error("ECU {serial} reports with counter {found} after {last}: this is a replay")]
    Replayed {
        /// The ECU.
        serial: EcuSerial,
        /// Counter of the report.
        found: u64,
        /// Counter of the last one that was accepted.
        last: u64,
    },
    /// A report that was made too long ago, or on a clock that is wrong.
    #[error("ECU {serial} reports of {time}, and it is {now}: too long ago to be news")]
    Expired {
        /// The ECU.
        serial: EcuSerial,
        /// The time in the report.
        time: UtcTime,
        /// The time here.
        now: UtcTime,
    },
    /// A report out of the future.
    #[error("ECU {serial} reports of {time}, and it is only {now}; its clock or this one is wrong")]
    Ahead {
        /// The ECU.
        serial: EcuSerial,
        /// The time in the report.
        time: UtcTime,
        /// The time here.
        now: UtcTime,
    },
}

impl ManifestRefusal {
    /// The stable name of the reason, for scripts and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "manifest-too-large",
            Self::Malformed(_) => "manifest-malformed",
            Self::UnknownVehicle(_) => "vehicle-unknown",
            Self::OtherVehicle { .. } => "vehicle-mismatch",
            Self::NotPrimary { .. } => "ecu-not-primary",
            Self::Signature(_) => "manifest-signature",
            Self::UnknownEcu(_) => "report-unknown-ecu",
            Self::MissingEcu(_) => "report-missing",
            Self::ReportSignature { .. } => "report-signature",
            Self::OtherEcu { .. } => "report-mismatch",
            Self::Replayed { .. } => "report-replayed",
            Self::Expired { .. } => "report-expired",
            Self::Ahead { .. } => "report-ahead",
        }
    }
}

/// Judges a manifest of `vehicle` that `sender` sends; who sends it is known from elsewhere, as by
/// TLS. What it comes to is the receipt, and what is known of each ECU from now on.
///
/// # Errors
/// [`ManifestRefusal`] for the first thing that is wrong. Nothing of it is to be believed then.
pub fn judge(
    sender: &Vin,
    bytes: &[u8],
    vehicle: &VehicleRecord,
    before: &BTreeMap<EcuSerial, Heard>,
    rules: &ReportRules,
) -> Result<(Receipt, BTreeMap<EcuSerial, Heard>), ManifestRefusal> {
    let manifest = open(sender, bytes, vehicle)?;
    let mut receipt = Receipt {
        stale: Vec::new(),
        attacks: Vec::new(),
    };
    let mut now = BTreeMap::new();
    if let Some(serial) = missing(vehicle, &manifest) {
        return Err(ManifestRefusal::MissingEcu(serial.clone()));
    }
    for (serial, report) in manifest.ecu_version_reports {
        let (content, digest) = check_report(&serial, report, vehicle)?;
        let last = before.get(&serial);
        let is_known =
            |last: &Heard| (last.report_counter, last.digest) == (content.report_counter, digest);
        if last.is_some_and(is_known) {
            receipt.stale.push(serial.clone());
        } else {
            check_counter(&serial, content.report_counter, last)?;
            check_time(&serial, content.latest_time, rules)?;
            let attacks = content.attacks_detected.iter().cloned();
            let attacks = attacks.map(|attack| (serial.clone(), attack));
            receipt.attacks.extend(attacks);
        }
        now.insert(serial, Heard::of(content, digest));
    }
    Ok((receipt, now))
}

/// What was heard of each ECU in a manifest that was judged when it came, and kept. Of ECUs that were
/// replaced since, or have another key, nothing was.
///
/// # Errors
/// [`MetadataError`] if it is not one.
pub fn recall(
    bytes: &[u8],
    vehicle: &VehicleRecord,
) -> Result<BTreeMap<EcuSerial, Heard>, MetadataError> {
    let manifest = Signed::<VehicleVersionManifest>::parse(bytes.to_vec())?.decode_unverified()?;
    let is_of = |(serial, report): &(EcuSerial, Signed<EcuVersionReport>)| {
        let known = vehicle.ecus.get(serial).map(|ecu| ecu.signing.id());
        let mut signed = report.signatures().iter();
        known.is_some_and(|known| signed.any(|entry| entry.keyid == known))
    };
    let reports = manifest.ecu_version_reports.into_iter().filter(is_of);
    let heard = reports.map(|(serial, report)| {
        let digest = sha256(report.payload().as_bytes());
        Ok((serial, Heard::of(report.decode_unverified()?, digest)))
    });
    heard.collect()
}

impl Heard {
    fn of(report: EcuVersionReport, digest: [u8; 32]) -> Self {
        Self {
            report_counter: report.report_counter,
            digest,
            latest_time: report.latest_time,
            installed: report.installed_image,
            outcome: report.outcome,
        }
    }
}

/// 5.3.2.1 step 4: no counter is used again, unless it is for the very same report.
fn check_counter(
    serial: &EcuSerial,
    found: u64,
    last: Option<&Heard>,
) -> Result<(), ManifestRefusal> {
    match last.map(|last| last.report_counter) {
        Some(last) if found <= last => Err(ManifestRefusal::Replayed {
            serial: serial.clone(),
            found,
            last,
        }),
        _ => Ok(()),
    }
}

/// 5.3.2.1 step 3d.
fn check_time(
    serial: &EcuSerial,
    time: UtcTime,
    rules: &ReportRules,
) -> Result<(), ManifestRefusal> {
    let (serial, now) = (serial.clone(), rules.now);
    let age = now.unix() - time.unix();
    match rules.max_age {
        _ if age < -rules.max_ahead => Err(ManifestRefusal::Ahead { serial, time, now }),
        Some(most) if age > most => Err(ManifestRefusal::Expired { serial, time, now }),
        _ => Ok(()),
    }
}

/// The manifest, if it is of `sender` and its Primary has signed it.
fn open(
    sender: &Vin,
    bytes: &[u8],
    vehicle: &VehicleRecord,
) -> Result<VehicleVersionManifest, ManifestRefusal> {
    if bytes.len() > MAX_MANIFEST {
        return Err(ManifestRefusal::TooLarge(bytes.len()));
    }
    let signed = Signed::<VehicleVersionManifest>::parse(bytes.to_vec())
        .map_err(ManifestRefusal::Malformed)?;
    let primary = vehicle.ecus.get(&vehicle.primary);
    let verified = primary.map(|primary| {
        let authority = primary.authority(&vehicle.primary);
        signed.clone().verify(&authority)
    });
    // What it claims is judged before who has signed it. What is signed as it should be is decoded once.
    let claimed = match &verified {
        Some(Ok(verified)) => verified.content().clone(),
        _ => signed
            .decode_unverified()
            .map_err(ManifestRefusal::Malformed)?,
    };
    if claimed.vin != *sender {
        return Err(ManifestRefusal::OtherVehicle {
            sender: sender.clone(),
            claimed: claimed.vin,
        });
    }
    match verified {
        Some(verified) if claimed.primary_ecu_serial == vehicle.primary => {
            verified.map_err(ManifestRefusal::Signature)?;
            Ok(claimed)
        }
        _ => Err(ManifestRefusal::NotPrimary {
            found: claimed.primary_ecu_serial,
        }),
    }
}

fn missing<'v>(
    vehicle: &'v VehicleRecord,
    manifest: &VehicleVersionManifest,
) -> Option<&'v EcuSerial> {
    let reports = &manifest.ecu_version_reports;
    vehicle
        .ecus
        .keys()
        .find(|serial| !reports.contains_key(*serial))
}

/// A report, if the ECU that it is listed for has signed it, and the digest of what it signed.
fn check_report(
    serial: &EcuSerial,
    report: Signed<EcuVersionReport>,
    vehicle: &VehicleRecord,
) -> Result<(EcuVersionReport, [u8; 32]), ManifestRefusal> {
    let Some(ecu) = vehicle.ecus.get(serial) else {
        return Err(ManifestRefusal::UnknownEcu(serial.clone()));
    };
    let digest = sha256(report.payload().as_bytes());
    let verified = report.verify(&ecu.authority(serial)).map_err(|error| {
        let serial = serial.clone();
        ManifestRefusal::ReportSignature { serial, error }
    })?;
    let content = verified.content().clone();
    match content.ecu_serial == *serial {
        true => Ok((content, digest)),
        false => Err(ManifestRefusal::OtherEcu {
            listed: serial.clone(),
            found: content.ecu_serial,
        }),
    }
}
