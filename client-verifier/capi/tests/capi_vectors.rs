//! Every vector for clients and ECUs through the exported functions: the same codes as in process. Those for TUF
//! clients twice: by sessions, and by the blocking client with callbacks.
// Every call is one that C could make: with handles of the library, and texts and places of the test.
#![allow(clippy::undocumented_unsafe_blocks)]

mod support;

use std::path::Path;

use countersign_vectors::format::Kind;
use countersign_vectors::run::{Client, run_case};
use countersign_vectors::suite;

#[test]
fn all_vectors() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-vectors/vectors");
    let mut failed = Vec::new();
    let mut run = 0;
    for vector in suite::load(&vectors, "").expect("vectors") {
        let clients: Vec<Box<dyn Client>> = match vector.case.kind() {
            Kind::Tuf => vec![
                Box::new(support::tuf::Tuf::default()),
                Box::new(support::blocking::Blocking::default()),
            ],
            Kind::Uptane => vec![Box::new(support::ecu::Ecu::default())],
            Kind::Director => Vec::new(),
        };
        for mut client in clients {
            let result = run_case(client.as_mut(), &vector);
            run += 1;
            if !result.problems.is_empty() {
                failed.push(format!("{}: {}", result.name, result.problems.join("; ")));
            }
        }
    }
    assert!(run > 1600, "{run} cases");
    assert!(
        failed.is_empty(),
        "{} of {run}:\n{}",
        failed.len(),
        failed.join("\n")
    );
    // SAFETY: no arguments.
    let left = unsafe { countersign::countersign_live_handles() };
    assert_eq!(left, 0, "handles that nobody has freed");
}
