//! One way in which a check can be gone.

use std::fmt;

use serde::Serialize;

/// What kind of place it is. `main.rs` has the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rule {
    If,
    Match,
    Guard,
    Statement,
    Function,
    Bool,
    Closure,
    Then,
    Assign,
    Operand,
    Boundary,
    Unreached,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::If => "if",
            Self::Match => "match",
            Self::Guard => "guard",
            Self::Statement => "statement",
            Self::Function => "function",
            Self::Bool => "bool",
            Self::Closure => "closure",
            Self::Then => "then",
            Self::Assign => "assign",
            Self::Operand => "operand",
            Self::Boundary => "boundary",
            Self::Unreached => "unreached",
        })
    }
}

/// One mutant.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mutant {
    /// What the switch is called in the copy.
    pub(crate) number: u32,
    /// What it is known by, while lines move.
    pub(crate) identity: String,
    /// The file, from the root of the workspace.
    pub(crate) file: String,
    /// Where its condition starts.
    pub(crate) line: usize,
    /// The rule that made it.
    pub(crate) rule: Rule,
    /// What becomes of the condition.
    pub(crate) becomes: &'static str,
    /// The text of the condition, on one line.
    pub(crate) condition: String,
}
