//! A page for people: what every clause comes to, and every case.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Entry, Outcome};
use crate::coverage::Coverage;
use crate::run::exceptions::Status;
use crate::suite::Vector;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#1b1f24}\
table{border-collapse:collapse;width:100%;margin:1em 0 2em}\
th,td{text-align:left;vertical-align:top;padding:.3em .6em;border-bottom:1px solid #d8dee4}\
th{background:#f6f8fa}code{font-size:.92em}\
.passed{color:#116329}.failed,.uncovered{color:#a40e26;font-weight:600}.excepted{color:#7d4e00}.elsewhere{color:#59636e}\
details{margin:.2em 0}summary{cursor:pointer}";

impl Outcome {
    /// One HTML file that needs nothing else. `vectors` are all there are: clauses that have no case among
    /// those that were run stand out too.
    pub fn to_html(&self, vectors: &[Vector]) -> String {
        let cases: BTreeMap<&str, &Vector> = vectors
            .iter()
            .map(|vector| (vector.case.name.as_str(), vector))
            .collect();
        let run: BTreeMap<&str, &Entry> = self
            .0
            .iter()
            .map(|entry| (entry.name.as_str(), entry))
            .collect();
        let summary = escaped(self.summary().trim_end());
        let clauses = clauses(&Coverage::of(vectors), &run);
        let mut areas: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in &self.0 {
            let area = entry.name.split('/').next().unwrap_or_default();
            areas.entry(area).or_default().push(entry);
        }
        let mut listed = String::new();
        for (area, entries) in areas {
            let rows: String = entries
                .iter()
                .map(|entry| row(entry, cases.get(entry.name.as_str()).copied()))
                .collect();
            let _ = writeln!(
                listed,
                "<h3 id=\"{area}\">{area}</h3>\n<table><tr><th>case<th>what it is about<th>clauses<th>result</tr>\n{rows}</table>"
            );
        }
        format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Test vectors</title>\n\
             <style>{STYLE}</style>\n<h1>Test vectors for TUF and Uptane</h1>\n<p>{summary}</p>\n\
             <h2>By clause</h2>\n{clauses}\n<h2>By case</h2>\n{listed}</html>\n"
        )
    }
}

fn clauses(coverage: &Coverage, run: &BTreeMap<&str, &Entry>) -> String {
    let mut rows = String::new();
    for row in coverage.rows() {
        let cases = row.cases;
        let entries: Vec<&&Entry> = cases
            .iter()
            .filter_map(|name| run.get(name.as_str()))
            .collect();
        let count =
            |is: fn(&Status) -> bool| entries.iter().filter(|entry| is(&entry.status)).count();
        let passed = count(|status| matches!(status, Status::Passed));
        let excepted = count(|status| matches!(status, Status::Excepted(_)));
        let failed = entries.len() - passed - excepted;
        let elsewhere = row.clause.elsewhere.as_ref();
        let (class, result) = match (cases.len(), entries.len(), failed) {
            (0, ..) => match elsewhere {
                Some(reason) => ("elsewhere", format!("not for vectors: {reason}")),
                None => ("uncovered", "no case".into()),
            },
            (_, 0, _) => ("excepted", "not run".into()),
            (_, all, 0) if excepted == 0 => ("passed", format!("{all} of {all} passed")),
            (_, all, 0) => (
                "excepted",
                format!("{passed} of {all} passed, {excepted} excepted"),
            ),
            (_, all, failed) => ("failed", format!("{failed} of {all} failed")),
        };
        let names: Vec<String> = cases.iter().map(|name| link(name)).collect();
        let _ = writeln!(
            rows,
            "<tr><td>{}<td>{}<td class=\"{class}\">{}<td><details><summary>{} cases</summary>{}</details></tr>",
            escaped(&row.clause.id),
            escaped(&row.clause.asks),
            escaped(&result),
            names.len(),
            names.join(" ")
        );
    }
    format!("<table><tr><th>clause<th>what it asks<th>result<th>cases</tr>\n{rows}</table>")
}

fn link(name: &str) -> String {
    let name = escaped(name);
    format!("<a href=\"#{name}\"><code>{name}</code></a>")
}

fn row(entry: &Entry, vector: Option<&Vector>) -> String {
    let (class, result) = match &entry.status {
        Status::Passed => ("passed", "passed".into()),
        Status::Failed(problems) => ("failed", problems.join("; ")),
        Status::Excepted(reason) => ("excepted", format!("excepted: {reason}")),
        Status::UnexpectedSuccess(reason) => (
            "failed",
            format!("passed, although an exception says: {reason}"),
        ),
    };
    let (note, spec) = vector.map_or_else(Default::default, |vector| {
        (vector.case.note.clone(), vector.case.spec.join(", "))
    });
    let name = escaped(&entry.name);
    format!(
        "<tr id=\"{name}\"><td><code>{name}</code><td>{}<td>{}<td class=\"{class}\">{}</tr>\n",
        escaped(&note),
        escaped(&spec),
        escaped(&result)
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}
