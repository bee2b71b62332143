//! The cases: what is published, and what must come of it. Each reads like its note.

mod consistent;
mod delegations;
mod draft;
mod edits;
mod encoding;
mod images;
mod keys;
mod paths;
mod root;
mod snapshot;
mod targets;
mod thresholds;
mod timestamp;

pub use draft::{ANY, CaseError, Draft, StepDraft};

use crate::simulate::{Repo, SignatureCache};
use crate::suite::Vector;

/// All cases under construction.
#[derive(Debug)]
pub struct Cases {
    cache: SignatureCache,
    vectors: Vec<Vector>,
    errors: Vec<(String, CaseError)>,
}

impl Cases {
    /// Adds a case: its name, the clauses it tests, the attack or rule in a sentence or two, and
    /// what happens, starting with an honest repository.
    pub fn case(
        &mut self,
        name: &str,
        spec: &[&str],
        note: &str,
        build: impl FnOnce(&mut Draft, &mut Repo),
    ) {
        let mut draft = Draft::default();
        let mut repo = Repo::new(self.cache.clone());
        build(&mut draft, &mut repo);
        match draft.finish(name, spec, note) {
            Ok(vector) => self.vectors.push(vector),
            Err(error) => self.errors.push((name.into(), error)),
        }
    }
}

/// Makes all cases.
///
/// # Errors
/// The first mistake in a definition, with the name of its case.
pub fn all(cache: &SignatureCache) -> Result<Vec<Vector>, (String, CaseError)> {
    let mut cases = Cases {
        cache: cache.clone(),
        vectors: Vec::new(),
        errors: Vec::new(),
    };
    root::cases(&mut cases);
    timestamp::cases(&mut cases);
    snapshot::cases(&mut cases);
    targets::cases(&mut cases);
    thresholds::cases(&mut cases);
    keys::cases(&mut cases);
    encoding::cases(&mut cases);
    delegations::cases(&mut cases);
    paths::cases(&mut cases);
    consistent::cases(&mut cases);
    images::cases(&mut cases);
    match cases.errors.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(cases.vectors),
    }
}
