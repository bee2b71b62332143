//! `pki list|show`

use std::path::PathBuf;

use clap::Args;
use countersign_ceremony::CeremonyError;
use countersign_ceremony::pki::{Entry, Filter, Serial, Status};
use countersign_metadata::UtcTime;
use serde_json::{Value, json};

use super::{Ca, Report, authority, now};

#[derive(Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    ca: Ca,
    /// Only those of one vehicle
    #[arg(long, value_name = "VIN")]
    vehicle: Option<String>,
    /// Only those in one state: valid, ended or revoked
    #[arg(long, value_parser = status)]
    status: Option<Status>,
}

#[derive(Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    ca: Ca,
    /// The serial number, 32 hexadecimal digits
    serial: Serial,
    /// Write the certificate to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn status(text: &str) -> Result<Status, String> {
    let all = [Status::Valid, Status::Ended, Status::Revoked];
    let known = all.into_iter().find(|status| status.name() == text);
    known.ok_or_else(|| "one of: valid, ended, revoked".into())
}

impl List {
    pub(super) fn run(&self) -> Result<Report, CeremonyError> {
        let now = now()?;
        let filter = Filter {
            vehicle: self.vehicle.clone(),
            status: self.status,
        };
        let ca = self.ca.view()?;
        let entries = ca.list(&filter, now);
        let lines = entries.iter().map(|entry| line(entry, now));
        let text = lines.collect::<Vec<_>>().join("\n");
        let objects: Vec<Value> = entries.iter().map(|entry| object(entry, now)).collect();
        let summary = authority::json(&ca.summary()?);
        Ok(Report::new(
            text,
            json!({ "ca": summary, "certificates": objects }),
        ))
    }
}

impl Show {
    pub(super) fn run(&self) -> Result<Report, CeremonyError> {
        let now = now()?;
        let ca = self.ca.view()?;
        let (entry, pem) = ca.find(self.serial)?;
        if let Some(out) = &self.out {
            ca.export(self.serial, out)?;
        }
        let mut object = object(entry, now);
        object["pem"] = pem.as_str().into();
        let text = format!("{}\n{}", line(entry, now), pem.trim_end());
        Ok(Report::new(text, object))
    }
}

fn line(entry: &Entry, now: UtcTime) -> String {
    let status = entry.status(now).name();
    let (serial, until, subject) = (entry.serial, entry.not_after, &entry.subject);
    match &entry.revoked {
        Some(revocation) => {
            let reason = revocation.reason.name();
            format!(
                "{serial}  {status:7}  {}  {subject}  ({reason})",
                revocation.at
            )
        }
        None => format!("{serial}  {status:7}  {until}  {subject}"),
    }
}

fn object(entry: &Entry, now: UtcTime) -> Value {
    json!({
        "serial": entry.serial,
        "status": entry.status(now).name(),
        "subject": entry.subject,
        "not_before": entry.not_before.to_string(),
        "not_after": entry.not_after.to_string(),
        "renews": entry.renews,
        "revoked": entry.revoked.map(|revocation| json!({
            "at": revocation.at.to_string(),
            "reason": revocation.reason,
        })),
    })
}
