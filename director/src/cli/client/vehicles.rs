//! Vehicles.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::Remote;
use super::api::Api;
use super::shown::{table, text};
use crate::cli::output::{Done, Failure};

const EXAMPLES: &str = "\
Examples:
  director vehicle announce WVWZZZ1JZXW000001 --tenant fleet-a
  director vehicle list --stage announced
  director vehicle show WVWZZZ1JZXW000001
  director vehicle hold WVWZZZ1JZXW000001 'the brakes squeak'
  director vehicle replacement WVWZZZ1JZXW000001
  director vehicle approve WVWZZZ1JZXW000001 DIGEST";

/// Vehicles: announce, look at, hold, approve
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Vehicles {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stage {
    /// They may register
    Announced,
    /// They have
    Registered,
}

#[derive(Subcommand)]
enum Command {
    /// Vehicles, in the order of their identifiers
    List {
        /// Which ones
        #[arg(long, value_enum, default_value_t = Stage::Registered)]
        stage: Stage,
        /// Only those of this tenant
        #[arg(long)]
        tenant: Option<String>,
    },
    /// What is known of a vehicle
    Show {
        /// The vehicle
        vin: String,
    },
    /// Let a vehicle register
    Announce {
        /// The vehicle
        vin: String,
        /// Whose it will be; not needed with the token of a tenant
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Take an announcement back
    Withdraw {
        /// The vehicle
        vin: String,
    },
    /// What has happened to a vehicle
    History {
        /// The vehicle
        vin: String,
    },
    /// Give a vehicle no new orders until it is released
    Hold {
        /// The vehicle
        vin: String,
        /// Why, for whoever looks at it
        why: String,
    },
    /// Give a vehicle orders again
    Release {
        /// The vehicle
        vin: String,
    },
    /// What a vehicle wants to be registered as
    Replacement {
        /// The vehicle
        vin: String,
    },
    /// Let a vehicle be what it wants to be
    Approve {
        /// The vehicle
        vin: String,
        /// What `director vehicle replacement` has shown
        digest: String,
    },
    /// Forget what a vehicle wants to be
    Reject {
        /// The vehicle
        vin: String,
    },
    /// The certificate request of a vehicle; with --put, the certificate that answers it
    Certificate {
        /// The vehicle
        vin: String,
        /// The certificate, PEM
        #[arg(long, value_name = "FILE")]
        put: Option<PathBuf>,
    },
}

impl Vehicles {
    pub(crate) fn run(&self) -> Result<Done, Failure> {
        let api = self.remote.open()?;
        match &self.command {
            Command::List { stage, tenant } => list(&api, *stage, tenant.as_deref()),
            Command::Show { vin } => {
                let vehicle = api.get(&["vehicles", vin], &[])?;
                Ok(Done::new(shown(&vehicle), vehicle))
            }
            Command::Announce { vin, tenant } => {
                let mut body = json!({ "vin": vin });
                if let Some(tenant) = tenant {
                    body["tenant"] = tenant.as_str().into();
                }
                let vehicle = api.post(&["vehicles"], &body)?;
                Ok(Done::new(format!("vehicle {vin} may register"), vehicle))
            }
            Command::Withdraw { vin } => {
                let done = api.delete(&["vehicles", vin])?;
                Ok(Done::new(format!("vehicle {vin} may not register"), done))
            }
            Command::History { vin } => history(&api, vin),
            Command::Hold { vin, why } => {
                let vehicle = api.post(&["vehicles", vin, "hold"], &json!({ "why": why }))?;
                Ok(Done::new(
                    format!("vehicle {vin} gets no new orders"),
                    vehicle,
                ))
            }
            Command::Release { vin } => {
                let vehicle = api.post(&["vehicles", vin, "release"], &json!({}))?;
                Ok(Done::new(
                    format!("vehicle {vin} gets orders again"),
                    vehicle,
                ))
            }
            Command::Replacement { vin } => {
                let wanted = api.get(&["vehicles", vin, "replacement"], &[])?;
                Ok(Done::new(replacement(&wanted), wanted))
            }
            Command::Approve { vin, digest } => {
                let path = ["vehicles", vin, "replacement", "approve"];
                let done = api.post(&path, &json!({ "digest": digest }))?;
                Ok(Done::new(
                    format!("vehicle {vin} is what it wanted to be"),
                    done,
                ))
            }
            Command::Reject { vin } => {
                let done = api.delete(&["vehicles", vin, "replacement"])?;
                Ok(Done::new(format!("vehicle {vin} stays what it is"), done))
            }
            Command::Certificate { vin, put: None } => {
                let asked = api.get(&["vehicles", vin, "certificate"], &[])?;
                Ok(Done::new(text(&asked["request"]).trim_end(), asked))
            }
            Command::Certificate {
                vin,
                put: Some(file),
            } => {
                let pem = std::fs::read_to_string(file).map_err(|error| {
                    Failure::new("file", format!("cannot read {}: {error}", file.display()))
                })?;
                let body = json!({ "certificate": pem }).to_string().into_bytes();
                let done = api.say("PUT", &["vehicles", vin, "certificate"], body)?;
                Ok(Done::new("the device can fetch it", done))
            }
        }
    }
}

/// All pages of a list: what is under `name` in each.
pub(super) fn pages(
    api: &Api,
    path: &[&str],
    name: &str,
    query: &[(&str, String)],
) -> Result<Value, Failure> {
    let mut all = Vec::new();
    let mut query = query.to_vec();
    loop {
        let mut page = api.get(path, &query)?;
        if let Value::Array(entries) = page[name].take() {
            all.extend(entries);
        }
        let next = match &page["next"] {
            Value::Null => return Ok(all.into()),
            next => text(next),
        };
        query.retain(|(name, _)| *name != "after");
        query.push(("after", next));
    }
}

fn list(api: &Api, stage: Stage, tenant: Option<&str>) -> Result<Done, Failure> {
    let stage = match stage {
        Stage::Announced => "announced",
        Stage::Registered => "registered",
    };
    let mut query = vec![("stage", stage.to_owned()), ("limit", "1000".to_owned())];
    query.extend(tenant.map(|tenant| ("tenant", tenant.to_owned())));
    let vehicles = pages(api, &["vehicles"], "vehicles", &query)?;
    let columns = [
        ("VEHICLE", "vin"),
        ("TENANT", "tenant"),
        ("SINCE", "since"),
        ("REPORTED", "reported"),
        ("REPLACEMENT", "replacement"),
        ("HELD", "held"),
    ];
    Ok(Done::new(
        table(&vehicles, &columns),
        json!({ "vehicles": vehicles }),
    ))
}

/// The columns of the audit log.
pub(super) const ENTRY: [(&str, &str); 5] = [
    ("ENTRY", "seq"),
    ("TIME", "at"),
    ("WHO", "actor"),
    ("WHAT", "action"),
    ("DETAIL", "detail"),
];

fn history(api: &Api, vin: &str) -> Result<Done, Failure> {
    let entries = pages(api, &["vehicles", vin, "history"], "entries", &[])?;
    Ok(Done::new(
        table(&entries, &ENTRY),
        json!({ "entries": entries }),
    ))
}

fn shown(vehicle: &Value) -> String {
    let mut lines = vec![format!(
        "vehicle {} of {}, {}",
        text(&vehicle["vin"]),
        text(&vehicle["tenant"]),
        text(&vehicle["stage"])
    )];
    for (member, what) in [
        ("held", "held"),
        ("reported", "reported"),
        ("targetsVersion", "Targets"),
        ("primary", "Primary"),
    ] {
        if !vehicle[member].is_null() {
            lines.push(format!("{what}: {}", text(&vehicle[member])));
        }
    }
    if vehicle["replacement"] == true {
        lines.push("other ECUs await approval: director vehicle replacement".into());
    }
    for (serial, ecu) in vehicle["ecus"].as_object().into_iter().flatten() {
        lines.push(format!("ECU {serial} ({})", text(&ecu["hardwareId"])));
        if !ecu["installed"].is_null() {
            lines.push(format!("  runs {}", text(&ecu["installed"]["path"])));
        }
        let order = &ecu["order"];
        if !order.is_null() {
            let (image, state) = (text(&order["image"]), text(&order["state"]));
            lines.push(format!("  shall run {image}: {state}"));
        }
        let outcome = &ecu["outcome"];
        if !outcome.is_null() && outcome["code"] != 0 {
            let (name, message) = (text(&outcome["name"]), text(&outcome["message"]));
            lines.push(format!("  failed: {name}: {message}"));
        }
    }
    lines.join("\n")
}

fn replacement(wanted: &Value) -> String {
    let mut lines = vec![format!("Primary: {}", text(&wanted["primary"]))];
    for (serial, ecu) in wanted["ecus"].as_object().into_iter().flatten() {
        let change = match ecu["change"].as_str() {
            Some("none") => "stays",
            Some("new") => "is new",
            _ => "has other keys or hardware",
        };
        let (hardware, key) = (text(&ecu["hardwareId"]), text(&ecu["signingKeyid"]));
        lines.push(format!("ECU {serial} ({hardware}, key {key}) {change}"));
    }
    for serial in wanted["gone"].as_array().into_iter().flatten() {
        lines.push(format!("ECU {} goes", text(serial)));
    }
    lines.push(format!("digest: {}", text(&wanted["digest"])));
    lines.join("\n")
}
