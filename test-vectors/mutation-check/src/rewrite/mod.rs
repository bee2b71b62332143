//! Finding the checks in a source, and putting a switch at each.

mod edit;
mod places;
mod refusal;

use syn::parse_file;

use crate::mutant::Mutant;

use self::edit::{Wrap, apply};

/// A place where a check can be switched off.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) mutant: Mutant,
    wrap: Wrap,
}

/// All places in one source, in the order in which they stand there. Numbers are still to be given.
///
/// # Errors
/// What is wrong with the source.
pub(crate) fn places(file: &str, source: &str) -> syn::Result<Vec<Place>> {
    let parsed = parse_file(source)?;
    let mut found = places::find(source, &parsed);
    found.sort_by_key(|found| found.shown.start);
    let mut places: Vec<Place> = Vec::new();
    for found in found {
        let condition = one_line(&source[found.shown.clone()]);
        let (function, rule, becomes) = (&found.function, found.rule, found.becomes);
        let identity = format!("{file} {function} {rule} -> {becomes}: {condition}");
        let again = format!("{identity} #");
        let same = places.iter().filter(|place| {
            place.mutant.identity == identity || place.mutant.identity.starts_with(&again)
        });
        let identity = match same.count() {
            0 => identity,
            before => format!("{again}{}", before + 1),
        };
        places.push(Place {
            mutant: Mutant {
                number: 0,
                identity,
                file: file.into(),
                line: source[..found.shown.start].matches('\n').count() + 1,
                rule,
                becomes,
                condition,
            },
            wrap: found.wrap,
        });
    }
    Ok(places)
}

/// The source with these switches in place.
pub(crate) fn with_switches(source: &str, places: &[Place]) -> String {
    let wraps: Vec<(u32, Wrap)> = places
        .iter()
        .map(|place| (place.mutant.number, place.wrap.clone()))
        .collect();
    apply(source, &wraps)
}

/// The module that the switches ask. The crates know no standard library, but here they have one.
pub(crate) const MUTANT_RS: &str = r#"
extern crate std;

/// Whether this is the mutant that is looked at.
pub(crate) fn off(number: u32) -> bool {
    static CHOSEN: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let chosen = std::env::var("COUNTERSIGN_MUTANT").ok();
        chosen.and_then(|number| number.parse().ok()).unwrap_or(0)
    }) == number
}

/// Panics if this is the mutant that is looked at.
pub(crate) fn reached(number: u32) {
    assert!(!off(number), "mutant {number} is reached");
}
"#;

/// A part of a source, with white space and line ends as single spaces.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
