//! `sign`, `request`, `attach`

use std::path::PathBuf;

use clap::Args;
use countersign_repo::exchange::{self, Signatures};
use countersign_repo::{Outgoing, RepoError, write_new};
use serde_json::{Value, json};

use super::Global;
use super::output::{Report, count};

#[derive(Args)]
pub(super) struct Sign {
    /// Sign with this key only, even beyond the threshold; repeat for more. It must be here, and
    /// a staged role must ask for it
    #[arg(long, value_name = "URI")]
    key: Vec<String>,
    /// Ask outgoing keys for nothing, because they are lost or stolen; for 'publish --accept-window'
    #[arg(long, conflicts_with_all = ["key", "request"])]
    accept_window: bool,
    /// Sign this request from another machine; needs no repository here. Without --key, only
    /// show what it asks to sign
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// Where to write the signatures of a request; a file that is there is not overwritten
    #[arg(long, value_name = "FILE", requires = "request")]
    out: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct Request {
    /// Only for these roles
    roles: Vec<String>,
    /// Where to write the request; a file that is there is not overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Args)]
pub(super) struct Attach {
    /// Files of signatures
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

impl Sign {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        match (&self.request, &self.out, self.key.is_empty()) {
            (Some(request), Some(out), false) => return self.sign_request(global, request, out),
            (Some(request), None, true) => return show_request(request),
            (Some(_), ..) => {
                let usage = "to sign a request name both --key URI and --out FILE";
                return Err(RepoError::Usage(usage.into()));
            }
            (None, ..) => {}
        }
        let mut repository = global.open()?;
        let report = match self.accept_window {
            true => repository.sign_for(Outgoing::Lost)?,
            false => repository.sign(&self.key)?,
        };
        let mut lines: Vec<String> = report
            .signed
            .iter()
            .map(|made| format!("signed {} with {}", made.role, made.uri))
            .collect();
        if !report.staged {
            lines.push("nothing is staged".into());
        } else if lines.is_empty() && !report.missing.is_empty() {
            lines.push("nothing to sign with the keys that are here".into());
        }
        for (id, why) in &report.unreachable {
            lines.push(format!("key {id} could not be used: {why}"));
        }
        let faults = report.faults.values().map(ToString::to_string);
        let faults: Vec<String> = faults.collect();
        lines.extend(
            faults
                .iter()
                .map(|fault| format!("could not be used: {fault}")),
        );
        if !report.missing.is_empty() {
            lines.push("still missing:".into());
            lines.extend(report.missing.iter().map(|line| format!("  {line}")));
        }
        if !report.expired.is_empty() {
            lines.push("signed or not, these cannot be published:".into());
            lines.extend(report.expired.iter().map(|line| format!("  {line}")));
        }
        let complete = report.missing.is_empty() && report.expired.is_empty();
        if complete && report.staged {
            lines.push("complete: run 'repo-tool publish'".into());
        }
        let signed = report.signed.iter();
        let signed: Vec<Value> = signed
            .map(|made| json!({ "role": made.role, "keyid": made.keyid.as_str(), "uri": made.uri }))
            .collect();
        let unreachable = report.unreachable.iter();
        let unreachable: Vec<Value> = unreachable
            .map(|(id, why)| json!({ "keyid": id.as_str(), "why": why }))
            .collect();
        let json = json!({
            "signed": signed,
            "unreachable": unreachable,
            "faults": faults,
            "missing": report.missing,
            "expired": report.expired,
            "staged": report.staged,
            "complete": complete,
        });
        Ok(Report::new(lines.join("\n"), json))
    }

    fn sign_request(
        &self,
        global: &Global,
        path: &std::path::Path,
        out: &std::path::Path,
    ) -> Result<Report, RepoError> {
        let request = exchange::Request::read(path)?;
        let summaries = request.summaries(path)?;
        let signatures = request.sign(path, &self.key, &global.secrets())?;
        write_new(out, &signatures.to_file())?;
        let mut lines: Vec<String> = summaries
            .iter()
            .filter(|summary| {
                signatures
                    .signatures
                    .iter()
                    .any(|made| made.role == summary.role)
            })
            .map(|summary| {
                format!(
                    "signed {} version {} (expires {}), sha256 {}",
                    summary.role, summary.version, summary.expires, summary.sha256
                )
            })
            .collect();
        let made = signatures.signatures.len();
        lines.push(format!(
            "{} written to {}",
            count(made, "signature"),
            out.display()
        ));
        let json = json!({ "payloads": summaries, "signatures": made, "out": out });
        Ok(Report::new(lines.join("\n"), json))
    }
}

fn show_request(path: &std::path::Path) -> Result<Report, RepoError> {
    let summaries = exchange::Request::read(path)?.summaries(path)?;
    let lines: Vec<String> = summaries
        .iter()
        .map(|summary| {
            format!(
                "asks to sign {} version {} (expires {}), sha256 {}",
                summary.role, summary.version, summary.expires, summary.sha256
            )
        })
        .collect();
    Ok(Report::new(
        lines.join("\n"),
        json!({ "payloads": summaries }),
    ))
}

impl Request {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        let request = global.open()?.request(&self.roles)?;
        let summaries = request.summaries(&self.out)?;
        if summaries.is_empty() {
            let text = "nothing that is staged lacks a signature; no request was written";
            return Ok(Report::new(text, json!({ "payloads": [] })));
        }
        write_new(&self.out, &request.to_file())?;
        let mut lines: Vec<String> = request
            .payloads
            .iter()
            .zip(&summaries)
            .map(|(payload, summary)| {
                let ids: Vec<&str> = payload
                    .keys
                    .keys()
                    .map(|id| &id[..id.len().min(12)])
                    .collect();
                format!(
                    "{} version {}, sha256 {}, for keys {}",
                    summary.role,
                    summary.version,
                    summary.sha256,
                    ids.join(", ")
                )
            })
            .collect();
        lines.push(format!(
            "written to {}; there: repo-tool sign --request FILE --key URI --out SIGNATURES",
            self.out.display()
        ));
        Ok(Report::new(
            lines.join("\n"),
            json!({ "payloads": summaries, "out": self.out }),
        ))
    }
}

impl Attach {
    pub(super) fn run(&self, global: &Global) -> Result<Report, RepoError> {
        let mut repository = global.open()?;
        let mut attached = Vec::new();
        for path in &self.files {
            attached.extend(repository.attach(&Signatures::read(path)?, path)?);
        }
        let lines: Vec<String> = attached
            .iter()
            .map(|(role, id)| format!("attached the signature for {role} by {id}"))
            .collect();
        let json: Vec<Value> = attached
            .iter()
            .map(|(role, id)| json!({ "role": role, "keyid": id.as_str() }))
            .collect();
        Ok(Report::new(lines.join("\n"), json!({ "attached": json })))
    }
}
