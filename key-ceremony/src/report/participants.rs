//! Who took part, with which keys, and lines for them to sign by pen.

use std::collections::BTreeSet;

use countersign_signing::Weakness;

use crate::event::Event;
use crate::folder::Record;
use crate::page::Page;
use crate::profile::Slot;
use crate::review::{Diff, NamedKey};
use crate::statement::{CustodyFacts, Statement};

/// One key in one role, and how it stands there.
struct Part<'a> {
    role: &'a str,
    key: &'a NamedKey,
    standing: &'static str,
}

pub(super) fn write(page: &mut Page, record: &Record, diff: &Diff) {
    page.put("h2", "Who holds which key, and who took part");
    let parts = parts(diff);
    page.within("table.keys", |page| {
        page.headings(&["Who", "Role and key", "Where the private key is", "When"]);
        page.within("tbody", |page| {
            for (holder, who) in &record.ceremony.profile().holders {
                write_holder(page, record, Some(holder), who, &parts);
            }
            write_holder(page, record, None, "named by nobody", &parts);
        });
    });
    page.put(
        "p.note",
        "Where a key is, and when, is what the holder's machine stated and signed with that key.",
    );
}

pub(super) fn write_lines_for_pens(page: &mut Page, record: &Record) {
    page.within("section.pens", |page| {
        page.put("h2", "Signatures by pen");
        page.put(
            "p",
            "I was there. The words on the first page are those that were read aloud and that my \
             own machine showed, and this record says what happened.",
        );
        page.within("table", |page| {
            page.headings(&["Name", "Place and date", "Signature"]);
            page.within("tbody", |page| {
                for holder in active(record) {
                    let who = record.ceremony.profile().holders.get(holder);
                    write_pen(page, holder, who.map_or("", String::as_str));
                }
                for role in ["lead of the ceremony", "witness", "witness"] {
                    write_pen(page, "", role);
                }
            });
        });
    });
}

fn write_pen(page: &mut Page, name: &str, who: &str) {
    page.within("tr", |page| {
        page.within("td", |page| {
            page.text(name);
            page.put("span", &format!(" {who}"));
        });
        page.put("td", "");
        page.put("td", "");
    });
}

fn parts(diff: &Diff) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for role in &diff.roles {
        let standings = [
            (&role.gains, "new"),
            (&role.stays, "stays"),
            (&role.loses, "leaves"),
        ];
        for (keys, standing) in standings {
            parts.extend(keys.iter().map(|key| Part {
                role: &role.role,
                key,
                standing,
            }));
        }
    }
    parts
}

fn write_holder(
    page: &mut Page,
    record: &Record,
    holder: Option<&str>,
    who: &str,
    parts: &[Part<'_>],
) {
    let theirs = |part: &&Part<'_>| part.key.holder.as_deref() == holder;
    for part in parts.iter().filter(theirs) {
        page.within("tr", |page| {
            page.within("td", |page| {
                page.put("b", holder.unwrap_or_default());
                page.put("div", who);
            });
            write_part(page, record, part);
        });
    }
}

fn write_part(page: &mut Page, record: &Record, part: &Part<'_>) {
    let slot = Slot {
        role: part.role.into(),
        holder: part.key.holder.clone().unwrap_or_default(),
    };
    let proof = proof(record, &slot).filter(|_| part.standing == "new");
    page.within("td", |page| {
        page.put("b", part.role);
        page.text(&format!(" ({}), {}", part.standing, part.key.scheme));
        page.put("div.hash", &part.key.keyid);
        page.put("div", &part.key.words);
    });
    page.within("td", |page| match proof {
        Some((custody, _)) => write_custody(page, custody),
        None => page.text("not stated again: the key is in the root before"),
    });
    page.within("td", |page| {
        if let Some((_, time)) = proof {
            page.put("div", "proved");
            page.put("div.hash", time);
        }
        if let Some(time) = signed(record, &part.key.keyid) {
            page.put("div", "signed the root");
            page.put("div.hash", time);
        }
    });
}

fn write_custody(page: &mut Page, custody: &CustodyFacts) {
    page.text(&custody.home);
    for weakness in &custody.weaknesses {
        page.put("div.weak", in_words(weakness));
    }
    if custody.weaknesses.is_empty() {
        page.put("div", "made there, and cannot leave it");
    }
    if custody.in_ci {
        page.put("div", "proved on a CI machine");
    }
}

fn in_words(weakness: &str) -> &str {
    let words = [
        (Weakness::InFile, "a file: there may be copies"),
        (Weakness::Extractable, "it can leave its token"),
        (Weakness::NotSensitive, "its token may show it"),
        (Weakness::Imported, "it may have been made elsewhere"),
    ];
    let known = words.iter().find(|(known, _)| known.name() == weakness);
    known.map_or(weakness, |(_, words)| words)
}

/// How the key of a place is kept, and when that was stated.
fn proof<'a>(record: &'a Record, wanted: &Slot) -> Option<(&'a CustodyFacts, &'a str)> {
    record.lines.iter().find_map(|line| match &line.event {
        Event::Proved { proof, .. } => match &proof.statement {
            Statement::Possession {
                slot,
                custody,
                time,
                ..
            } if slot == wanted => Some((custody, time.as_str())),
            _ => None,
        },
        _ => None,
    })
}

/// When a key signed the Root.
fn signed<'a>(record: &'a Record, wanted: &str) -> Option<&'a str> {
    record.lines.iter().find_map(|line| match &line.event {
        Event::Signed {
            keyid, statement, ..
        } if keyid == wanted => match &statement.statement {
            Statement::RootSignature { time, .. } => Some(time.as_str()),
            _ => None,
        },
        _ => None,
    })
}

/// The holders who proved or signed something.
fn active(record: &Record) -> BTreeSet<&str> {
    let ceremony = &record.ceremony;
    let proved = ceremony.proved().keys().map(|slot| slot.holder.as_str());
    let signed = ceremony
        .signed_by()
        .filter_map(|id| ceremony.signing_holder(id));
    proved.chain(signed).collect()
}
