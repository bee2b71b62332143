//! Every committed vector is a test with its own name.

use std::path::{Path, PathBuf};

use countersign_vectors::run::in_process;
use countersign_vectors::run::run_case;
use countersign_vectors::suite;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let names = suite::names(&home()).expect("the vectors can be listed");
    let trials = names
        .into_iter()
        .map(|name| Trial::test(name.clone(), move || run(&name)));
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// A test runner may start this program once for each of them: only the one is read.
fn run(name: &str) -> Result<(), Failed> {
    let vector = suite::load_one(&home(), name)?;
    let result = run_case(&mut *in_process::client(&vector), &vector);
    match result.problems.is_empty() {
        true => Ok(()),
        false => Err(result.problems.join("\n").into()),
    }
}
