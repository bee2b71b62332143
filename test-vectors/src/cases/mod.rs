//! The cases: what is published, and what must come of it. Each reads like its note.

mod bounds;
mod consistent;
mod delegated;
mod delegations;
mod draft;
mod edits;
mod encoding;
mod fields;
mod image_names;
mod images;
mod keys;
mod paths;
mod root;
mod rotation;
mod snapshot;
mod targets;
mod thresholds;
mod timestamp;
mod uptane;

pub use draft::{ANY, CaseError, Draft, StepDraft};

use crate::simulate::{Repo, SignatureCache, World};
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
        self.add(draft, name, spec, note);
    }

    /// Adds a case for an ECU of a vehicle, starting with an honest world.
    pub fn vehicle(
        &mut self,
        name: &str,
        spec: &[&str],
        note: &str,
        build: impl FnOnce(&mut Draft, &mut World),
    ) {
        let mut draft = Draft::default();
        let mut world = World::new(self.cache.clone());
        build(&mut draft, &mut world);
        draft.ecu = Some(world.ecu);
        self.add(draft, name, spec, note);
    }

    /// Adds a case for a Director.
    pub fn director(
        &mut self,
        name: &str,
        spec: &[&str],
        note: &str,
        build: impl FnOnce(&mut Draft),
    ) {
        let mut draft = Draft::default();
        build(&mut draft);
        self.add(draft, name, spec, note);
    }

    fn add(&mut self, draft: Draft, name: &str, spec: &[&str], note: &str) {
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
    let areas = [
        root::cases,
        rotation::cases,
        timestamp::cases,
        snapshot::cases,
        targets::cases,
        thresholds::cases,
        keys::cases,
        encoding::cases,
        fields::cases,
        delegations::cases,
        delegated::cases,
        paths::cases,
        consistent::cases,
        bounds::cases,
        images::cases,
        image_names::cases,
        uptane::cases,
    ];
    for area in areas {
        area(&mut cases);
    }
    match cases.errors.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(cases.vectors),
    }
}
