//! Small sources, and what becomes of them.

use super::*;

/// The source with its switches, numbered from 1, and `off(N)` for `crate::mutant::off(N)`.
fn switched(source: &str) -> String {
    let mut found = places("a.rs", source).expect("a source");
    for (place, number) in found.iter_mut().zip(1..) {
        place.mutant.number = number;
    }
    with_switches(source, &found).replace("crate::mutant::", "")
}

/// What the mutants of a source are, without the file.
fn identities(source: &str) -> Vec<String> {
    let found = places("a.rs", source).expect("a source").into_iter();
    let identities = found.map(|place| place.mutant.identity);
    identities
        .map(|identity| identity.trim_start_matches("a.rs ").to_owned())
        .collect()
}

#[test]
fn a_condition_that_refuses_never_holds() {
    assert_eq!(
        switched("fn f() -> R { if a == b { return Err(x); } Ok(()) }"),
        "fn f() -> R { if ((a == b) && !off(1)) { return Err(x); } Ok(()) }"
    );
    assert_eq!(
        switched("fn f() -> R { if a { Ok(()) } else { self.fail(x) } }"),
        "fn f() -> R { if ((a) || off(1)) { Ok(()) } else { self.fail(x) } }"
    );
}

#[test]
fn what_is_left_without_a_refusal_is_tried_both_ways() {
    assert_eq!(
        switched("fn f() { for x in y { if seen(x) { continue; } } }"),
        "fn f() { for x in y { if ((((seen(x)) || off(2))) && !off(1)) { continue; } } }"
    );
    assert_eq!(
        switched("fn f() { if quick { g(); } }"),
        "fn f() { if quick { g(); } }"
    );
}

#[test]
fn a_chain_with_let_stays_a_chain() {
    assert_eq!(
        switched("fn f() -> R { if let Some(x) = y && x == z { return Err(x); } Ok(()) }"),
        "fn f() -> R { if let Some(x) = y && ((x == z) || off(2)) && !off(1) { return Err(x); } Ok(()) }"
    );
}

#[test]
fn reasons_in_a_chain_that_ends_well_are_refusals() {
    assert_eq!(
        switched(
            "fn f() -> R { let why = if a { \"a\" } else if b { \"b\" } else { return Ok(c); }; Err(why) }"
        ),
        "fn f() -> R { let why = if ((a) && !off(1)) { \"a\" } else if ((b) && !off(2)) { \"b\" } else { return Ok(c); }; Err(why) }"
    );
}

#[test]
fn a_match_on_a_condition_takes_the_other_arm() {
    assert_eq!(
        switched("fn f() -> R { match c { true => Err(x), false => Ok(y) } }"),
        "fn f() -> R { match ((c) && !off(1)) { true => Err(x), false => Ok(y) } }"
    );
    assert_eq!(
        switched("fn f() -> R { match c { true => Ok(y), false => { let d = 1; Err(d) } } }"),
        "fn f() -> R { match ((c) || off(1)) { true => Ok(y), false => { let d = 1; Err(d) } } }"
    );
    assert_eq!(
        switched(
            "fn f() -> R { match (a, b) { (true, true) => Ok(y), (false, _) => Err(1), (_, false) => Err(2) } }"
        ),
        "fn f() -> R { match (((a) || off(1)), ((b) || off(2))) { (true, true) => Ok(y), (false, _) => Err(1), (_, false) => Err(2) } }"
    );
}

#[test]
fn guards_and_arms() {
    assert_eq!(
        switched("fn f() -> R { match x { Some(y) if y => Err(z), _ => Ok(w) } }"),
        "fn f() -> R { match x { Some(y) if ((y) && !off(1)) => Err(z), _ => Ok(w) } }"
    );
    assert_eq!(
        switched("fn f() -> R { match x { Some(y) if y => Ok(z), _ => Err(w) } }"),
        "fn f() -> R { match x { Some(y) if ((((y) || off(2))) && !off(1)) => Ok(z), _ => { reached(3); Err(w) } } }"
    );
    assert_eq!(
        switched("fn f() -> R { match x { Some(y) => check(y)?, None => {} } Ok(()) }"),
        "fn f() -> R { match x { Some(y) => { if !off(1) { check(y)?; } }, None => {} } Ok(()) }"
    );
}

#[test]
fn a_driver_that_breaks_the_protocol_is_no_refusal() {
    let source = "fn f() -> R { match x { A => Ok(1), _ => Err(misuse(\"no\")) } }";
    assert_eq!(switched(source), source);
}

#[test]
fn checks_that_are_called_are_passed_over() {
    assert_eq!(
        switched("fn f() -> R { check(x)?; let y = read()?; Ok(y) }"),
        "fn f() -> R { if !off(1) { check(x)?; } let y = read()?; Ok(y) }"
    );
}

#[test]
fn functions_are_content_at_once() {
    assert_eq!(
        switched("impl A { fn f(&self) -> Result<(), E> { g(self) } }"),
        "impl A { fn f(&self) -> Result<(), E> { if off(1) { return Ok(()); } g(self) } }"
    );
    assert_eq!(
        switched("fn f() -> bool { g() }"),
        "fn f() -> bool { if off(1) { return true; } if off(2) { return false; } g() }"
    );
}

#[test]
fn closures_and_then() {
    assert_eq!(
        switched("fn f() -> T { x.iter().any(|y| y == z) }"),
        "fn f() -> T { x.iter().any(|y| ((((y == z) && !off(2))) || off(1))) }"
    );
    assert_eq!(
        switched("fn f() -> T { x.chars().any(char::is_control) }"),
        "fn f() -> T { x.chars().any(|it| (char::is_control)(it) || off(1)) }"
    );
    assert_eq!(
        switched("fn f() -> T { (a == b).then_some(c) }"),
        "fn f() -> T { (((a == b)) || off(1)).then_some(c) }"
    );
    assert_eq!(
        switched("fn f() -> T { read(x).map_err(|e| E::of(e)) }"),
        "fn f() -> T { read(x).map_err(|e| { reached(1); E::of(e) }) }"
    );
}

#[test]
fn every_operand_counts() {
    assert_eq!(
        switched("fn f() { let x = a && b && c; let y = d || e; all &= z; }"),
        "fn f() { let x = ((a) || off(1)) && ((b) || off(2)) && ((c) || off(3)); let y = ((d) && !off(4)) || ((e) && !off(5)); all &= ((z) || off(6)); }"
    );
}

#[test]
fn equal_falls_on_the_other_side() {
    assert_eq!(
        switched("fn f() { let x = a.len() as u64 > b; }"),
        "fn f() { let x = (if off(1) { (a.len() as u64) >= (b) } else { a.len() as u64 > b }); }"
    );
    assert_eq!(
        switched("fn f() { let x = (1..=MAX).contains(&n); }"),
        "fn f() { let x = (if off(1) { (1..MAX).contains(&n) } else { (if off(2) { ((1) + 1..=MAX).contains(&n) } else { (1..=MAX).contains(&n) }) }); }"
    );
}

#[test]
fn a_pattern_that_refuses_is_to_be_reached() {
    assert_eq!(
        switched("fn f() -> R { let Some(x) = y else { return Err(z); }; Ok(x) }"),
        "fn f() -> R { let Some(x) = y else { reached(1); { return Err(z); } }; Ok(x) }"
    );
}

#[test]
fn tests_other_back_ends_messages_and_what_checks_nothing_are_left_alone() {
    for source in [
        "#[cfg(test)] mod tests { fn f() -> bool { a && b } }",
        "#[cfg(not(feature = \"ring\"))] mod other { fn f() -> bool { a && b } }",
        "impl fmt::Display for A { fn fmt(&self) -> Result<(), E> { if a { return Err(b); } Ok(()) } }",
        "const fn f() -> bool { a && b }",
        "fn f() -> Result<(), E> { Ok(()) }",
    ] {
        assert_eq!(switched(source), source);
    }
}

#[test]
fn a_mutant_is_known_by_function_rule_and_condition() {
    let source = "
impl A {
    fn outer() -> R {
        fn inner() -> R { if a { return Err(1); } Ok(2) }
        if b
            == c { return Err(1); }
        if a { return Err(1); }
        if a { return Err(1); }
        inner()
    }
}
";
    assert_eq!(
        identities(source),
        [
            "A::inner if -> false: a",
            "A::outer if -> false: b == c",
            "A::outer if -> false: a",
            "A::outer if -> false: a #2",
        ]
    );
    // Lines may move, and hold within the copy.
    assert_eq!(identities(&format!("\n\n{source}")), identities(source));
    assert_eq!(switched(source).lines().count(), source.lines().count());
}
