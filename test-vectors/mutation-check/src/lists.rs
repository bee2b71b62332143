//! The two lists of mutants that are known: `skip.toml` and `unnoticed.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Mutants by identity, and why they are on the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known(BTreeMap<String, String>);

/// `[[because]]`: one reason, and the mutants that have it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Because {
    reason: String,
    mutants: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    because: Vec<Because>,
}

impl Known {
    /// Reads a list.
    ///
    /// # Errors
    /// What is wrong with it: an unknown shape, an empty reason, or a mutant that stands in it twice.
    pub(crate) fn from_toml(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut known = BTreeMap::new();
        for Because { reason, mutants } in file.because {
            if reason.trim().is_empty() {
                return Err(format!("{mutants:?} need a reason"));
            }
            for mutant in mutants {
                if known.contains_key(&mutant) {
                    return Err(format!("{mutant} stands in it twice"));
                }
                known.insert(mutant, reason.clone());
            }
        }
        Ok(Self(known))
    }

    /// Why this mutant is on the list.
    pub(crate) fn reason(&self, identity: &str) -> Option<&str> {
        self.0.get(identity).map(String::as_str)
    }

    /// Entries that name none of these.
    pub(crate) fn without(&self, exists: impl Fn(&str) -> bool) -> Vec<String> {
        let names = self.0.keys();
        names.filter(|name| !exists(name)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_reasons_and_names_a_mutant_once() {
        let known = Known::from_toml("[[because]]\nreason = 'speed'\nmutants = ['a', 'b']\n");
        let known = known.expect("a list");
        assert_eq!(known.reason("a"), Some("speed"));
        assert_eq!(known.without(|name| name == "a"), ["b"]);
        assert!(Known::from_toml("[[because]]\nreason = ' '\nmutants = ['a']\n").is_err());
        assert!(Known::from_toml("[[because]]\nreason = 'x'\nmutants = ['a', 'a']\n").is_err());
        assert!(Known::from_toml("").is_ok());
    }
}
