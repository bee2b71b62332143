//! `pki revoke|crl`

use std::path::PathBuf;

use clap::Args;
use countersign_ceremony::CeremonyError;
use countersign_ceremony::pki::{DeviceId, Reason, Serial, Which};
use countersign_repo::policy::Span;
use serde_json::json;

use super::{Ca, Global, Report, now};
use crate::cli::output::count;

#[derive(Args)]
#[group(id = "which", required = true, multiple = true)]
pub(in crate::cli) struct Revoke {
    #[command(flatten)]
    ca: Ca,
    /// The serial number, 32 hexadecimal digits
    #[arg(long, group = "which", conflicts_with_all = ["cert", "vehicle"])]
    serial: Option<Serial>,
    /// The certificate
    #[arg(long, value_name = "FILE", group = "which", conflicts_with = "vehicle")]
    cert: Option<PathBuf>,
    /// All certificates of a vehicle
    #[arg(long, value_name = "VIN", group = "which")]
    vehicle: Option<String>,
    /// Only those of this ECU of the vehicle
    #[arg(long, value_name = "SERIAL", requires = "vehicle")]
    ecu: Option<String>,
    /// Why: unspecified, key-compromise, affiliation-changed, superseded, cessation-of-operation
    /// or privilege-withdrawn
    #[arg(long)]
    reason: Reason,
}

#[derive(Args)]
pub(in crate::cli) struct Crl {
    #[command(flatten)]
    ca: Ca,
    /// Where to write the list; an older one is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// When the next list is due
    #[arg(long, value_name = "SPAN", default_value = "7d")]
    next_update: Span,
}

impl Revoke {
    pub(super) fn run(&self) -> Result<Report, CeremonyError> {
        let which = match (&self.serial, &self.cert, &self.vehicle, &self.ecu) {
            (Some(serial), ..) => Which::Serial(*serial),
            (_, Some(file), ..) => Which::File(file.clone()),
            (_, _, Some(vehicle), Some(ecu)) => Which::Device(DeviceId::new(vehicle, ecu)?),
            (_, _, Some(vehicle), None) => Which::Vehicle(vehicle.clone()),
            _ => {
                return Err(CeremonyError::Usage(
                    "say what to revoke with --serial, --cert or --vehicle".into(),
                ));
            }
        };
        let mut ca = self.ca.open()?;
        let revoked = ca.revoke(&which, self.reason, now()?)?;
        let mut text = format!("revoked {}", count(revoked.now.len(), "certificate"));
        if !revoked.before.is_empty() {
            let before = revoked.before.len();
            text += &format!("; {before} had been revoked before");
        }
        text += "\nnext: key-ceremony pki crl";
        let json = json!({ "revoked": revoked.now, "before": revoked.before });
        Ok(Report::new(text, json))
    }
}

impl Crl {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        let secrets = global.secrets();
        let mut ca = self.ca.open()?;
        let report = ca.write_crl(&self.out, self.next_update, now()?, &secrets)?;
        let text = format!(
            "revocation list {} with {}, next update {}\n{}",
            report.number,
            count(report.revoked, "certificate"),
            report.next_update,
            self.out.display()
        );
        let json = json!({
            "number": report.number,
            "revoked": report.revoked,
            "next_update": report.next_update.to_string(),
            "out": self.out,
        });
        Ok(Report::new(text, json))
    }
}
