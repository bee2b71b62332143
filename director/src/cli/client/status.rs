//! The Director itself.

use serde_json::{Value, json};

use super::Remote;
use super::shown::{table, text};
use super::vehicles::{ENTRY, pages};
use crate::cli::output::{Done, Failure};

/// How the Director is, and what to see to
///
/// The exit code is 1 if there is something.
#[derive(clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    remote: Remote,
}

/// What has happened: the audit log
#[derive(clap::Args)]
pub(crate) struct Log {
    #[command(flatten)]
    remote: Remote,
    /// Only what came after this entry
    #[arg(long, value_name = "ENTRY", default_value_t = 0)]
    after: u64,
}

impl Status {
    pub(crate) fn run(&self) -> Result<Done, Failure> {
        let status = self.remote.open()?.get(&["status"], &[])?;
        let root = &status["root"];
        let mut lines = vec![match root.is_null() {
            true => "there is no Root".to_owned(),
            false => format!(
                "Root {} until {}",
                text(&root["version"]),
                text(&root["expires"])
            ),
        }];
        let alarms: Vec<&Value> = status["alarms"].as_array().into_iter().flatten().collect();
        let told = alarms.iter().map(|alarm| {
            let (code, message) = (text(&alarm["code"]), text(&alarm["message"]));
            format!("{code}: {message}")
        });
        lines.extend(told);
        match alarms.is_empty() {
            true => Ok(Done::new(lines.join("\n"), status)),
            false => Err(Failure::new("alarms", lines.join("\n")).with(status)),
        }
    }
}

impl Log {
    pub(crate) fn run(&self) -> Result<Done, Failure> {
        let query = [("after", self.after.to_string())];
        let entries = pages(&self.remote.open()?, &["audit"], "entries", &query)?;
        Ok(Done::new(
            table(&entries, &ENTRY),
            json!({ "entries": entries }),
        ))
    }
}
