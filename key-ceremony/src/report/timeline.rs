//! Every line of the transcript, with its hash.

use countersign_metadata::KeyId;

use crate::ceremony::Ceremony;
use crate::event::{Event, Line, digest};
use crate::folder::Record;
use crate::page::Page;
use crate::statement::Statement;

pub(super) fn write(page: &mut Page, record: &Record) {
    page.put("h2", "The transcript, line by line");
    page.within("table.timeline", |page| {
        page.headings(&[
            "Line",
            "Time (the lead's clock)",
            "What happened",
            "SHA-256 of the line",
        ]);
        page.within("tbody", |page| {
            for line in &record.lines {
                page.within("tr", |page| {
                    page.put("td", &line.line.to_string());
                    page.put("td", &line.time);
                    page.put("td", &what(&record.ceremony, line));
                    page.put("td.hash", &digest(line.to_text().as_bytes()));
                });
            }
        });
    });
}

fn what(ceremony: &Ceremony, line: &Line) -> String {
    match &line.event {
        Event::Planned { .. } => "planned; the hash of this line is the ceremony's id".into(),
        Event::Proved { proof, .. } => match &proof.statement {
            Statement::Possession { slot, .. } => format!("{slot} proved possession of a key"),
            _ => "a proof".into(),
        },
        Event::Reviewed { confirmed, .. } => {
            format!("the new root was reviewed, and confirmed by typing: {confirmed}")
        }
        Event::Signed { keyid, .. } => format!("{} signed the new root", name(ceremony, keyid)),
        Event::Sealed { root, seals } => {
            let by = seals.iter().filter_map(|seal| match &seal.statement {
                Statement::Seal { keyid, .. } => Some(name(ceremony, keyid)),
                _ => None,
            });
            let by: Vec<String> = by.collect();
            format!(
                "{} was written, and the transcript sealed by {}",
                root.name,
                by.join(", ")
            )
        }
    }
}

fn name(ceremony: &Ceremony, keyid: &str) -> String {
    match KeyId::new(keyid) {
        Ok(id) => ceremony.describe(&id),
        Err(_) => keyid.into(),
    }
}
