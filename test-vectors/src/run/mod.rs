//! Putting a client through the vectors.

pub mod case_list;
mod compare;
pub mod exceptions;
pub mod external;
pub mod in_process;
pub mod server;

use std::collections::{BTreeMap, BTreeSet};

use crate::format::{Assigned, Step, Verdict};
use crate::suite::Vector;

/// What a client did in one step, as far as can be seen from outside.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Whether it was content.
    pub verdict: Verdict,
    /// Why not, if it says so.
    pub refusal: Option<Refusal>,
    /// What it trusts now: role and bytes.
    pub trusted: BTreeMap<String, Vec<u8>>,
    /// Metadata files it asked for, in order.
    pub requests: Vec<String>,
    /// SHA-256 of the targets it has.
    pub downloads: BTreeSet<String>,
    /// What it has found to be assigned, if it says so.
    pub assigned: Option<Vec<Assigned>>,
    /// SHA-256 of the image that runs, or `factory`, if that can be seen.
    pub installed: Option<String>,
    /// ECUs whose report said nothing new, if it says so.
    pub stale: Option<Vec<String>>,
    /// Attacks that it was told of, if it says so.
    pub attacks: Option<Vec<String>>,
    /// What else a person would want to see: its messages.
    pub messages: String,
}

/// Why a client refused, in our words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code's name.
    pub code: String,
    /// The role, where one is concerned.
    pub role: String,
    /// The repository; `None` if the client does not tell repositories.
    pub repository: Option<String>,
    /// The attack class.
    pub attack: String,
    /// The code of the cause; `None` if the client does not tell causes.
    pub cause: Option<String>,
}

/// A client under test, in a state of its own.
pub trait Client {
    /// Provisions it.
    ///
    /// # Errors
    /// Why it could not be run. Refusing the Root is not an error: the first step then has to be
    /// refused.
    fn init(&mut self, vector: &Vector) -> Result<(), RunError>;

    /// Lets it do one thing.
    ///
    /// # Errors
    /// Why it could not be run, or that it ended in a way that no client may.
    fn act(&mut self, vector: &Vector, step: &Step) -> Result<Observed, RunError>;
}

/// A client could not be run. That is a failed case, whatever it expects.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RunError(pub String);

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// The case.
    pub name: String,
    /// What was not as expected; empty if all was.
    pub problems: Vec<String>,
}

/// Puts `client` through one case. Stops at the first step that is not as expected, because
/// nothing is known of the state after it.
pub fn run_case(client: &mut dyn Client, vector: &Vector) -> CaseResult {
    let problems = match run_steps(client, vector) {
        Ok(problems) => problems,
        Err(error) => vec![error.to_string()],
    };
    CaseResult {
        name: vector.case.name.clone(),
        problems,
    }
}

fn run_steps(client: &mut dyn Client, vector: &Vector) -> Result<Vec<String>, RunError> {
    client.init(vector)?;
    for (step, number) in vector.case.steps.iter().zip(1..) {
        let observed = client.act(vector, step)?;
        let problems = compare::problems(&step.expect, &observed, &vector.files);
        if !problems.is_empty() {
            let at_step = |problem| format!("step {number}: {problem}");
            return Ok(problems.into_iter().map(at_step).collect());
        }
    }
    Ok(Vec::new())
}
