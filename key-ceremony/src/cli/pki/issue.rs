//! `pki issue|renew|server`

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use countersign_ceremony::CeremonyError;
use countersign_ceremony::pki::{
    DeviceId, Existing, Issued, Reason, Request, ServerNames, check_out,
};
use countersign_repo::policy::Span;
use serde_json::json;

use super::{Ca, Global, Report, now};

#[derive(Args)]
pub(in crate::cli) struct Issue {
    #[command(flatten)]
    ca: Ca,
    /// The request (PKCS #10, PEM or DER) with an ECDSA P-256 or Ed25519 key
    csr: PathBuf,
    /// The vehicle identifier, usually the VIN
    #[arg(long, value_name = "VIN")]
    vehicle: String,
    /// The serial number of the ECU
    #[arg(long, value_name = "SERIAL")]
    ecu: String,
    /// Where to write the certificate
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long it is valid
    #[arg(long, value_name = "SPAN", default_value = "2y")]
    expires: Span,
    /// Revoke, for this reason, what the device has for other keys
    #[arg(long, value_name = "REASON")]
    replace: Option<Reason>,
}

#[derive(Args)]
pub(in crate::cli) struct Renew {
    #[command(flatten)]
    ca: Ca,
    /// The newest certificate of the device
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// The request, with the same key or a new one
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
    /// Where to write the certificate
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long it is valid
    #[arg(long, value_name = "SPAN", default_value = "2y")]
    expires: Span,
}

#[derive(Args)]
pub(in crate::cli) struct Server {
    #[command(flatten)]
    ca: Ca,
    /// The request (PKCS #10, PEM or DER) with an ECDSA P-256 or Ed25519 key
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
    /// A host name; repeat for more
    #[arg(long, value_name = "NAME")]
    dns: Vec<String>,
    /// An IP address; repeat for more
    #[arg(long, value_name = "ADDRESS")]
    ip: Vec<IpAddr>,
    /// Where to write the certificate
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long it is valid
    #[arg(long, value_name = "SPAN", default_value = "90d")]
    expires: Span,
}

impl Issue {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        check_out(&self.out)?;
        let device = DeviceId::new(&self.vehicle, &self.ecu)?;
        let request = Request::read(&self.csr)?;
        let existing = self.replace.map_or(Existing::Refuse, Existing::Replace);
        let secrets = global.secrets();
        let mut ca = self.ca.open()?;
        let issued = ca.issue(&device, &request, existing, self.expires, now()?, &secrets)?;
        write(&issued, &self.out)
    }
}

impl Renew {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        check_out(&self.out)?;
        let request = Request::read(&self.csr)?;
        let secrets = global.secrets();
        let mut ca = self.ca.open()?;
        let issued = ca.renew(&self.cert, &request, self.expires, now()?, &secrets)?;
        write(&issued, &self.out)
    }
}

impl Server {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        check_out(&self.out)?;
        let names = ServerNames::new(self.dns.iter().cloned(), self.ip.iter().copied())?;
        let request = Request::read(&self.csr)?;
        let secrets = global.secrets();
        let mut ca = self.ca.open()?;
        let issued = ca.issue_server(&names, &request, self.expires, now()?, &secrets)?;
        write(&issued, &self.out)
    }
}

fn write(issued: &Issued, out: &Path) -> Result<Report, CeremonyError> {
    issued.write(out)?;
    let what = match issued.fresh {
        true => "issued",
        false => "had been issued before",
    };
    let text = format!(
        "{}: certificate {} {what}, valid until {}\n{}",
        issued.subject,
        issued.serial,
        issued.not_after,
        out.display()
    );
    let json = json!({
        "serial": issued.serial,
        "subject": issued.subject,
        "not_before": issued.not_before.to_string(),
        "not_after": issued.not_after.to_string(),
        "fresh": issued.fresh,
        "out": out,
    });
    Ok(Report::new(text, json))
}
