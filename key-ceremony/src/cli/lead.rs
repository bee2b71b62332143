//! Conducting a ceremony: status, merge, review.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use countersign_ceremony::conduct::{Merged, REQUEST};
use countersign_ceremony::profile::Accepted;
use countersign_ceremony::{Ceremony, CeremonyError, Folder, Phase, fingerprint, policy, review};
use serde_json::json;

use super::output::Report;
use super::plan::{Accept, check_followed};
use super::{Global, confirm, now};

/// Show how far a ceremony is and what comes next
#[derive(clap::Args)]
#[command(after_help = "Example:\n  key-ceremony status ceremony-2027")]
pub(super) struct Status {
    /// The ceremony's folder
    ceremony: PathBuf,
}

impl Status {
    pub(super) fn run(&self, _global: &Global) -> Result<Report, CeremonyError> {
        match Folder::open(&self.ceremony) {
            Ok(folder) => {
                folder.write_derived()?;
                Ok(status(folder.ceremony()))
            }
            // An archive that is write-once.
            Err(CeremonyError::Io { source, .. }) if is_read_only(&source) => {
                Ok(status(&Folder::look(&self.ceremony)?))
            }
            Err(error) => Err(error),
        }
    }
}

fn is_read_only(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

const MERGE_EXAMPLES: &str = "\
Examples:
  key-ceremony merge ceremony-2027 /media/usb/anna-root.proof.json
  key-ceremony merge ceremony-2027 /media/usb/*.signed.json

A file that was taken in before is no error, so an interrupted run can be repeated.";

/// Take in proofs and signatures that came from the holders
#[derive(clap::Args)]
#[command(after_help = MERGE_EXAMPLES)]
pub(super) struct Merge {
    /// The ceremony's folder
    ceremony: PathBuf,
    /// The files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    accept: Accept,
}

impl Merge {
    pub(super) fn run(&self, _global: &Global) -> Result<Report, CeremonyError> {
        let mut folder = Folder::open(&self.ceremony)?;
        let accepted = self.accept.parse()?;
        let mut merged = Vec::new();
        for file in &self.files {
            merged.extend(folder.merge(file, &accepted, now()?)?);
        }
        let mut lines: Vec<String> = merged.iter().map(told).collect();
        let keys = merged.iter().filter_map(|merged| match merged {
            Merged::Proof { slot, words, .. } => Some((slot.to_string(), words)),
            _ => None,
        });
        let keys: BTreeMap<String, &String> = keys.collect();
        let overridden = || merged.iter().flat_map(overridden);
        let idle = |entry: &&Accepted| !overridden().any(|known| known == *entry);
        lines.extend(accepted.iter().filter(idle).map(|entry| {
            let finding = &entry.finding;
            format!("nothing here needed --accept {finding}, so it is not recorded")
        }));
        let first = lines.iter().filter_map(|line| line.lines().next());
        let object = json!({
            "merged": first.collect::<Vec<_>>(),
            "words": keys,
            "accepted": overridden().collect::<Vec<_>>(),
        });
        Ok(status(folder.ceremony()).below(&lines.join("\n"), object))
    }
}

/// What came of one file. The words of a key are for its holder to compare.
fn told(merged: &Merged) -> String {
    let mut text = match merged {
        Merged::Proof { slot, words, .. } => format!("proved: {slot}\n  {words}"),
        Merged::Signature(who) => format!("signed: {who}"),
        Merged::Known(what) => format!("had that already: {what}"),
    };
    for Accepted { finding, reason } in overridden(merged) {
        text.push_str(&format!(
            "\n  POLICY OVERRIDDEN: {finding}, because: {reason}"
        ));
    }
    text
}

fn overridden(merged: &Merged) -> &[Accepted] {
    match merged {
        Merged::Proof { accepted, .. } => accepted,
        Merged::Signature(_) | Merged::Known(_) => &[],
    }
}

const REVIEW_EXAMPLES: &str = "\
Examples:
  key-ceremony review ceremony-2027
  key-ceremony review ceremony-2027 --show           (look, record nothing)
  key-ceremony review ceremony-2027 --confirm \"root 2 anchor velvet\"";

/// Show what the next root changes, and ask for it to be confirmed
#[derive(clap::Args)]
#[command(after_help = REVIEW_EXAMPLES)]
pub(super) struct Review {
    /// The ceremony's folder
    ceremony: PathBuf,
    /// Only show it
    #[arg(long, conflicts_with = "confirm")]
    show: bool,
    /// What would be typed at the prompt, for scripts: '--show --format json' tells
    #[arg(long, value_name = "TEXT")]
    confirm: Option<String>,
    /// The repository whose newest root must be the one that this ceremony follows
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    #[command(flatten)]
    accept: Accept,
}

impl Review {
    pub(super) fn run(&self, global: &Global) -> Result<Report, CeremonyError> {
        let mut folder = Folder::open(&self.ceremony)?;
        check_followed(&folder, self.repo.as_deref())?;
        let now = now()?;
        let (root, diff) = folder.next_root()?;
        let words = fingerprint(root.to_payload().as_bytes());
        let wanted = review::confirmation(&root);
        let mut shown = diff.to_text();
        let before = folder.ceremony().previous().map(|root| root.content());
        let mut findings = folder.ceremony().findings().to_vec();
        if folder.ceremony().review().is_none() {
            findings.extend(policy::check_root(before, &root, now));
        }
        for finding in &findings {
            shown.push_str(&format!("\n  {finding}"));
        }
        for accepted in folder.ceremony().accepted() {
            shown.push_str(&format!(
                "\n  accepted {}: {}",
                accepted.finding, accepted.reason
            ));
        }
        shown.push_str(&format!("\nfingerprint: {words}"));
        let object = json!({
            "diff": diff,
            "findings": findings,
            "accepted": folder.ceremony().accepted(),
            "words": words,
            "confirm": wanted,
            "request": self.ceremony.join(REQUEST),
        });
        if self.show {
            return Ok(Report::new(shown, object));
        }
        if folder.ceremony().review().is_some() {
            folder.write_derived()?;
            let text = format!("{shown}\nreviewed already");
            return Ok(Report::new(text, object));
        }
        let typed = confirm::ask(global, self.confirm.as_deref(), &wanted, &shown)?;
        folder.review(&root, self.accept.parse()?, &typed, now)?;
        let text = format!(
            "reviewed. next: carry {} to the holders of root keys; read the fingerprint to them\n  \
             {words}",
            self.ceremony.join(REQUEST).display()
        );
        Ok(Report::new(text, object))
    }
}

/// Where a ceremony is, and what comes next.
fn status(ceremony: &Ceremony) -> Report {
    let missing: Vec<String> = ceremony.unproved().map(|slot| slot.to_string()).collect();
    let signed: Vec<String> = ceremony
        .signed_by()
        .map(|id| ceremony.describe(id))
        .collect();
    let unsigned: Vec<String> = ceremony
        .signing_keys()
        .keys()
        .filter(|id| !ceremony.signed_by().any(|signed| signed == *id))
        .map(|id| ceremony.describe(id))
        .collect();
    let complete = ceremony.review().is_some() && ceremony.root_file().is_ok();
    let next = match ceremony.phase() {
        Phase::Planned => format!("merge the proofs of {}", missing.join(", ")),
        Phase::Keyed => "review".into(),
        Phase::Reviewed | Phase::Signing if complete => "seal".into(),
        Phase::Reviewed | Phase::Signing => {
            format!(
                "merge signatures; these can still sign: {}",
                unsigned.join(", ")
            )
        }
        Phase::Sealed => format!("publish {}", ceremony.root_name()),
    };
    let phase = ceremony.phase().to_string();
    let mut text = format!("{phase}: {}", ceremony.profile().name);
    if !signed.is_empty() {
        text.push_str(&format!("\nsigned by {}", signed.join(", ")));
    }
    text.push_str(&format!("\nnext: {next}"));
    Report::new(
        text,
        json!({
            "ceremony": ceremony.id(),
            "phase": phase,
            "unproved": missing,
            "signed": signed,
            "can_sign": if ceremony.review().is_some() { unsigned } else { Vec::new() },
            "complete": complete,
            "next": next,
        }),
    )
}
