//! Every case of an ECU that verifies in part, with files that pass in chunks: the same codes, but for
//! files in a form that a device which cannot hold them does not read.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::num::NonZeroUsize;
use std::path::Path;

use countersign_vectors::format::Verification;
use countersign_vectors::run::{in_process, run_case};
use countersign_vectors::suite;

/// Cases whose files are not canonical. There they are refused as such, and only there.
const NOT_CANONICAL: [&str; 0] = [];

#[test]
fn what_is_verified_in_part_may_pass_in_chunks() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut run = 0;
    for name in suite::names(&home).unwrap() {
        let vector = suite::load_one(&home, &name).unwrap();
        let ecu = vector.case.ecu.as_ref();
        if ecu.is_none_or(|ecu| ecu.verification != Verification::Partial) {
            continue;
        }
        run += 1;
        for chunk in [1, 13, 4096] {
            let chunk = NonZeroUsize::new(chunk).unwrap();
            let result = run_case(&mut *in_process::streaming_client(chunk), &vector);
            let problems = result.problems.join("\n");
            match NOT_CANONICAL.contains(&name.as_str()) {
                true => assert!(problems.contains("not-canonical"), "{name}: {problems}"),
                false => assert!(problems.is_empty(), "{name}, chunks of {chunk}: {problems}"),
            }
        }
    }
    assert!(run > 30, "{run} cases");
}
