//! `pki init|adopt`

use std::path::PathBuf;

use clap::Args;
use countersign_ceremony::CeremonyError;
use countersign_ceremony::pki::{self, CaOrder, CaSummary, Certifier, CustodyPolicy};
use countersign_repo::policy::Span;
use countersign_signing::Algorithm;
use serde_json::{Value, json};

use super::{Ca, Global, Report, now};

#[derive(Args)]
pub(in crate::cli) struct Init {
    #[command(flatten)]
    ca: Ca,
    /// The key: pkcs11:token=LABEL;object=NAME or yubihsm:...; ECDSA P-256, P-384 or Ed25519
    #[arg(long, value_name = "URI")]
    key: String,
    /// Make the key if it does not exist: ecdsa-p384, ecdsa-p256 or ed25519
    #[arg(long, value_name = "ALGORITHM")]
    generate: Option<Algorithm>,
    /// The common name of the CA
    #[arg(long)]
    name: String,
    /// Its organisation
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
    /// How long a self-signed CA is valid
    #[arg(
        long,
        value_name = "SPAN",
        default_value = "10y",
        conflicts_with = "csr_out"
    )]
    expires: Span,
    /// Do not sign the CA itself: write a request to this file, for another CA to certify
    #[arg(long, value_name = "FILE")]
    csr_out: Option<PathBuf>,
    /// Take a key that is in a file, or that its token would give out
    #[arg(long)]
    accept_weak_custody: bool,
}

#[derive(Args)]
pub(in crate::cli) struct Adopt {
    #[command(flatten)]
    ca: Ca,
    /// The certificate, PEM
    certificate: PathBuf,
}

impl Init {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        let order = CaOrder {
            folder: &self.ca.ca,
            key: &self.key,
            generate: self.generate,
            name: &self.name,
            organization: self.organization.as_deref(),
            certifier: match &self.csr_out {
                Some(file) => Certifier::Another(file.clone()),
                None => Certifier::Itself(self.expires),
            },
            custody: match self.accept_weak_custody {
                true => CustodyPolicy::Accepted,
                false => CustodyPolicy::Token,
            },
        };
        let summary = pki::init(&order, now()?, &global.secrets())?;
        let next = match &self.csr_out {
            Some(file) => format!(
                "have {} certified, then: key-ceremony pki adopt --ca {} CERTIFICATE",
                file.display(),
                self.ca.ca.display()
            ),
            None => format!(
                "devices' servers trust {}",
                self.ca.ca.join("ca.pem").display()
            ),
        };
        Ok(report(&summary, &next))
    }
}

impl Adopt {
    pub(super) fn run(&self) -> Result<Report, CeremonyError> {
        let summary = pki::adopt(&self.ca.ca, &self.certificate, now()?)?;
        Ok(report(&summary, "it can issue now"))
    }
}

pub(super) fn json(summary: &CaSummary) -> Value {
    json!({
        "name": summary.name,
        "key_home": summary.home.as_ref().map(ToString::to_string),
        "fingerprint": summary.fingerprint,
        "not_before": summary.validity.map(|(begin, _)| begin.to_string()),
        "not_after": summary.validity.map(|(_, end)| end.to_string()),
    })
}

fn report(summary: &CaSummary, next: &str) -> Report {
    let mut lines = vec![format!("CA {}", summary.name)];
    if let Some(home) = &summary.home {
        lines.push(format!("key in {home}"));
    }
    if let Some((begin, end)) = summary.validity {
        lines.push(format!("valid from {begin} to {end}"));
    }
    if let Some(fingerprint) = &summary.fingerprint {
        lines.push(format!("SHA-256 {fingerprint}"));
    }
    lines.push(format!("next: {next}"));
    Report::new(lines.join("\n"), json(summary))
}
