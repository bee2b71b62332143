//! Which clauses of the specifications are covered.

use std::collections::BTreeMap;

use crate::suite::Vector;

/// The clauses of TUF 1.0.34 and of the Uptane Standard 2.1.0 that bind a client or judge what a vehicle
/// reports, in our words.
const CLAUSES: &[(&str, &str)] = &[
    ("TUF 4.2", "common file format: signatures, key ids, JSON"),
    ("TUF 4.3", "Root file format"),
    ("TUF 4.4", "Snapshot file format"),
    ("TUF 4.5", "Targets and delegations format"),
    ("TUF 4.6", "Timestamp file format"),
    ("TUF 5.1", "fixed update start time"),
    ("TUF 5.2", "trusted Root from out of band"),
    ("TUF 5.3.3", "try the next Root version, within a bound"),
    ("TUF 5.3.4", "Root signed by the old and the new threshold"),
    ("TUF 5.3.5", "Root version is the next one"),
    ("TUF 5.3.8", "Root is persisted"),
    ("TUF 5.3.9", "repeat for all Roots"),
    ("TUF 5.3.10", "the last Root has not expired"),
    (
        "TUF 5.3.11",
        "forget after key rotation (fast-forward recovery)",
    ),
    ("TUF 5.3.12", "consistent snapshots as the last Root says"),
    ("TUF 5.4.1", "Timestamp is fetched within a bound"),
    ("TUF 5.4.2", "Timestamp signatures"),
    (
        "TUF 5.4.3.1",
        "Timestamp rollback; equal version is discarded",
    ),
    ("TUF 5.4.3.2", "rollback of the Snapshot version it names"),
    ("TUF 5.4.4", "Timestamp has not expired"),
    ("TUF 5.4.5", "Timestamp is persisted"),
    ("TUF 5.5.1", "Snapshot is fetched within its length"),
    ("TUF 5.5.2", "Snapshot hashes"),
    ("TUF 5.5.3", "Snapshot signatures"),
    ("TUF 5.5.4", "Snapshot version as named"),
    ("TUF 5.5.5", "no listed file goes back or vanishes"),
    ("TUF 5.5.6", "Snapshot has not expired"),
    ("TUF 5.5.7", "Snapshot is persisted"),
    ("TUF 5.6.1", "Targets is fetched within its length"),
    ("TUF 5.6.2", "Targets hashes"),
    ("TUF 5.6.3", "Targets signatures"),
    ("TUF 5.6.4", "Targets version as listed"),
    ("TUF 5.6.5", "Targets has not expired"),
    ("TUF 5.6.6", "Targets is persisted"),
    ("TUF 5.6.7", "search over delegations"),
    ("TUF 5.6.7.1", "visited roles and the bound on them"),
    ("TUF 5.6.7.2", "order and terminating delegations"),
    ("TUF 5.7.1", "target is looked up"),
    (
        "TUF 5.7.2",
        "target is found or the client reports that not",
    ),
    ("TUF 5.7.3", "target is fetched; length and hashes hold"),
    ("TUF 6.2", "consistent snapshots"),
    ("TAP 3", "several roles have to agree"),
    ("TAP 15", "succinct hashed bins"),
    ("Uptane 5.2.3.1", "for which vehicle a Director's file is"),
    (
        "Uptane 5.2.3.1.1",
        "what the Image repository says of an image",
    ),
    ("Uptane 5.2.3.1.2", "what the Director says of an image"),
    ("Uptane 5.2.3.2", "delegations for hardware"),
    ("Uptane 5.2.5", "Timestamp lists a hash of Snapshot"),
    ("Uptane 5.3.2.1", "a Director judges a manifest"),
    ("Uptane 5.4.2.2", "a Primary learns the time"),
    ("Uptane 5.4.2.3", "a Primary verifies in full"),
    ("Uptane 5.4.2.4", "a Primary downloads and checks images"),
    ("Uptane 5.4.3.1", "an ECU learns the time"),
    ("Uptane 5.4.3.4", "the gate before an installation"),
    ("Uptane 5.4.3.5", "installation"),
    ("Uptane 5.4.3.6", "what is known after an installation"),
    ("Uptane 5.4.4.1", "partial verification"),
    ("Uptane 5.4.4.2", "full verification"),
    ("Uptane 5.4.4.3", "checking Root"),
    ("Uptane 5.4.4.4", "checking Timestamp"),
    ("Uptane 5.4.4.5", "checking Snapshot"),
    ("Uptane 5.4.4.6", "checking Targets"),
    ("Uptane 5.4.4.7", "resolving delegations"),
    ("Uptane 5.4.4.8", "resolving delegations to several roles"),
];

/// Cases by clause.
#[derive(Debug, Clone)]
pub struct Coverage {
    cases: BTreeMap<String, Vec<String>>,
}

impl Coverage {
    /// Of these vectors. A case that names a part of a clause covers the clause too.
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

    /// Each clause, what it is about, and its cases.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, &'static str, &[String])> {
        CLAUSES.iter().map(|(clause, about)| {
            let cases = self.cases.get(*clause).map_or(&[][..], Vec::as_slice);
            (*clause, *about, cases)
        })
    }

    /// Clauses without a case.
    pub fn uncovered(&self) -> Vec<&'static str> {
        let clauses = CLAUSES.iter().map(|(clause, _)| *clause);
        clauses
            .filter(|clause| !self.cases.contains_key(*clause))
            .collect()
    }

    /// Clauses that cases name and the table does not have: misspelt, or missing there.
    pub fn unknown(&self) -> Vec<&str> {
        let known = |clause: &&str| CLAUSES.iter().any(|(name, _)| name == clause);
        let named = self.cases.keys().map(String::as_str);
        named.filter(|clause| !known(clause)).collect()
    }

    /// A table: clause, how many cases, what it is about; with `names`, the cases too.
    pub fn to_text(&self, names: bool) -> String {
        let mut text = String::new();
        for (clause, about, cases) in self.rows() {
            text += &format!("{clause:<17} {:>4}  {about}\n", cases.len());
            for name in cases.iter().filter(|_| names) {
                text += &format!("{:24}{name}\n", "");
            }
        }
        let (covered, all) = (CLAUSES.len() - self.uncovered().len(), CLAUSES.len());
        text + &format!("{covered} of {all} clauses have cases\n")
    }
}
