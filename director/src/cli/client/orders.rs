//! What is installed where.

use serde_json::{Map, Value, json};

use super::Remote;
use super::shown::text;
use crate::cli::output::{Done, Failure};

const EXAMPLES: &str = "\
Examples:
  director assign WVWZZZ1JZXW000001 GATEWAY-1=gateway/7.img BRAKE-1=brake/3.1.img
  director assign WVWZZZ1JZXW000001 BRAKE-1=brake/3.1.img --add-dependencies

The same command can be given again: what was ordered or runs already is not ordered anew.";

/// Have images installed on ECUs of a vehicle
///
/// All of them or none, unless --best-effort is given. With that, the exit code is 1 if one is refused.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Assign {
    #[command(flatten)]
    remote: Remote,
    /// The vehicle
    vin: String,
    /// The image for each ECU
    #[arg(required = true, value_name = "ECU=IMAGE", value_parser = pair)]
    images: Vec<(String, String)>,
    /// Each image that can be, whatever becomes of the others
    #[arg(long)]
    best_effort: bool,
    /// Let other ECUs have images that these depend on
    #[arg(long)]
    add_dependencies: bool,
}

/// Take orders back that were not carried out yet
#[derive(clap::Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    remote: Remote,
    /// The vehicle
    vin: String,
    /// The ECUs; all if none is named
    ecus: Vec<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=');
    let pair = pair.filter(|(ecu, image)| !ecu.is_empty() && !image.is_empty());
    let (ecu, image) = pair.ok_or("write ECU=IMAGE, such as BRAKE-1=brake/3.1.img")?;
    Ok((ecu.into(), image.into()))
}

impl Assign {
    pub(crate) fn run(&self) -> Result<Done, Failure> {
        let mut images = Map::new();
        for (ecu, image) in &self.images {
            if images.insert(ecu.clone(), image.as_str().into()).is_some() {
                let message = format!("ECU {ecu} is named twice");
                return Err(Failure::new("usage", message));
            }
        }
        let policy = match self.best_effort {
            true => "best-effort",
            false => "all-or-nothing",
        };
        let body = json!({
            "images": images, "policy": policy, "addDependencies": self.add_dependencies,
        });
        let api = self.remote.open()?;
        let assigned = api.post(&["vehicles", &self.vin, "assignments"], &body)?;
        let parts = assigned["parts"].as_array().map(Vec::as_slice);
        let parts = parts.unwrap_or_default();
        let lines: Vec<String> = parts.iter().map(told).collect();
        match parts.iter().any(|part| part["outcome"] == "refused") {
            true => Err(Failure::new("refused", lines.join("\n")).with(assigned)),
            false => Ok(Done::new(lines.join("\n"), assigned)),
        }
    }
}

impl Cancel {
    pub(crate) fn run(&self) -> Result<Done, Failure> {
        let body = match self.ecus.is_empty() {
            true => json!({}),
            false => json!({ "ecus": self.ecus }),
        };
        let api = self.remote.open()?;
        let done = api.post(&["vehicles", &self.vin, "cancel"], &body)?;
        let gone = text(&done["cancelled"]);
        let text = match gone.is_empty() {
            true => "there was nothing to take back".to_owned(),
            false => format!("taken back: {gone}"),
        };
        Ok(Done::new(text, done))
    }
}

fn told(part: &Value) -> String {
    let (ecu, image) = (text(&part["ecu"]), text(&part["image"]));
    let refusal = &part["refusal"];
    match refusal.is_null() {
        true => format!("ECU {ecu}: {image} {}", text(&part["outcome"])),
        false => format!("ECU {ecu}: {image} refused: {}", text(&refusal["message"])),
    }
}
