//! `pki attest`

use std::path::PathBuf;

use clap::Args;
use countersign_ceremony::CeremonyError;
use countersign_ceremony::pki::{ChainFiles, Verdict, attest};
use countersign_metadata::Key;
use countersign_repo::keys;
use serde_json::{Value, json};

use super::{Global, Report, now};

#[derive(Args)]
pub(in crate::cli) struct Attest {
    /// The attestation of the key, as the device wrote it
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// The device's own certificate (opaque object 0)
    #[arg(long, value_name = "FILE")]
    device_cert: Option<PathBuf>,
    /// A certificate between that and the root; repeat for more, from the device upwards
    #[arg(long, value_name = "FILE", requires = "device_cert")]
    intermediate: Vec<PathBuf>,
    /// The maker's root certificate, from a source that you trust
    #[arg(long, value_name = "FILE", required_unless_present = "unverified")]
    root: Option<PathBuf>,
    /// Only show what it says, true or not
    #[arg(long, conflicts_with = "root")]
    unverified: bool,
    /// The key that it should be about: a key URI or a public key file
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl Attest {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        let device = self.device_cert.iter();
        let files = ChainFiles {
            attestation: self.cert.clone(),
            issuers: device.chain(&self.intermediate).cloned().collect(),
            root: self.root.clone(),
        };
        let key = match &self.key {
            Some(key) => Some(keys::public(key, &global.secrets())?),
            None => None,
        };
        let verdict = attest(&files, key.as_ref(), now()?)?;
        let code = u8::from(!verdict.faults.is_empty());
        Ok(Report::new(text(&verdict), object(&verdict)).with_exit_code(code))
    }
}

fn text(verdict: &Verdict) -> String {
    let said = &verdict.attestation;
    let [major, minor, patch] = said.firmware;
    let mut lines = vec![
        format!(
            "YubiHSM 2, serial {}, firmware {major}.{minor}.{patch}",
            said.serial
        ),
        format!(
            "key 0x{:04x} {:?}: {}",
            said.object_id,
            said.label,
            said.origin.describe()
        ),
        format!(
            "domains {:?}, capabilities 0x{:016x}",
            said.domains, said.capabilities
        ),
    ];
    match verdict.faults.as_slice() {
        [] => lines.push("the key exists in this device alone, and the root says so".into()),
        faults => lines.extend(faults.iter().map(|(_, why)| format!("NOT SHOWN: {why}"))),
    }
    lines.join("\n")
}

fn object(verdict: &Verdict) -> Value {
    let said = &verdict.attestation;
    let [major, minor, patch] = said.firmware;
    let faults = verdict.faults.iter();
    let faults: Vec<Value> = faults
        .map(|(name, message)| json!({ "name": name, "message": message }))
        .collect();
    json!({
        "serial": said.serial.to_string(),
        "firmware": format!("{major}.{minor}.{patch}"),
        "object_id": said.object_id,
        "label": said.label,
        "origin": said.origin.describe(),
        "generated_in_device": said.origin.made_here(),
        "exportable": said.exportable(),
        "domains": said.domains,
        "capabilities": format!("0x{:016x}", said.capabilities),
        "keyid": said.public.as_ref().map(|key| Key::new(key).id().as_str().to_owned()),
        "faults": faults,
    })
}
