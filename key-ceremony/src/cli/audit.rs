//! The auditor's command: verify.

use std::path::PathBuf;

use countersign_ceremony::{CeremonyError, Extent, verify};
use countersign_repo::visible::line;
use serde_json::Value;

use super::Global;
use super::output::{Report, count};
use super::plan::newest_root;

const EXAMPLES: &str = "\
Examples:
  key-ceremony verify ceremony-2027
  key-ceremony verify ceremony-2028 --previous ceremony-2027/1.root.json

Needs no network, no token and no repository. Exit code 1 names the first line that is not as it
was written.";

/// How many files that are not of the ceremony are named to people.
const SHOWN: usize = 20;

/// Check a transcript: every line, every signature and every file beside it
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Verify {
    /// The ceremony's folder
    ceremony: PathBuf,
    /// The root that the ceremony must have followed: a file, or a repository's folder
    #[arg(long, value_name = "FILE|DIR")]
    previous: Option<PathBuf>,
    /// Accept a ceremony that is not sealed yet
    #[arg(long)]
    unfinished: bool,
}

impl Verify {
    pub(super) fn run(&self, _global: &Global) -> Result<Report, CeremonyError> {
        let anchor = self.previous.as_deref().map(newest_root).transpose()?;
        let extent = match self.unfinished {
            true => Extent::SoFar,
            false => Extent::Sealed,
        };
        let found = verify(&self.ceremony, anchor.as_deref(), extent)?;
        let mut text = format!(
            "verified: {}\n  ceremony {}\n  {}, {}",
            found.name,
            found.ceremony,
            found.phase,
            count(usize::try_from(found.lines).unwrap_or(usize::MAX), "line")
        );
        if let (Some(version), Some(words)) = (found.version, &found.words) {
            text.push_str(&format!("\n  root {version}: {words}"));
        }
        for (what, who) in [("signed", &found.signed_by), ("sealed", &found.sealed_by)] {
            if !who.is_empty() {
                text.push_str(&format!("\n  {what} by {}", who.join(", ")));
            }
        }
        for accepted in &found.accepted {
            text.push_str(&format!(
                "\n  accepted {}: {}",
                accepted.finding, accepted.reason
            ));
        }
        for other in found.other_files.iter().take(SHOWN) {
            text.push_str(&format!(
                "\n  not of the ceremony, and not checked: {}",
                line(other)
            ));
        }
        if found.other_files.len() > SHOWN {
            let more = found.other_files.len() - SHOWN;
            text.push_str(&format!("\n  and {}", count(more, "more such file")));
        }
        let object = serde_json::to_value(&found).unwrap_or(Value::Null);
        Ok(Report::new(text, object))
    }
}
