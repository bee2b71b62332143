//! The report of a drill as one printable page.

use super::record::{DrillReport, Phase, Side};
use crate::page::Page;

impl DrillReport {
    /// One HTML page for management and for engineers, to print or to file.
    pub fn to_page(&self) -> String {
        let mut page = Page::new(
            &format!("Compromise drill: {}", self.title),
            &format!("compromise drill {}", self.drill),
        );
        self.summary(&mut page);
        self.technical(&mut page);
        page.finish()
    }

    fn summary(&self, page: &mut Page) {
        page.put("p.kind", &format!("Compromise drill: {}", self.drill));
        page.put("h1", &self.title);
        let model = match &self.shape.like {
            Some(like) => format!("modelled on the repository {like}"),
            None => "on an example repository".into(),
        };
        page.put(
            "p.note",
            &format!(
                "Held on {}, {model}, with throw-away keys in a sandbox. No real key was used and \
                 nothing was changed. Times in this report are virtual. Countersign {}.",
                self.held, self.software
            ),
        );
        let (tag, result) = match self.passed {
            true => ("p.good", "Passed: everything came out as it should."),
            false => (
                "p.bad",
                "FAILED: not everything came out as it should. See the first list below.",
            ),
        };
        page.put(tag, result);
        let failed = self.failed().map(|claim| {
            format!(
                "Not true: {} (claim {}: expected \"{}\", the {} says \"{}\")",
                claim.says, claim.number, claim.expected, claim.by, claim.verdict.text
            )
        });
        list(page, "Not as it should be", failed);
        page.put("h2", "What was simulated");
        page.put("p", &self.facts.played);
        let says = |side| self.holding(side).map(|claim| claim.says.clone());
        list(page, "What the attacker could do", says(Side::AttackerCan));
        list(
            page,
            "What the attacker could not do",
            says(Side::AttackerCannot),
        );
        page.put("h2", "How it ended");
        page.put("p", &self.recovered());
        let honest = self.holding(Side::Honest);
        let after = honest.filter(|claim| claim.phase != Phase::Before);
        bullets(page, after.map(|claim| claim.says.clone()));
        list(page, "What remains", self.facts.remains.iter().cloned());
        list(page, "What to do now", self.facts.to_do.iter().cloned());
        list(
            page,
            "About this repository",
            self.facts.remarks.iter().cloned(),
        );
    }

    fn technical(&self, page: &mut Page) {
        page.put("h2", "The repository");
        let layout = match self.shape.consistent_snapshot {
            true => "consistent snapshots",
            false => "no consistent snapshots",
        };
        let roles = self.shape.roles.iter().cloned();
        bullets(page, roles.chain([layout.to_owned()]));
        page.put("h2", "What was tried");
        page.put(
            "p.note",
            "A verdict is the expected one unless its row says otherwise.",
        );
        let rows = self.claims.iter().map(|claim| {
            let mut verdict = claim.verdict.text.clone();
            if let Some(code) = claim.verdict.code {
                verdict.push_str(&format!(" [{code}]"));
            }
            if !claim.holds {
                verdict.push_str(&format!("; expected: {}", claim.expected));
            }
            let row = [
                claim.number.to_string(),
                format!("{}: {}", claim.phase.title(), claim.side.title()),
                claim.says.clone(),
                claim.tried.clone(),
                claim.by.clone(),
                verdict,
                claim.verdict.detail.clone(),
            ];
            (claim.holds, row)
        });
        table(
            page,
            [
                "No.",
                "Part",
                "Claim",
                "Tried",
                "By",
                "Verdict",
                "In its words",
            ],
            rows,
        );
        page.put("h2", "The recovery, step by step");
        page.put(
            "p.note",
            "As it would be typed in earnest; keys stand where the tokens of a real repository \
             would be.",
        );
        let steps = self.recovery.iter().zip(1..).map(|(step, number)| {
            let row = [
                number.to_string(),
                step.who.clone(),
                step.what.clone(),
                step.command.clone(),
            ];
            (true, row)
        });
        table(page, ["No.", "Who", "What", "Command"], steps);
        page.put("h2", "Timeline");
        let moments = self.timeline.iter();
        table(
            page,
            ["Virtual time", "What happened"],
            moments.map(|moment| (true, [moment.time.clone(), moment.what.clone()])),
        );
        page.put("h2", "The chain of roots");
        page.within("table.facts", |page| {
            for root in &self.roots {
                page.fact(
                    &format!("Root {}", root.version),
                    &format!("expires {}", root.expires),
                );
                page.hash("SHA-256 of the file", &root.sha256);
                page.fact("fingerprint", &root.words);
            }
        });
    }
}

/// A heading and a list; nothing for an empty list.
fn list(page: &mut Page, title: &str, items: impl Iterator<Item = String>) {
    let mut items = items.peekable();
    if items.peek().is_some() {
        page.put("h2", title);
        bullets(page, items);
    }
}

fn bullets(page: &mut Page, items: impl Iterator<Item = String>) {
    page.within("ul", |page| items.for_each(|item| page.put("li", &item)));
}

/// Rows that are as they should be, or not.
fn table<const N: usize>(
    page: &mut Page,
    head: [&str; N],
    rows: impl Iterator<Item = (bool, [String; N])>,
) {
    page.within("table.drill", |page| {
        page.headings(&head);
        for (fine, row) in rows {
            page.within(if fine { "tr" } else { "tr.bad" }, |page| {
                row.iter().for_each(|cell| page.put("td", cell));
            });
        }
    });
}
