//! Which target paths a delegated role is trusted for (TUF 4.5).

use alloc::string::String;
use alloc::vec::Vec;

use crate::crypto;
use crate::path::TargetPath;

/// A set of target paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSet {
    /// `paths`: patterns in which `*` and `?` do not match `/`.
    Patterns(Vec<String>),
    /// `path_hash_prefixes`: prefixes of the hexadecimal SHA-256 of the path.
    HashPrefixes(Vec<String>),
}

impl PathSet {
    /// Whether `path`, whose SHA-256 in hexadecimal is `hash`, is in the set.
    pub(crate) fn matches(&self, path: &TargetPath, hash: &str) -> bool {
        match self {
            Self::Patterns(patterns) => patterns
                .iter()
                .any(|pattern| pattern_matches(pattern, path.as_str())),
            Self::HashPrefixes(prefixes) => prefixes.iter().any(|prefix| hash.starts_with(prefix)),
        }
    }

    /// Whether `path` is in the set.
    pub fn contains(&self, path: &TargetPath) -> bool {
        self.matches(path, &hex::encode(crypto::sha256(path.as_str().as_bytes())))
    }
}

/// TUF 4.5 PATHPATTERN, segment by segment: `*` is any run of characters, `?` any one; neither
/// crosses a `/`. Time is linear in the product of the two lengths, whatever the pattern.
fn pattern_matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut segments) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), segments.next()) {
            (None, None) => return true,
            (Some(pattern), Some(segment)) if segment_matches(pattern, segment) => {}
            _ => return false,
        }
    }
}

fn segment_matches(pattern: &str, text: &str) -> bool {
    let (mut p, mut t) = (pattern.chars(), text.chars());
    let mut retry = None;
    loop {
        let rest_of_text = t.clone();
        match (p.next(), t.next()) {
            (Some('*'), _) => {
                // Let the star match nothing now, and one character more at each retry.
                retry = Some((p.clone(), rest_of_text.clone()));
                t = rest_of_text;
            }
            (Some('?'), Some(_)) => {}
            (Some(expected), Some(found)) if expected == found => {}
            (None, None) => return true,
            _ => {
                let Some((after_star, mut from)) = retry else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                (p, t) = (after_star.clone(), from.clone());
                retry = Some((after_star, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stay_within_a_segment() {
        let yes = [
            ("targets/*.tgz", "targets/foo.tgz"),
            ("foo-?.tgz", "foo-2.tgz"),
            ("*", "a"),
            ("*a*b*", "xaxxbx"),
            ("*.tgz", ".tgz"),
            ("a/*/c", "a/b/c"),
            ("?", "ü"),
            ("[a]", "[a]"),
            ("**", "x"),
            ("foo", "foo"),
        ];
        let no = [
            ("targets/*.tgz", "targets/foo.txt"),
            ("foo-?.tgz", "foo-alpha.tgz"),
            ("*", "a/b"),
            ("a/*", "a/b/c"),
            ("a?b", "a/b"),
            ("*.tgz", "targets/foo.tgz"),
            ("foo", "fooo"),
            ("", "a"),
            ("a/", "a"),
            ("[a]", "a"),
            ("**", "a/b"),
            ("*a", "ab"),
        ];
        for (pattern, path) in yes {
            assert!(pattern_matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in no {
            assert!(!pattern_matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_exponential_time() {
        let pattern = "*a".repeat(500);
        assert!(!pattern_matches(&pattern, &"a".repeat(499)));
        assert!(!pattern_matches(&(pattern + "b"), &"a".repeat(1500)));
    }
}
