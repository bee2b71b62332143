//! Image names inside and outside what a delegation is trusted for.

use countersign_metadata::{PathSet, TargetPath, sha256};

/// How many names are tried for a hash prefix: enough for one of four digits.
const TRIES: u32 = 1 << 20;

/// A name that `paths` covers, different for each `word`.
pub(super) fn inside(paths: &PathSet, word: &str) -> Option<String> {
    match paths {
        PathSet::Patterns(patterns) => patterns
            .iter()
            .map(|pattern| pattern.replace('*', word).replace('?', "x"))
            .find(|name| covers(paths, name)),
        PathSet::HashPrefixes(prefixes) => (0..TRIES)
            .map(|number| format!("{word}-{number}.img"))
            .find(|name| {
                let hash = hex::encode(sha256(name.as_bytes()));
                prefixes.iter().any(|prefix| hash.starts_with(prefix))
            }),
    }
}

/// A name that `paths` does not cover; `None` where everything is covered.
pub(super) fn outside(paths: &PathSet) -> Option<String> {
    (0..64)
        .flat_map(|number| {
            [
                format!("outside-{number}.img"),
                format!("outside-{number}/a/b.img"),
            ]
        })
        .find(|name| !covers(paths, name))
}

fn covers(paths: &PathSet, name: &str) -> bool {
    TargetPath::new(name).is_ok_and(|path| paths.contains(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_for_patterns_and_for_hashes() {
        let patterns = PathSet::Patterns(vec!["../*".into(), "a?/*.bin".into()]);
        assert_eq!(inside(&patterns, "drill").as_deref(), Some("ax/drill.bin"));
        let one = inside(&patterns, "other");
        assert_ne!(inside(&patterns, "drill"), one);
        let hashes = PathSet::HashPrefixes(vec!["abc".into()]);
        let found = inside(&hashes, "drill").expect("one of a million");
        assert!(covers(&hashes, &found) && !covers(&hashes, &outside(&hashes).expect("most")));
        let unusable = PathSet::Patterns(vec!["/etc/*".into()]);
        assert_eq!(inside(&unusable, "drill"), None);
        let all = PathSet::HashPrefixes("0123456789abcdef".chars().map(String::from).collect());
        assert_eq!(outside(&all), None);
    }
}
