//! The report as one printable page, without anything from elsewhere.

use std::fmt::Write as _;

use super::record::{DrillReport, Phase, Side};

const STYLE: &str = "\
body{font:11pt/1.45 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111}
h1{font-size:1.7rem;margin-bottom:.2rem}h2{font-size:1.2rem;margin-top:2rem;border-bottom:1px solid #bbb}
table{border-collapse:collapse;width:100%;font-size:9pt}
th,td{border:1px solid #bbb;padding:.25rem .4rem;text-align:left;vertical-align:top}
th{background:#eee}code{font-size:9pt;overflow-wrap:anywhere}
.good{border-left:.5rem solid #276749;padding:.4rem .8rem;background:#eef7f1}
.bad{border-left:.5rem solid #9b2c2c;padding:.4rem .8rem;background:#fbeeee}
tr.bad td{background:#fbeeee}
.small{color:#555;font-size:9pt}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr{break-inside:avoid}}";

impl DrillReport {
    /// One HTML page for management and for engineers, to print or to file.
    pub fn to_page(&self) -> String {
        let mut page = Page::new(&format!("Compromise drill: {}", self.title));
        self.summary(&mut page);
        self.technical(&mut page);
        page.end()
    }

    fn summary(&self, page: &mut Page) {
        page.html("<h1>Compromise drill</h1>");
        page.text("p", &format!("{} ({})", self.title, self.drill));
        let model = match &self.shape.like {
            Some(like) => format!("modelled on the repository {like}"),
            None => "on an example repository".into(),
        };
        page.classed(
            "small",
            &format!(
                "Held on {}, {model}, with throw-away keys in a sandbox. No real key was used and \
                 nothing was changed. Times in this report are virtual. Countersign {}.",
                self.held, self.software
            ),
        );
        let (class, result) = match self.passed {
            true => ("good", "Passed: everything came out as it should."),
            false => (
                "bad",
                "FAILED: not everything came out as it should. See the first list below.",
            ),
        };
        page.classed(class, result);
        let failed = self.failed().map(|claim| {
            format!(
                "Not true: {} (claim {}: expected \"{}\", the {} says \"{}\")",
                claim.says, claim.number, claim.expected, claim.by, claim.verdict.text
            )
        });
        page.list("Not as it should be", failed);
        page.text("h2", "What was simulated");
        page.text("p", &self.facts.played);
        let says = |side| self.holding(side).map(|claim| claim.says.clone());
        page.list("What the attacker could do", says(Side::AttackerCan));
        page.list("What the attacker could not do", says(Side::AttackerCannot));
        page.text("h2", "How it ended");
        page.text("p", &self.recovered());
        let honest = self.holding(Side::Honest);
        let after = honest.filter(|claim| claim.phase != Phase::Before);
        page.bullets(after.map(|claim| claim.says.clone()));
        page.list("What remains", self.facts.remains.iter().cloned());
        page.list("What to do now", self.facts.to_do.iter().cloned());
        page.list("About this repository", self.facts.remarks.iter().cloned());
    }

    fn technical(&self, page: &mut Page) {
        page.text("h2", "The repository");
        let layout = match self.shape.consistent_snapshot {
            true => "consistent snapshots",
            false => "no consistent snapshots",
        };
        let roles = self.shape.roles.iter().cloned();
        page.bullets(roles.chain([layout.to_owned()]));
        page.text("h2", "What was tried");
        let rows = self.claims.iter().map(|claim| {
            let verdict = match claim.verdict.code {
                Some(code) => format!("{} [{code}]", claim.verdict.text),
                None => claim.verdict.text.clone(),
            };
            let row = [
                claim.number.to_string(),
                format!("{}: {}", claim.phase.title(), claim.side.title()),
                claim.says.clone(),
                claim.tried.clone(),
                claim.by.clone(),
                claim.expected.clone(),
                verdict,
                claim.verdict.detail.clone(),
            ];
            (claim.holds, row)
        });
        page.table(
            [
                "No.",
                "Part",
                "Claim",
                "Tried",
                "By",
                "Expected",
                "Verdict",
                "In its words",
            ],
            rows,
        );
        page.text("h2", "The recovery, step by step");
        page.classed(
            "small",
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
        page.table(["No.", "Who", "What", "Command"], steps);
        page.text("h2", "Timeline");
        let moments = self.timeline.iter();
        page.table(
            ["Virtual time", "What happened"],
            moments.map(|moment| (true, [moment.time.clone(), moment.what.clone()])),
        );
        page.text("h2", "The chain of roots");
        let roots = self.roots.iter().map(|root| {
            let row = [
                root.version.to_string(),
                root.expires.clone(),
                root.sha256.clone(),
                root.words.clone(),
            ];
            (true, row)
        });
        page.table(
            ["Version", "Expires", "SHA-256 of the file", "Fingerprint"],
            roots,
        );
    }
}

/// HTML in which every text is escaped.
struct Page(String);

impl Page {
    fn new(title: &str) -> Self {
        let mut page = Self(String::from(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n",
        ));
        page.text("title", title);
        page.html(&format!("<style>{STYLE}</style>"));
        page
    }

    fn html(&mut self, html: &str) {
        self.0.push_str(html);
        self.0.push('\n');
    }

    fn text(&mut self, tag: &str, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "<{tag}>{}</{tag}>", escape(text));
    }

    fn classed(&mut self, class: &str, text: &str) {
        let _ = writeln!(self.0, "<p class=\"{class}\">{}</p>", escape(text));
    }

    /// A heading and a list; nothing for an empty list.
    fn list(&mut self, title: &str, items: impl Iterator<Item = String>) {
        let mut items = items.peekable();
        if items.peek().is_some() {
            self.text("h2", title);
            self.bullets(items);
        }
    }

    fn bullets(&mut self, items: impl Iterator<Item = String>) {
        self.html("<ul>");
        items.for_each(|item| self.text("li", &item));
        self.html("</ul>");
    }

    /// Rows that are as they should be, or not.
    fn table<const N: usize>(
        &mut self,
        head: [&str; N],
        rows: impl Iterator<Item = (bool, [String; N])>,
    ) {
        self.html("<table><tr>");
        head.iter().for_each(|cell| self.text("th", cell));
        self.html("</tr>");
        for (fine, row) in rows {
            self.html(if fine { "<tr>" } else { "<tr class=\"bad\">" });
            row.iter().for_each(|cell| self.text("td", cell));
            self.html("</tr>");
        }
        self.html("</table>");
    }

    fn end(self) -> String {
        format!("{}</html>\n", self.0)
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
