//! What the new Root changes against the one before.

use crate::page::Page;
use crate::review::{Diff, NamedKey, RoleDiff};

pub(super) fn write(page: &mut Page, diff: &Diff) {
    page.put(
        "h2",
        &match diff.from {
            Some(from) => format!("What changed from root {from} to root {}", diff.to),
            None => format!("What root {} says", diff.to),
        },
    );
    page.within("table.change", |page| {
        page.headings(&["Role", "Who must sign", "Keys"]);
        page.within("tbody", |page| {
            diff.roles.iter().for_each(|role| write_role(page, role))
        });
    });
    if let Some(before) = diff.expired.as_ref().filter(|date| **date != diff.expires) {
        let text = format!("Valid until {}; before: {before}.", diff.expires);
        page.put("p.note", &text);
    }
    if !diff.other.is_empty() {
        page.put(
            "p.weak",
            &format!("Also changed: {}.", diff.other.join(", ")),
        );
    }
}

fn write_role(page: &mut Page, role: &RoleDiff) {
    let keys = role.gains.len() + role.stays.len();
    page.within("tr", |page| {
        page.put("td", &role.role);
        page.within("td", |page| {
            page.text(&format!("{} of {keys}", role.threshold));
            if let Some(before) = role.threshold_before.filter(|b| *b != role.threshold) {
                page.put("div.weak", &format!("threshold before: {before}"));
            }
        });
        page.within("td", |page| {
            write_keys(page, "div.gains", "gains", &role.gains);
            write_keys(page, "div.loses", "loses", &role.loses);
            write_keys(page, "div.keeps", "keeps", &role.stays);
        });
    });
}

fn write_keys(page: &mut Page, tag: &'static str, word: &str, keys: &[NamedKey]) {
    for key in keys {
        page.put(tag, &format!("{word} {}", key.to_text()));
    }
}
