//! Misuse that the proof types must stop at compile time.

#[test]
fn misuse_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/misuse/*.rs");
    // The same calls with the right proofs do compile, so that the cases above fail for the
    // reason they name.
    cases.pass("tests/right_use/all_proofs.rs");
}
