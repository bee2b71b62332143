//! What the ceremony was for, what came of it, and how to check that.

use countersign_metadata::Role;

use crate::event::{Attachment, Event, Line, digest};
use crate::folder::{PREVIOUS, Record, TRANSCRIPT};
use crate::page::Page;
use crate::profile::RepositoryKind;
use crate::words::fingerprint;

pub(super) fn write(page: &mut Page, record: &Record) {
    let ceremony = &record.ceremony;
    let profile = ceremony.profile();
    page.put("p.kind", "Record of a key ceremony");
    page.put("h1", &profile.name);
    page.within("table.facts", |page| {
        page.fact("Root of trust for", kind(profile.repository));
        if let (Some(first), Some(last)) = (record.lines.first(), record.lines.last()) {
            page.fact("From", &format!("{} (UTC, the lead's clock)", first.time));
            page.fact("To", &last.time);
        }
        if let Some(review) = ceremony.review() {
            page.fact("New root", &format!("version {}", review.root.version()));
            page.fact("Valid until", &review.root.expires().to_string());
        }
        match ceremony.previous() {
            None => page.fact("Follows", "nothing: it is the first root"),
            Some(previous) => {
                page.fact(
                    "Follows",
                    &format!("version {}", previous.content().version()),
                );
                page.hash(
                    &format!("SHA-256 of {PREVIOUS}"),
                    &digest(previous.received()),
                );
            }
        }
        if let Some(sealed) = ceremony.sealed() {
            let names: Vec<String> = sealed.by.iter().map(|id| ceremony.describe(id)).collect();
            page.fact("Sealed by", &names.join(", "));
        }
        page.fact("Software", &format!("Countersign {}", record.software()));
        page.hash("Ceremony", ceremony.id());
        page.hash("Last line of the transcript", ceremony.head());
        if let Some(root) = record.new_root() {
            page.hash(&format!("SHA-256 of {}", root.name), &root.sha256);
        }
    });
    if let Some(review) = ceremony.review() {
        write_words(page, &fingerprint(review.payload.as_bytes()));
    }
}

pub(super) fn write_checks(page: &mut Page, record: &Record) {
    let ceremony = &record.ceremony;
    page.put("h2", "How to check this page");
    page.put(
        "p",
        "This page follows from the transcript. These commands need no network and no token, and \
         print what is shown above: the words, the hash of the last line, the hash of the file.",
    );
    let mut commands = String::from("key-ceremony verify FOLDER");
    if ceremony.previous().is_some() {
        commands.push_str(" --previous THE-ROOT-BEFORE");
    }
    commands.push_str(&format!(
        "\ntail -n 1 FOLDER/{TRANSCRIPT} | tr -d '\\n' | sha256sum"
    ));
    if let Some(root) = record.new_root() {
        commands.push_str(&format!("\nsha256sum FOLDER/{}", root.name));
    }
    page.put("pre", &commands);
    page.put(
        "p",
        "No command can tell who the people were. That is what the names and signatures by pen \
         below are for.",
    );
}

fn write_words(page: &mut Page, words: &str) {
    page.within("section.words", |page| {
        page.put(
            "p.kind",
            "Fingerprint of the new root, to be compared by voice",
        );
        page.within("div", |page| {
            for (number, word) in (1..).zip(words.split(' ')) {
                page.within("span", |page| {
                    page.put("span", &format!("{number}"));
                    page.text(word);
                });
            }
        });
    });
}

fn kind(repository: RepositoryKind) -> &'static str {
    match repository {
        RepositoryKind::Image => "an image repository",
        RepositoryKind::Director => "a Director repository",
    }
}

impl Record {
    /// The profile's text, as it was planned.
    pub(super) fn profile(&self) -> &str {
        self.lines.iter().find_map(profile_of).unwrap_or_default().0
    }

    fn software(&self) -> &str {
        self.lines.iter().find_map(profile_of).unwrap_or_default().1
    }

    fn new_root(&self) -> Option<&Attachment> {
        self.lines.iter().find_map(|line| match &line.event {
            Event::Sealed { root, .. } => Some(root),
            _ => None,
        })
    }
}

fn profile_of(line: &Line) -> Option<(&str, &str)> {
    match &line.event {
        Event::Planned {
            profile, software, ..
        } => Some((profile, software)),
        _ => None,
    }
}
