//! Sets of choices, as the solver wants them.

use std::collections::BTreeSet;
use std::fmt;

use pubgrub::VersionSet;

/// Some choices by number, or all but some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choices {
    Only(BTreeSet<u32>),
    AllBut(BTreeSet<u32>),
}

impl Choices {
    pub(super) fn all() -> Self {
        Self::AllBut(BTreeSet::new())
    }

    pub(super) fn nothing() -> Self {
        Self::Only(BTreeSet::new())
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Only(some) if some.is_empty())
    }

    pub(super) fn has(&self, choice: u32) -> bool {
        match self {
            Self::Only(some) => some.contains(&choice),
            Self::AllBut(some) => !some.contains(&choice),
        }
    }

    pub(super) fn others(&self) -> Self {
        match self.clone() {
            Self::Only(some) => Self::AllBut(some),
            Self::AllBut(some) => Self::Only(some),
        }
    }

    pub(super) fn or(&self, other: &Self) -> Self {
        self.others().and(&other.others()).others()
    }

    fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(some), other) | (other, Self::Only(some)) => some
                .iter()
                .copied()
                .filter(|choice| other.has(*choice))
                .collect(),
            (Self::AllBut(some), Self::AllBut(more)) => Self::AllBut(some | more),
        }
    }
}

impl FromIterator<u32> for Choices {
    fn from_iter<I: IntoIterator<Item = u32>>(choices: I) -> Self {
        Self::Only(choices.into_iter().collect())
    }
}

impl fmt::Display for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only(some) => write!(f, "{some:?}"),
            Self::AllBut(some) => write!(f, "all but {some:?}"),
        }
    }
}

impl VersionSet for Choices {
    type V = u32;

    fn empty() -> Self {
        Self::nothing()
    }

    fn singleton(choice: u32) -> Self {
        [choice].into_iter().collect()
    }

    fn complement(&self) -> Self {
        self.others()
    }

    fn intersection(&self, other: &Self) -> Self {
        self.and(other)
    }

    fn contains(&self, choice: &u32) -> bool {
        self.has(*choice)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    fn choices() -> impl Strategy<Value = Choices> {
        (btree_set(0_u32..6, 0..6), any::<bool>()).prop_map(|(some, only)| match only {
            true => Choices::Only(some),
            false => Choices::AllBut(some),
        })
    }

    proptest! {
        #[test]
        fn sets_are_sets(a in choices(), b in choices(), choice in 0_u32..8) {
            prop_assert_eq!(a.and(&b).has(choice), a.has(choice) && b.has(choice));
            prop_assert_eq!(a.or(&b).has(choice), a.has(choice) || b.has(choice));
            prop_assert_eq!(a.others().has(choice), !a.has(choice));
            prop_assert_eq!(a.and(&a.others()), Choices::nothing());
            prop_assert_eq!(a.or(&a.others()), Choices::all());
        }
    }
}
