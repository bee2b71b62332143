//! Text put into a source, without touching what stands there.

use std::ops::Range;

/// Text before and after a part of the source. `@` stands for the mutant's number.
#[derive(Debug, Clone)]
pub(crate) struct Wrap {
    pub(crate) range: Range<usize>,
    pub(crate) before: String,
    pub(crate) after: String,
}

/// The source with all of it in place: each wrap comes with its number. Of two around the same part
/// the first one is outside.
pub(crate) fn apply(source: &str, wraps: &[(u32, Wrap)]) -> String {
    let mut pieces = Vec::new();
    for (order, (number, wrap)) in wraps.iter().enumerate() {
        let Range { start, end } = wrap.range;
        let numbered = |text: &str| text.replace('@', &number.to_string());
        let order = order as isize;
        // What ends at a place stands before what begins there, inner ends first, outer beginnings first.
        let ends = (end, 0, -(start as isize), -order);
        let begins = (start, 1, -(end as isize), order);
        pieces.push((begins, numbered(&wrap.before)));
        pieces.push((ends, numbered(&wrap.after)));
    }
    pieces.sort();
    let mut text = String::with_capacity(source.len() * 2);
    let mut from = 0;
    for ((at, ..), piece) in pieces {
        text.push_str(&source[from..at]);
        text.push_str(&piece);
        from = at;
    }
    text + &source[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(range: Range<usize>, before: &str, after: &str) -> Wrap {
        let (before, after) = (before.into(), after.into());
        Wrap {
            range,
            before,
            after,
        }
    }

    #[test]
    fn wraps_nest() {
        let wraps = [
            (1, wrap(0..1, "(@", ")")),
            (2, wrap(0..3, "[@", "]")),
            (3, wrap(0..3, "{@", "}")),
            (4, wrap(2..3, "<@", ">")),
            (5, wrap(3..3, "!", "")),
        ];
        assert_eq!(apply("a+b;", &wraps), "[2{3(1a)+<4b>}]!;");
    }
}
