//! `pki batch`

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;
use countersign_ceremony::CeremonyError;
use countersign_ceremony::pki::BatchFiles;
use countersign_repo::policy::Span;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Ca, Global, Report, now};
use crate::cli::output::count;

#[derive(Args)]
pub(in crate::cli) struct Batch {
    #[command(flatten)]
    ca: Ca,
    /// Which request is for which device
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// The folder of the requests
    #[arg(long, value_name = "DIR")]
    csrs: PathBuf,
    /// Where to write VEHICLE/ECU.pem, percent-encoded, and errors.jsonl
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How long the certificates are valid
    #[arg(long, value_name = "SPAN", default_value = "2y")]
    expires: Span,
}

impl Batch {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        let files = BatchFiles {
            manifest: &self.manifest,
            requests: &self.csrs,
            out: &self.out,
        };
        let bar = bar(global);
        let mut progress = |done: usize, of: usize| {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        };
        let secrets = global.secrets();
        let mut ca = self.ca.open()?;
        let outcome = ca.batch(&files, self.expires, now()?, &secrets, &mut progress);
        bar.finish_and_clear();
        let outcome = outcome?;
        let failed = outcome.errors.len();
        let mut text = format!(
            "{}: {} issued, {} done before, {failed} refused",
            count(outcome.rows, "row"),
            outcome.issued,
            outcome.already
        );
        if failed > 0 {
            text += &format!("\nsee {}", outcome.errors_file.display());
        }
        let json = json!({
            "rows": outcome.rows,
            "issued": outcome.issued,
            "already": outcome.already,
            "refused": failed,
            "errors": outcome.errors_file,
        });
        Ok(Report::new(text, json).with_exit_code(u8::from(failed > 0)))
    }
}

fn bar(global: &Global) -> ProgressBar {
    if global.silent() || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {per_sec} {eta}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
