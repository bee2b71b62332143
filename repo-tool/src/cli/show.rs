//! `status`, `diff`, `verify`

use std::path::PathBuf;

use clap::Args;
use countersign_repo::policy::Policy;
use countersign_repo::{Extent, RepoError, SignatureStatus, verify};
use serde_json::json;

use super::output::{Report, count};
use super::{Global, now};

#[derive(Args)]
pub(super) struct Status {
    /// Look at every bin too, which reads every file
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
pub(super) struct Verify {
    /// A folder with metadata/ and targets/; without it, the repository's destination
    dir: Option<PathBuf>,
}

impl Status {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        let extent = match self.all {
            true => Extent::All,
            false => Extent::WithoutBins,
        };
        let status = global.open()?.status(extent)?;
        let mut lines = Vec::new();
        if status.interrupted {
            lines.push(
                "the public tree is not what was published last: a publish was interrupted, \
                 'destination' in repo.toml was changed, or files were removed"
                    .into(),
            );
            lines.extend(status.lacking.iter().map(|line| format!("  {line}")));
            lines.push(
                "  run 'repo-tool publish' to put the metadata right, then 'repo-tool verify', \
                 which tells whether images are missing too"
                    .into(),
            );
        }
        lines.push(match status.published.is_empty() {
            true => "nothing is published yet".to_owned(),
            false => "published:".to_owned(),
        });
        for file in &status.published {
            let (role, version) = (&file.role, file.version);
            let note = match file.freshness {
                "fresh" => String::new(),
                other => format!("  ({other})"),
            };
            lines.push(format!(
                "  {role} {version}, expires {}{note}",
                file.expires
            ));
        }
        for way in &status.way_over {
            lines.push(format!(
                "a newer root is public, but clients at root {} may still ask until {}: files are \
                 signed by its keys too, so keep them",
                way.root, way.until
            ));
        }
        for key in &status.unneeded_keys {
            lines.push(format!(
                "no role needs {key} any more: take it out of retired_keys in repo.toml"
            ));
        }
        lines.push(match status.staged.is_empty() {
            true => "nothing is staged".to_owned(),
            false => "staged:".to_owned(),
        });
        for file in &status.staged {
            lines.push(format!(
                "  {} {}, expires {}",
                file.role, file.version, file.expires
            ));
            if let Some(remedy) = &file.expired {
                lines.push(format!("    expired, so it cannot be published; {remedy}"));
            }
            lines.extend(file.signatures.iter().map(signatures));
        }
        let json = serde_json::to_value(&status).unwrap_or_default();
        Ok(Report::new(lines.join("\n"), json))
    }
}

fn signatures(by: &SignatureStatus) -> String {
    let mut line = format!("    {} of {} by {}", by.have, by.need, by.by);
    if by.have < by.need as usize {
        for key in &by.missing {
            let uri = key.uri.as_deref().unwrap_or("elsewhere");
            line.push_str(&format!("\n      can sign: {} ({uri})", key.keyid));
        }
    }
    line
}

pub(super) fn diff(global: &Global) -> Result<Report, RepoError> {
    let diffs = global.open()?.diff()?;
    let mut lines = Vec::new();
    for role in &diffs {
        let from = role
            .from
            .map_or("new".to_owned(), |version| version.to_string());
        lines.push(format!("{}: {from} -> {}", role.role, role.to));
        for change in &role.changes {
            let name = match change.name.as_str() {
                "" => String::new(),
                name => format!(" {name}"),
            };
            lines.push(format!(
                "  {} {}{name}: {}",
                change.sign, change.what, change.detail
            ));
        }
    }
    if lines.is_empty() {
        lines.push("nothing is staged".into());
    }
    Ok(Report::new(lines.join("\n"), json!({ "roles": diffs })))
}

impl Verify {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        let folder = match &self.dir {
            Some(folder) => folder.clone(),
            None => global.repo.join(Policy::load(&global.repo)?.destination),
        };
        if !folder.join("metadata").is_dir() {
            let folder = folder.display();
            return Err(RepoError::Usage(format!(
                "{folder} has no folder metadata/"
            )));
        }
        let found = verify(&folder, now()?, &global.bars())?;
        let mut lines: Vec<String> = found
            .faults
            .iter()
            .map(|fault| format!("{}: {}", fault.at, fault.what))
            .collect();
        let extra = found.extra.iter();
        lines
            .extend(extra.map(|path| format!("{}: not named by current metadata", path.display())));
        lines.push(format!(
            "root version {}, {}, {}, {} bytes hashed: {}",
            found.root,
            count(found.roles, "targets role"),
            count(found.images, "image"),
            found.bytes,
            match found.faults.is_empty() {
                true => "good".to_owned(),
                false => count(found.faults.len(), "fault"),
            }
        ));
        let json = serde_json::to_value(&found).unwrap_or_default();
        let exit_code = u8::from(!found.faults.is_empty());
        Ok(Report::new(lines.join("\n"), json).with_exit_code(exit_code))
    }
}
