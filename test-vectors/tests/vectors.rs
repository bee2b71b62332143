//! Every committed vector is a test with its own name.

use std::path::{Path, PathBuf};

use countersign_vectors::run::in_process;
use countersign_vectors::run::run_case;
use countersign_vectors::suite::{self, Vector};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let vectors = suite::load(&home().join("vectors"), "").expect("the vectors can be read");
    let trials = vectors
        .into_iter()
        .map(|vector| Trial::test(vector.case.name.clone(), move || run(&vector)));
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).into()
}

fn run(vector: &Vector) -> Result<(), Failed> {
    let result = run_case(&mut *in_process::client(vector), vector);
    match result.problems.is_empty() {
        true => Ok(()),
        false => Err(result.problems.join("\n").into()),
    }
}
