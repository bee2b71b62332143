//! What the policy said, and who overrode it.

use crate::event::{Event, Line};
use crate::folder::Record;
use crate::page::Page;
use crate::policy::{Finding, Weight};
use crate::profile::Accepted;
use crate::statement::Statement;

/// The overrides, where nobody overlooks them.
pub(super) fn write_overrides(page: &mut Page, record: &Record) {
    let overrides = overrides(record);
    if overrides.is_empty() {
        page.put("p", "No finding of the policy was overridden.");
        return;
    }
    page.within("section.overrides", |page| {
        page.put("h2", "Overrides of the policy");
        page.within("table", |page| {
            page.headings(&["Finding", "Accepted", "Reason"]);
            page.within("tbody", |page| {
                for (accepted, by) in &overrides {
                    page.within("tr", |page| {
                        page.put("td", &accepted.finding);
                        page.put("td", by);
                        page.put("td", &accepted.reason);
                    });
                }
            });
        });
    });
}

pub(super) fn write(page: &mut Page, record: &Record) {
    page.put("h2", "What the policy said");
    let findings = record.ceremony.findings();
    if findings.is_empty() {
        page.put("p", "Nothing.");
        return;
    }
    page.within("table.findings", |page| {
        page.headings(&["Finding", "About", "What", "Source of the rule"]);
        page.within("tbody", |page| {
            for finding in findings {
                write_finding(page, finding);
            }
        });
    });
}

fn write_finding(page: &mut Page, finding: &Finding) {
    page.within("tr", |page| {
        page.within("td", |page| {
            page.text(&finding.name);
            // A refusal stands in a transcript only where it was overridden.
            match finding.weight {
                Weight::Refuse => page.put("div.weak", "refused, and overridden"),
                Weight::Warn => page.put("div.weak", "warning"),
                Weight::Note => page.put("div", "note"),
            }
        });
        page.put("td", &finding.subject);
        page.put("td", &finding.text);
        page.put("td", &finding.source);
    });
}

/// Every override, with who accepted it and where that stands.
fn overrides(record: &Record) -> Vec<(&Accepted, String)> {
    let mut all = Vec::new();
    for accepted in &record.ceremony.profile().policy.accept {
        all.push((accepted, "in the profile".to_owned()));
    }
    for line in &record.lines {
        all.extend(overrides_of(line));
    }
    all
}

fn overrides_of(line: &Line) -> Vec<(&Accepted, String)> {
    let at = line.line;
    match &line.event {
        Event::Planned { accepted, .. } => {
            by(accepted, format!("by the lead, at the plan (line {at})"))
        }
        Event::Reviewed { accepted, .. } => {
            by(accepted, format!("by the lead, at the review (line {at})"))
        }
        Event::Proved {
            proof, accepted, ..
        } => {
            let mut all = match &proof.statement {
                Statement::Possession { slot, accepted, .. } => {
                    by(accepted, format!("by the holder of {slot} (line {at})"))
                }
                _ => Vec::new(),
            };
            all.extend(by(
                accepted,
                format!("by the lead, for a proof (line {at})"),
            ));
            all
        }
        Event::Signed { .. } | Event::Sealed { .. } => Vec::new(),
    }
}

fn by(list: &[Accepted], who: String) -> Vec<(&Accepted, String)> {
    list.iter()
        .map(|accepted| (accepted, who.clone()))
        .collect()
}
