//! A Director, through a small adapter:
//!
//! - `--state-dir D reset INVENTORY.json`
//! - `--state-dir D --sender VIN manifest FILE`
//!
//! The second exits with 0 if the manifest is believed and with 1 if it is dropped.

use serde_json::{Value, json};

use super::{Program, observed};
use crate::format::{Action, Step};
use crate::run::{Client, Observed, RunError};
use crate::suite::Vector;

pub(super) struct External {
    program: Program,
}

impl External {
    pub(super) fn new(program: Program) -> Result<Self, RunError> {
        Ok(Self { program })
    }
}

impl Client for External {
    fn init(&mut self, vector: &Vector) -> Result<(), RunError> {
        let inventory = json!({ "vehicles": vector.case.inventory }).to_string();
        let arguments = [
            "--state-dir".into(),
            self.program.path("state"),
            "reset".into(),
            self.program.write("inventory.json", inventory.as_bytes())?,
        ];
        let output = self.program.run(&arguments, None)?;
        match output.status.success() {
            true => Ok(()),
            false => Err(RunError(format!(
                "refused the inventory: {}",
                super::messages(&output)
            ))),
        }
    }

    fn act(&mut self, vector: &Vector, step: &Step) -> Result<Observed, RunError> {
        let Action::Manifest(manifest) = &step.action else {
            return Err(RunError(format!(
                "{:?} is nothing for a Director",
                step.action
            )));
        };
        let file = self
            .program
            .write("manifest.json", vector.file(&manifest.file))?;
        let arguments = [
            "--state-dir".into(),
            self.program.path("state"),
            "--sender".into(),
            manifest.sender.clone(),
            "manifest".into(),
            file,
        ];
        let output = self.program.run(&arguments, vector.case.clock_of(step))?;
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Ok(Observed {
            stale: texts(&said["stale"]),
            attacks: texts(&said["attacks"]),
            ..observed(&output)
        })
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let texts = value.as_array()?.iter();
    texts.map(|text| text.as_str().map(String::from)).collect()
}
