//! The policy: what a ceremony is refused for, warned of, or told, each with its source.

mod custody;
mod plan;
mod root;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use self::custody::{check_custody, old_key, shared_home, shared_key};
pub(crate) use self::plan::check_plan;
pub use self::plan::check_profile;
pub use self::root::{check_foreign_root, check_root};
use self::root::{check_root_span, check_root_threshold};
use crate::profile::Accepted;

/// The numbers and rules of the Uptane Deployment Best Practices on managing signing keys.
const BEST_PRACTICES: &str = "Uptane Deployment Best Practices, key management";
pub(crate) const HOUSE: &str = "Countersign's own rule";
const DAY: i64 = 86_400;

/// The names of all findings that refuse, which somebody may therefore have to accept.
pub const ACCEPTABLE: [&str; 13] = [
    "key-extractable",
    "key-in-file",
    "key-not-sensitive",
    "offline-role-in-ci",
    "offline-role-online",
    "old-key",
    "online-expiry-long",
    "root-expired",
    "root-expiry-long",
    "root-threshold-low",
    "shared-key",
    "shared-token",
    "snapshot-without-timestamp",
];

/// One thing that the policy has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// A stable name, for `--accept NAME=REASON`.
    pub name: String,
    /// What it leads to.
    pub weight: Weight,
    /// What it is about: a role, or `role/holder`.
    pub subject: String,
    /// What was found and what to do.
    pub text: String,
    /// Where the rule comes from.
    pub source: String,
}

/// What a finding leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The ceremony does not go on unless somebody accepts it with a reason.
    Refuse,
    /// It goes on, and everybody sees it.
    Warn,
    /// Good to know.
    Note,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Refuse => "REFUSED",
            Weight::Warn => "warning",
            Weight::Note => "note",
        };
        write!(
            f,
            "{weight} {} ({}): {} [{}]",
            self.name, self.subject, self.text, self.source
        )
    }
}

impl Finding {
    /// Whether it can be shown among lines of our own.
    pub(crate) fn check(&self) -> Result<(), String> {
        let texts = [&self.name, &self.subject, &self.text, &self.source];
        match texts
            .iter()
            .all(|text| text.len() <= 1000 && !text.contains("  "))
        {
            true => Ok(()),
            false => {
                Err("a finding in it is longer than a finding is, or has runs of spaces".into())
            }
        }
    }

    /// What it is, whatever the words for it.
    pub(crate) fn identity(&self) -> (&str, &str, Weight) {
        (&self.name, &self.subject, self.weight)
    }
}

/// The findings that stop a ceremony: to be refused, and accepted by nobody.
pub fn unaccepted<'a>(findings: &'a [Finding], accepted: &[Accepted]) -> Vec<&'a Finding> {
    let stops = |finding: &&Finding| {
        finding.weight == Weight::Refuse
            && !accepted.iter().any(|entry| entry.finding == finding.name)
    };
    findings.iter().filter(stops).collect()
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, name: &str, weight: Weight, subject: &str, text: String, source: &str) {
        self.0.push(Finding {
            name: name.into(),
            weight,
            subject: subject.into(),
            text,
            source: source.into(),
        });
    }

    fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    fn refuse(&mut self, name: &str, subject: &str, text: impl Into<String>, source: &str) {
        self.add(name, Weight::Refuse, subject, text.into(), source);
    }

    fn warn(&mut self, name: &str, subject: &str, text: impl Into<String>, source: &str) {
        self.add(name, Weight::Warn, subject, text.into(), source);
    }

    fn note(&mut self, name: &str, subject: &str, text: impl Into<String>, source: &str) {
        self.add(name, Weight::Note, subject, text.into(), source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepting_is_by_name() {
        let finding = Finding {
            name: "a".into(),
            weight: Weight::Refuse,
            subject: "root".into(),
            text: String::new(),
            source: String::new(),
        };
        let findings = [finding];
        let accept = |name: &str| Accepted {
            finding: name.into(),
            reason: "because".into(),
        };
        assert_eq!(unaccepted(&findings, &[accept("b")]).len(), 1);
        assert_eq!(unaccepted(&findings, &[accept("b"), accept("a")]).len(), 0);
    }
}
