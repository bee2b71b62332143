//! `key-ceremony drill`.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use countersign_ceremony::CeremonyError;
use countersign_ceremony::drill::{self, Held, Sandbox, Shape};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::output::{Report, count};
use super::{Global, now};

const EXAMPLES: &str = "\
Examples:
  key-ceremony drill --list
  key-ceremony drill lost-root-key
  key-ceremony drill --all --like /srv/repository --out drills-2027

Nothing real is touched: the drill makes throw-away keys and a repository of its own in a temporary
folder, which it removes at the end. With --like the shape of a repository is read (how many keys
must sign, delegations, dates), never its keys, and nothing is written there.

Exit codes:
  0  everything came out as it should
  1  something did not, or the drill could not be held; the report or the message says what
  2  wrong usage";

/// Play a compromise in a sandbox and prove the recovery
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(false)))]
pub(super) struct Drill {
    /// Which drill
    #[arg(group = "which", value_parser = names())]
    name: Option<String>,
    /// Hold all drills
    #[arg(long, group = "which")]
    all: bool,
    /// List the drills
    #[arg(long, group = "which")]
    list: bool,
    /// Model the sandbox on this repository, which is only read
    #[arg(long, value_name = "REPO")]
    like: Option<PathBuf>,
    /// Write each report as NAME.html and NAME.json here, and its roots into NAME-roots
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Keep the sandbox for a closer look, with its throw-away keys
    #[arg(long)]
    keep: bool,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(drill::Drill::ALL.map(drill::Drill::name))
}

impl Drill {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        if self.list {
            return Ok(list());
        }
        let drills = match &self.name {
            Some(name) => vec![drill::Drill::from_name(name)?],
            None => drill::Drill::ALL.to_vec(),
        };
        if let Some(out) = &self.out {
            drills
                .iter()
                .try_for_each(|drill| drill::check_unused(*drill, out))?;
        }
        let shape = match &self.like {
            Some(folder) => Shape::like(folder)?,
            None => Shape::example(),
        };
        let sandbox = match self.keep {
            true => Sandbox::Keep,
            false => Sandbox::Remove,
        };
        let bar = bar(global.silent(), drills.len());
        let mut done = Done::default();
        for which in drills {
            bar.set_message(which.title());
            let held = drill::hold(which, &shape, sandbox, now()?)?;
            let written = match &self.out {
                Some(out) => held.write(out)?,
                None => Vec::new(),
            };
            done.take(&held, &written);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(done.report())
    }
}

fn list() -> Report {
    let all = drill::Drill::ALL;
    let lines = all.map(|drill| format!("{:<20} {}", drill.name(), drill.title()));
    let drills = all.map(|drill| json!({ "name": drill.name(), "title": drill.title() }));
    Report::new(lines.join("\n"), json!({ "drills": drills }))
}

fn bar(hidden: bool, drills: usize) -> ProgressBar {
    if hidden || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} drill {pos}/{len} {wide_bar} {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(drills as u64).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// What is said at the end.
#[derive(Default)]
struct Done {
    texts: Vec<String>,
    drills: Vec<Value>,
    failed: usize,
}

impl Done {
    fn take(&mut self, held: &Held, written: &[PathBuf]) {
        let mut text = held.report.to_text();
        if let Some(page) = written.first() {
            text.push_str(&format!("\n  Report: {}", page.display()));
        }
        if let Some(sandbox) = &held.sandbox {
            text.push_str(&format!(
                "\n  The sandbox was kept, with its throw-away keys: {}",
                sandbox.display()
            ));
        }
        self.texts.push(text);
        self.drills.push(json!({
            "report": held.report,
            "written": written,
            "sandbox": held.sandbox,
        }));
        self.failed += usize::from(!held.report.passed);
    }

    fn report(self) -> Report {
        let held = count(self.drills.len(), "drill");
        let sum = match self.failed {
            0 => format!("{held} held, all passed"),
            failed => format!("{held} held, {failed} FAILED"),
        };
        let text = format!("{}\n\n{sum}", self.texts.join("\n\n"));
        let report = Report::new(text, json!({ "drills": self.drills }));
        report.with_exit_code(u8::from(self.failed > 0))
    }
}
