//! `key-ceremony provision`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use countersign_ceremony::CeremonyError;
use countersign_ceremony::provision::{
    Bundle, Order, Row, TimeGiven, Written, check, gather, read_rows,
};
use countersign_metadata::UtcTime;
use serde_json::{Value, json};

use super::output::{Report, count};
use super::plan::Accept;
use super::{Global, confirm, now};

/// How many devices are shown to people; the file of the review has all of them.
const SHOWN: usize = 20;

const MAKE_EXAMPLES: &str = "\
Examples:
  key-ceremony provision make gateway.toml --vehicle WVWZZZ1JZXW000001 --ecu GW-1 \\
      --signing-key GW-1.csr --time 2032-05-06T07:08:09Z --out gw-1
  key-ceremony provision make gateway.toml --devices line4.csv --keys csr/ \\
      --time-attestation time.json --out line4
  key-ceremony provision make sensor.toml --time 2032-05-06T07:08:09Z --c-header sensor.h
  key-ceremony provision make gateway.toml --time 2032-05-06T07:08:09Z --show

What is typed to confirm stays the same as long as Roots, mapping and model do, so that a line can
be told once with --confirm and stops when one of them is another. docs/provisioning.md is the page
for the factory.";

const CHECK_EXAMPLES: &str = "\
Examples:
  key-ceremony provision check line4
  key-ceremony provision check line4 --words \"anchor ... velvet\"";

/// What devices are given at manufacture
#[derive(Subcommand)]
pub(super) enum Provision {
    /// Verify what devices will trust, show it, and write it as a folder or a C header
    ///
    /// The profile names the Roots, the mapping and the kind of ECU. Without a device the folder has
    /// a template, in which the line fills in vehicle and ECU. Private keys stay where they are.
    #[command(after_help = MAKE_EXAMPLES)]
    Make(Box<Make>),
    /// Check such a folder: every file, and that its parts make exactly these files
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
}

#[derive(Args)]
pub(super) struct Make {
    /// The profile of the model
    profile: PathBuf,
    /// The new folder
    #[arg(long, value_name = "DIR", required_unless_present_any = ["c_header", "show"])]
    out: Option<PathBuf>,
    /// The new C header, of one device or of the model
    #[arg(long, value_name = "FILE")]
    c_header: Option<PathBuf>,
    #[command(flatten)]
    device: OneDevice,
    /// A list of devices: CSV or JSON lines with vehicle, ecu, signing_key, encryption_key
    #[arg(long, value_name = "FILE", conflicts_with_all = ["vehicle", "ecu"])]
    devices: Option<PathBuf>,
    /// The folder of the keys that the list or the options name
    #[arg(long, value_name = "DIR", default_value = ".")]
    keys: PathBuf,
    /// A time that has certainly passed, on the factory's word
    #[arg(long, value_name = "TIME")]
    time: Option<UtcTime>,
    /// The same on a time server's: an attestation that the Director's Root vouches for
    #[arg(long, value_name = "FILE", conflicts_with = "time")]
    time_attestation: Option<PathBuf>,
    /// Only show what it would be
    #[arg(long, conflicts_with_all = ["confirm", "out", "c_header"])]
    show: bool,
    /// What would be typed at the prompt, for scripts: '--show --format json' tells
    #[arg(long, value_name = "TEXT")]
    confirm: Option<String>,
    #[command(flatten)]
    accept: Accept,
}

/// One device, on the command line.
#[derive(Args)]
struct OneDevice {
    /// The vehicle identifier, usually the VIN
    #[arg(long, value_name = "VIN", requires = "ecu")]
    vehicle: Option<String>,
    /// The serial number of the ECU
    #[arg(long, value_name = "SERIAL", requires = "vehicle")]
    ecu: Option<String>,
    /// The ECU's signing key in the folder of keys: a certificate request, or a public key
    #[arg(long, value_name = "FILE", requires = "ecu")]
    signing_key: Option<String>,
    /// The ECU's encryption key in the folder of keys, public
    #[arg(long, value_name = "FILE", requires = "ecu")]
    encryption_key: Option<String>,
    /// Another ECU of the vehicle. May be repeated
    #[arg(long, value_name = "SERIAL=HARDWARE", requires = "ecu")]
    other: Vec<String>,
}

#[derive(Args)]
pub(super) struct Check {
    /// The folder
    folder: PathBuf,
    /// The words that were shown when it was reviewed
    #[arg(long, value_name = "WORDS")]
    words: Option<String>,
}

impl Provision {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        match self {
            Self::Make(make) => make.run(global),
            Self::Check(check) => check.run(),
        }
    }
}

impl Make {
    fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        let bundle = gather(&self.order()?, now()?)?;
        let shown = text(&bundle);
        let mut object = object(&bundle);
        if self.show {
            return Ok(Report::new(shown, object));
        }
        // Before anybody is asked about something that cannot be written.
        if self.c_header.is_some() {
            bundle.c_header()?;
        }
        let wanted = bundle.confirmation();
        let typed = confirm::ask(global, self.confirm.as_deref(), &wanted, &shown)?;
        let mut lines = Vec::new();
        if let Some(out) = &self.out {
            lines.push(told(bundle.write(out, &typed)?, &out.display().to_string()));
            object["out"] = json!(out);
        }
        if let Some(out) = &self.c_header {
            lines.push(told(
                bundle.write_c_header(out, &typed)?,
                &out.display().to_string(),
            ));
            object["c_header"] = json!(out);
        }
        if let Some(out) = self.out.as_ref().filter(|_| bundle.devices() > 0) {
            let devices = count(bundle.devices(), "device");
            lines.push(format!("{devices}, each in {}/devices", out.display()));
        }
        lines.push(format!("words: {}", bundle.words()));
        Ok(Report::new(lines.join("\n"), object))
    }

    fn order(&self) -> Result<Order, CeremonyError> {
        let time = match (self.time, &self.time_attestation) {
            (Some(time), _) => TimeGiven::Stated(time),
            (None, Some(file)) => TimeGiven::Attested(file.clone()),
            (None, None) => {
                return Err(CeremonyError::Usage(format!(
                    "devices need a time to begin with (Uptane 5.4.1): give --time-attestation, or \
                     --time with one that has certainly passed; this machine's clock says {}",
                    now()?
                )));
            }
        };
        let rows = match &self.devices {
            Some(list) => read_rows(list)?,
            None => self.device.row()?.into_iter().collect(),
        };
        Ok(Order {
            profile: self.profile.clone(),
            rows,
            keys: self.keys.clone(),
            time,
            accepted: self.accept.parse()?,
        })
    }
}

impl OneDevice {
    fn row(&self) -> Result<Option<Row>, CeremonyError> {
        let (Some(vehicle), Some(ecu)) = (&self.vehicle, &self.ecu) else {
            return Ok(None);
        };
        let others = self.other.iter().map(|text| match text.split_once('=') {
            Some((serial, hardware)) => Ok((serial.to_owned(), hardware.to_owned())),
            None => Err(CeremonyError::Usage(format!(
                "--other {text}: write SERIAL=HARDWARE, for example BRAKE-1=brake-b"
            ))),
        });
        Ok(Some(Row {
            vehicle: vehicle.clone(),
            ecu: ecu.clone(),
            signing_key: self.signing_key.clone(),
            encryption_key: self.encryption_key.clone(),
            others: others.collect::<Result<_, _>>()?,
        }))
    }
}

impl Check {
    fn run(&self) -> Result<Report, CeremonyError> {
        let bundle = check(&self.folder, now()?)?;
        if let Some(words) = &self.words {
            let words = words.split_whitespace().map(str::to_lowercase);
            if !words.eq(bundle.words().split(' ').map(str::to_owned)) {
                return Err(CeremonyError::Refused(format!(
                    "this is another bundle than the one that was reviewed; its words are: {}",
                    bundle.words()
                )));
            }
        }
        let text = format!("checked: {}", text(&bundle));
        Ok(Report::new(text, object(&bundle)))
    }
}

fn told(written: Written, what: &str) -> String {
    match written {
        Written::Fresh => format!("wrote {what}"),
        Written::Already => format!("{what} is there already, exactly like this"),
    }
}

fn text(bundle: &Bundle) -> String {
    let mut text = bundle.review().to_text(SHOWN);
    for finding in bundle.findings() {
        text.push_str(&format!("\n  {finding}"));
    }
    let needed = |name: &str| bundle.findings().iter().any(|finding| finding.name == name);
    let review = bundle.review();
    for accepted in review
        .accepted
        .iter()
        .filter(|entry| !needed(&entry.finding))
    {
        text.push_str(&format!(
            "\n  nothing here needed --accept {}",
            accepted.finding
        ));
    }
    text
}

fn object(bundle: &Bundle) -> Value {
    let mut object = json!({
        "findings": bundle.findings(),
        "confirm": bundle.confirmation(),
    });
    let review = serde_json::to_value(bundle.review());
    if let (Value::Object(members), Ok(Value::Object(review))) = (&mut object, review) {
        members.extend(review);
    }
    object
}
