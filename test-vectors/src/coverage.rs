//! Which clauses of the specifications are covered.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::suite::Vector;

/// A clause, or one step or demand of a clause.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// Document and number: `TUF 5.5.2`, `Uptane 5.4.4.5(2)`.
    pub id: String,
    /// What it asks, in our words.
    pub asks: String,
    /// Why no vector can show it, and what does.
    pub elsewhere: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clauses {
    clause: Vec<Clause>,
}

/// `clauses.toml`; a test holds that it can be read.
static CLAUSES: LazyLock<Vec<Clause>> = LazyLock::new(|| read().unwrap_or_default());

fn read() -> Result<Vec<Clause>, toml::de::Error> {
    toml::from_str(include_str!("../clauses.toml")).map(|clauses: Clauses| clauses.clause)
}

/// Cases by clause.
#[derive(Debug, Clone)]
pub struct Coverage {
    cases: BTreeMap<String, Vec<String>>,
}

/// What there is for one clause.
#[derive(Debug, Clone, Copy)]
pub struct Row<'c> {
    /// The clause.
    pub clause: &'static Clause,
    /// The names of its cases.
    pub cases: &'c [String],
}

impl Row<'_> {
    /// Neither a case nor a reason why there can be none.
    pub fn is_uncovered(&self) -> bool {
        self.cases.is_empty() && self.clause.elsewhere.is_none()
    }
}

impl Coverage {
    /// Of these vectors.
    pub fn of(vectors: &[Vector]) -> Self {
        let mut cases: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for vector in vectors {
            for clause in &vector.case.spec {
                let names = cases.entry(clause.clone()).or_default();
                names.push(vector.case.name.clone());
            }
        }
        Self { cases }
    }

    /// Each clause with its cases.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        CLAUSES.iter().map(|clause| Row {
            clause,
            cases: self.cases.get(&clause.id).map_or(&[][..], Vec::as_slice),
        })
    }

    /// Clauses that have neither a case nor a reason why there can be none.
    pub fn uncovered(&self) -> Vec<&'static str> {
        let rows = self.rows().filter(Row::is_uncovered);
        rows.map(|row| row.clause.id.as_str()).collect()
    }

    /// Clauses that cases name and the table does not have: misspelt, or missing there.
    pub fn unknown(&self) -> Vec<&str> {
        let known = |clause: &&str| CLAUSES.iter().any(|known| known.id == *clause);
        let named = self.cases.keys().map(String::as_str);
        named.filter(|clause| !known(clause)).collect()
    }

    /// A table: clause, how many cases, what it asks; with `names`, the cases too.
    pub fn to_text(&self, names: bool) -> String {
        let mut text = String::new();
        let (mut with_cases, mut elsewhere) = (0, 0);
        for row in self.rows() {
            let Clause {
                id,
                asks,
                elsewhere: reason,
            } = row.clause;
            text += &format!("{id:<24} {:>4}  {asks}\n", row.cases.len());
            for name in row.cases.iter().filter(|_| names) {
                text += &format!("{:31}{name}\n", "");
            }
            match (row.cases.is_empty(), reason) {
                (false, _) => with_cases += 1,
                (true, Some(reason)) => {
                    elsewhere += 1;
                    text += &format!("{:31}not for vectors: {reason}\n", "");
                }
                (true, None) => text += &format!("{:31}NO CASE\n", ""),
            }
        }
        let all = CLAUSES.len();
        text + &format!(
            "{with_cases} of {all} clauses have cases, {elsewhere} are shown elsewhere, {} are not covered\n",
            all - with_cases - elsewhere
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_can_be_read_and_has_every_clause_once() {
        let clauses = read().unwrap();
        let ids: BTreeSet<&str> = clauses.iter().map(|clause| clause.id.as_str()).collect();
        assert_eq!(ids.len(), clauses.len());
        assert!(ids.len() > 150, "{}", ids.len());
    }
}
