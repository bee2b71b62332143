//! What came of it, for people and for machines.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::lists::Known;
use crate::mutant::Mutant;
use crate::trial::Verdict;

/// What to print, and whether all is well.
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) good: bool,
}

/// All that was found out.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    /// Every mutant that was looked at.
    pub(crate) verdicts: Vec<(&'a Mutant, Verdict)>,
    /// Those that nobody can notice.
    pub(crate) known: &'a Known,
    /// Entries of `unnoticed.toml` that name no mutant.
    pub(crate) gone: Vec<String>,
    /// How long the runs took.
    pub(crate) time: Duration,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    mutant: &'a Mutant,
    #[serde(flatten)]
    verdict: &'a Verdict,
    /// Why nobody can notice it.
    reason: Option<&'a str>,
}

impl Outcome<'_> {
    /// Whether everything is noticed that can be, and the list is true.
    fn is_good(&self) -> bool {
        self.missing().next().is_none() && self.untrue().next().is_none() && self.gone.is_empty()
    }

    fn missing(&self) -> impl Iterator<Item = &Mutant> {
        let unnoticed = self
            .verdicts
            .iter()
            .filter(|(_, verdict)| !verdict.is_noticed());
        let mutants = unnoticed.map(|(mutant, _)| *mutant);
        mutants.filter(|mutant| self.known.reason(&mutant.identity).is_none())
    }

    fn untrue(&self) -> impl Iterator<Item = &Mutant> {
        let noticed = self
            .verdicts
            .iter()
            .filter(|(_, verdict)| verdict.is_noticed());
        let mutants = noticed.map(|(mutant, _)| *mutant);
        mutants.filter(|mutant| self.known.reason(&mutant.identity).is_some())
    }

    /// For a terminal: what no vector notices, what is wrong with the list, and a summary.
    pub(crate) fn to_text(&self) -> Report {
        let mut text = String::new();
        for mutant in self.missing() {
            let Mutant {
                file,
                line,
                identity,
                ..
            } = mutant;
            text += &format!("UNNOTICED  {file}:{line}\n           {identity}\n");
        }
        for mutant in self.untrue() {
            text += &format!(
                "NOTICED    remove it from unnoticed.toml: {}\n",
                mutant.identity
            );
        }
        for gone in &self.gone {
            text += &format!("GONE       remove it from unnoticed.toml: {gone}\n");
        }
        Report {
            text: text + &self.summary(),
            good: self.is_good(),
        }
    }

    fn summary(&self) -> String {
        let mut rules: BTreeMap<_, [usize; 3]> = BTreeMap::new();
        let mut total = [0; 3];
        for (mutant, verdict) in &self.verdicts {
            let known = self.known.reason(&mutant.identity).is_some();
            let column = match (verdict.is_noticed(), known) {
                (true, _) => 0,
                (false, true) => 1,
                (false, false) => 2,
            };
            let root = mutant.file.split('/').next().unwrap_or_default();
            rules.entry((root, mutant.rule)).or_default()[column] += 1;
            total[column] += 1;
        }
        let mut text = format!(
            "{:<27} {:>8} {:>9} {:>9}\n",
            "", "noticed", "excepted", "unnoticed"
        );
        let mut row = |name: &str, [noticed, excepted, unnoticed]: [usize; 3]| {
            text += &format!("{name:<27} {noticed:>8} {excepted:>9} {unnoticed:>9}\n");
        };
        for ((root, rule), counts) in rules {
            row(&format!("{root} {rule}"), counts);
        }
        row("all", total);
        let count = |is: fn(&Verdict) -> bool| {
            let all = self.verdicts.iter();
            all.filter(|(_, verdict)| is(verdict)).count()
        };
        text + &format!(
            "{} mutants in {} s: {} crashed, {} hung\n",
            self.verdicts.len(),
            self.time.as_secs(),
            count(|verdict| *verdict == Verdict::Crashed),
            count(|verdict| *verdict == Verdict::Hung),
        )
    }

    /// One JSON object, with every mutant and who noticed it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn to_json(&self) -> Result<Report, serde_json::Error> {
        let lines: Vec<Line<'_>> = self
            .verdicts
            .iter()
            .map(|(mutant, verdict)| Line {
                mutant,
                verdict,
                reason: self.known.reason(&mutant.identity),
            })
            .collect();
        let good = self.is_good();
        let value = serde_json::json!({"ok": good, "mutants": lines, "gone": self.gone});
        let text = serde_json::to_string_pretty(&value)? + "\n";
        Ok(Report { text, good })
    }
}
