//! What came of a run, for people and for machines.

mod html;

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::json;

use crate::format::pretty;
use crate::run::exceptions::Status;

/// One line of a report.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The case.
    pub name: String,
    /// What came of it.
    pub status: Status,
    /// How long it took.
    pub time: Duration,
}

/// All of a run.
#[derive(Debug, Clone, Default)]
pub struct Outcome(pub Vec<Entry>);

impl Outcome {
    /// Whether every case went as expected or failed for a known reason.
    pub fn is_good(&self) -> bool {
        self.0.iter().all(|entry| entry.status.is_good())
    }

    /// For a terminal: what is not in order, and a summary.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for Entry { name, status, .. } in &self.0 {
            match status {
                Status::Passed => {}
                Status::Excepted(reason) => text += &format!("except  {name}: {reason}\n"),
                Status::Failed(problems) => {
                    text += &format!("FAILED  {name}\n");
                    for problem in problems {
                        text += &format!("        {problem}\n");
                    }
                }
                Status::UnexpectedSuccess(reason) => {
                    text += &format!(
                        "FAILED  {name}\n        passed, although an exception says \"{reason}\": remove the exception\n"
                    );
                }
            }
        }
        text + &self.summary()
    }

    fn summary(&self) -> String {
        let count =
            |is: fn(&Status) -> bool| self.0.iter().filter(|entry| is(&entry.status)).count();
        let passed = count(|status| matches!(status, Status::Passed));
        let excepted = count(|status| matches!(status, Status::Excepted(_)));
        let total = self.0.len();
        let failed = total - passed - excepted;
        format!("{total} cases: {passed} passed, {excepted} excepted, {failed} failed\n")
    }

    /// One JSON object.
    pub fn to_json(&self) -> String {
        let cases: Vec<_> = self.0.iter().map(Entry::to_json).collect();
        pretty(&json!({"ok": self.is_good(), "cases": cases}))
    }

    /// JUnit XML, as CI systems read it. Empty only if the report cannot be serialised.
    pub fn to_junit(&self) -> String {
        let mut suite = TestSuite::new("test-vectors");
        suite.add_test_cases(self.0.iter().map(Entry::to_junit));
        let mut report = Report::new("test-vectors");
        report.add_test_suite(suite);
        report.to_string().unwrap_or_default()
    }
}

impl Entry {
    fn to_json(&self) -> serde_json::Value {
        let (status, what) = match &self.status {
            Status::Passed => ("passed", json!([])),
            Status::Failed(problems) => ("failed", json!(problems)),
            Status::Excepted(reason) => ("excepted", json!([reason])),
            Status::UnexpectedSuccess(reason) => ("unexpected-success", json!([reason])),
        };
        json!({"name": self.name, "status": status, "messages": what})
    }

    fn to_junit(&self) -> TestCase {
        let status = match &self.status {
            Status::Passed => TestCaseStatus::success(),
            Status::Excepted(reason) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(reason.as_str());
                status
            }
            Status::Failed(problems) => failure(&problems.join("\n")),
            Status::UnexpectedSuccess(reason) => {
                failure(&format!("passed, although an exception says: {reason}"))
            }
        };
        let mut case = TestCase::new(self.name.as_str(), status);
        case.set_time(self.time);
        case
    }
}

fn failure(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(message);
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_names_the_failure() {
        let outcome = Outcome(vec![Entry {
            name: "root/<x>".into(),
            status: Status::Failed(vec!["accepted & must be rejected".into()]),
            time: Duration::from_millis(3),
        }]);
        assert!(!outcome.is_good());
        assert!(outcome.to_text().contains("accepted & must be rejected"));
        assert!(outcome.to_json().contains("\"failed\""));
        let html = outcome.to_html(&[]);
        assert!(html.contains("root/&lt;x&gt;") && html.contains("accepted &amp; must"));
        assert!(html.contains("no case"), "{html}");
        let junit = outcome.to_junit();
        assert!(
            junit.contains("root/&lt;x&gt;") && junit.contains("accepted &amp; must"),
            "{junit}"
        );
    }
}
