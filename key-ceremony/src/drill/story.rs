//! A drill in a few lines, for a terminal.

use std::fmt::Write as _;

use super::record::{Claim, DrillReport, Phase, Side};

impl DrillReport {
    /// The claims that do not hold.
    pub fn failed(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().filter(|claim| !claim.holds)
    }

    /// What came out, for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!("{} ({})", self.title, self.drill);
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {}", self.facts.played);
        for (title, side) in [
            ("What the attacker could do", Side::AttackerCan),
            ("What the attacker could not do", Side::AttackerCannot),
        ] {
            let mut claims = self.holding(side).peekable();
            if claims.peek().is_some() {
                let _ = write!(text, "\n  {title}:");
            }
            for claim in claims {
                let _ = write!(text, "\n    - {} [{}]", claim.says, claim.verdict.text);
            }
        }
        let _ = write!(text, "\n  {}", self.recovered());
        for remains in &self.facts.remains {
            let _ = write!(text, "\n  Remains: {remains}");
        }
        for to_do in &self.facts.to_do {
            let _ = write!(text, "\n  To do: {to_do}");
        }
        for claim in self.failed() {
            let _ = write!(
                text,
                "\n  NOT AS IT SHOULD BE (claim {}): not true: {} Expected '{}', but the {} says \
                 '{}' {}",
                claim.number,
                claim.says,
                claim.expected,
                claim.by,
                claim.verdict.text,
                claim.verdict.detail
            );
        }
        let holding = self.claims.len() - self.failed().count();
        let verdict = match self.passed {
            true => "passed",
            false => "FAILED",
        };
        let _ = write!(
            text,
            "\n  {verdict}: {holding} of {} claims hold",
            self.claims.len()
        );
        text
    }

    /// The claims of a side that hold.
    pub(super) fn holding(&self, side: Side) -> impl Iterator<Item = &Claim> {
        self.claims
            .iter()
            .filter(move |claim| claim.side == side && claim.holds)
    }

    /// Whether devices came back, and at what cost.
    pub(super) fn recovered(&self) -> String {
        match self.recovered {
            true => format!(
                "Every device came back to the honest repository by itself. The recovery took {} \
                 steps.",
                self.recovery.len()
            ),
            false => "NOT every device came back to the honest repository.".into(),
        }
    }
}

impl Phase {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Before => "Before",
            Self::Attack => "Attack",
            Self::Recovery => "Recovery",
            Self::After => "Afterwards",
        }
    }
}

impl Side {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::AttackerCan => "attacker can",
            Self::AttackerCannot => "attacker cannot",
            Self::Honest => "honest side",
        }
    }
}
