//! `publish`, `refresh`, `renew`, `discard`

use clap::Args;
use countersign_repo::{Due, Outgoing, PublishReport, RepoError};
use serde_json::{Value, json};

use super::Global;
use super::output::{Report, count};

#[derive(Args)]
pub(super) struct Publish {
    #[command(flatten)]
    window: Window,
}

#[derive(Args)]
pub(super) struct Window {
    /// Publish without the keys that a new root takes away from online roles, because they are
    /// lost or stolen: clients that are between two requests are refused once
    ///
    /// These keys are not asked, even if they are here.
    #[arg(long)]
    accept_window: bool,
}

#[derive(Args)]
pub(super) struct Refresh {
    /// Renew timestamp and snapshot even if they are not due
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    window: Window,
}

#[derive(Args)]
pub(super) struct Renew {
    /// The roles
    #[arg(default_value = "targets")]
    roles: Vec<String>,
}

#[derive(Args)]
pub(super) struct Discard {
    /// The roles; everything, if none is named
    roles: Vec<String>,
}

impl Window {
    pub(super) fn outgoing(&self) -> Outgoing {
        match self.accept_window {
            true => Outgoing::Lost,
            false => Outgoing::Sign,
        }
    }
}

impl Publish {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        let report = global.open()?.publish(self.window.outgoing())?;
        Ok(published(&report, "nothing to publish"))
    }
}

impl Refresh {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        let due = match self.force {
            true => Due::Now,
            false => Due::ByPolicy,
        };
        let report = global.open()?.refresh(due, self.window.outgoing())?;
        Ok(published(&report, "nothing is due"))
    }
}

impl Renew {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        let mut repository = global.open()?;
        for role in &self.roles {
            match role.as_str() {
                "timestamp" | "snapshot" => {
                    return Err(RepoError::Usage(format!("{role} is renewed by 'refresh'")));
                }
                "root" => {
                    return Err(RepoError::Usage(
                        "root is renewed by 'root set-expiry'".into(),
                    ));
                }
                _ => repository.renew(role)?,
            }
        }
        let text = format!("staged the next version of {}", self.roles.join(", "));
        Ok(Report::new(text, json!({ "staged": self.roles })))
    }
}

impl Discard {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        let discarded = global.open()?.discard(&self.roles)?;
        let text = match discarded.is_empty() {
            true => "nothing was staged".into(),
            false => format!("discarded what was staged for {}", discarded.join(", ")),
        };
        Ok(Report::new(text, json!({ "discarded": discarded })))
    }
}

/// What a publish did.
pub(super) fn published(report: &PublishReport, otherwise: &str) -> Report {
    let mut lines = Vec::new();
    if report.resumed {
        lines.push("finished a publish that had been interrupted".to_owned());
    }
    if report.images > 0 {
        lines.push(format!("placed {}", count(report.images, "image")));
    }
    let roles = report.files.iter();
    lines.extend(roles.map(|(role, version)| format!("published {role} version {version}")));
    lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
    if lines.is_empty() {
        lines.push(otherwise.to_owned());
    }
    let files: Vec<Value> = report
        .files
        .iter()
        .map(|(role, version)| json!({ "role": role, "version": version }))
        .collect();
    let json = json!({
        "changed": report.changed(),
        "published": files,
        "images": report.images,
        "resumed": report.resumed,
        "notes": report.notes,
    });
    Report::new(lines.join("\n"), json)
}
