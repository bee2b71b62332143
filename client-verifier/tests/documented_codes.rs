//! The table that users read is the table in the code.

use countersign_verifier::Code;

#[test]
fn every_code_is_documented_as_it_is() {
    let page = include_str!("../../docs/refusals.md");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'))
        .collect();
    let expected: Vec<String> = Code::ALL
        .iter()
        .map(|code| {
            let (number, name) = (code.number(), code.name());
            format!(
                "| {number} | `{name}` | {} | {} |",
                code.attack().name(),
                code.meaning()
            )
        })
        .collect();
    assert_eq!(rows, expected);
}
