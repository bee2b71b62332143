//! A drill: what would happen to this very repository if its online keys were stolen.

use std::error::Error;

use serde_json::Value;

use crate::narrator::Narrator;
use crate::stage::Stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A compromise, rehearsed on throw-away keys in the repository's own shape.
pub(crate) fn hold(stage: &Stage, narrator: &mut Narrator) -> Result<()> {
    narrator
        .chapter("A drill: what if snapshot and timestamp keys were stolen from this repository?");
    let reports = stage.folder.join("drills");
    let repository = stage.repository();
    let told = stage.ceremony([
        "--format".as_ref(),
        "json".as_ref(),
        "drill".as_ref(),
        "fast-forward".as_ref(),
        "--like".as_ref(),
        repository.as_os_str(),
        "--out".as_ref(),
        reports.as_os_str(),
    ])?;
    let told: Value = serde_json::from_str(&told)?;
    let report = &told["drills"][0]["report"];
    let claims = report["claims"].as_array();
    for claim in claims.into_iter().flatten() {
        if claim["side"] != "honest" {
            let says = claim["says"].as_str().unwrap_or("a claim without words");
            let verdict = claim["verdict"]["text"].as_str().unwrap_or("no verdict");
            narrator.check(&format!("{says} [{verdict}]"), claim["holds"] == true);
        }
    }
    narrator.check(
        "Every device came back by itself, and the report for the management is written.",
        report["recovered"] == true && reports.join("fast-forward.html").is_file(),
    );
    Ok(())
}
