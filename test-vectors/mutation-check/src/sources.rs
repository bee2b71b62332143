//! The sources that are looked at, and the mutants in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::lists::Known;
use crate::mutant::Mutant;
use crate::rewrite::{Place, places, with_switches};

/// The crates that decide.
const CRATES: [&str; 2] = ["metadata/src", "client-verifier/src"];

/// Built with other features only.
const NOT_BUILT: [&str; 1] = ["metadata/src/crypto_rustcrypto.rs"];

/// Every source by its path from the root of the workspace, with its places.
#[derive(Debug)]
pub(crate) struct Sources(BTreeMap<String, (String, Vec<Place>)>);

impl Sources {
    /// Reads both crates below `root`. Places in `skip` get no switch.
    ///
    /// # Errors
    /// What cannot be read, or an entry of `skip` that names no place.
    pub(crate) fn read(root: &Path, skip: &Known) -> Result<Self, String> {
        let mut sources = BTreeMap::new();
        for folder in CRATES {
            let mut files = BTreeMap::new();
            read_folder(root, folder, &mut files)?;
            for (name, text) in files {
                if NOT_BUILT.contains(&name.as_str()) {
                    continue;
                }
                let found = places(&name, &text).map_err(|error| format!("{name}: {error}"))?;
                sources.insert(name, (text, found));
            }
        }
        let all = Self(sources);
        if let Some(gone) = skip.without(|name| all.has(name)).first() {
            return Err(format!("skip.toml: there is no mutant {gone}"));
        }
        Ok(all.numbered(skip))
    }

    fn numbered(mut self, skip: &Known) -> Self {
        let places = self.0.values_mut().map(|(_, places)| places);
        let mut number = 0;
        for places in places {
            places.retain(|place| skip.reason(&place.mutant.identity).is_none());
            for place in places {
                number += 1;
                place.mutant.number = number;
            }
        }
        self
    }

    /// All mutants, in the order of files and places.
    pub(crate) fn mutants(&self) -> impl Iterator<Item = &Mutant> {
        let places = self.0.values().flat_map(|(_, places)| places);
        places.map(|place| &place.mutant)
    }

    /// Whether there is a mutant with this identity.
    pub(crate) fn has(&self, identity: &str) -> bool {
        self.mutants().any(|mutant| mutant.identity == identity)
    }

    /// The source of this name with its switches, if it is one of these.
    pub(crate) fn switched(&self, name: &str) -> Option<String> {
        let (text, places) = self.0.get(name)?;
        let switched = with_switches(text, places);
        let is_root = CRATES
            .iter()
            .any(|folder| name == format!("{folder}/lib.rs"));
        Some(match is_root {
            true => switched + "\nmod mutant;\n",
            false => switched,
        })
    }

    /// Where the modules that the switches ask belong.
    pub(crate) fn modules(&self) -> impl Iterator<Item = String> {
        CRATES.iter().map(|folder| format!("{folder}/mutant.rs"))
    }
}

fn read_folder(
    root: &Path,
    folder: &str,
    files: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{folder}: {error}");
    for entry in fs::read_dir(root.join(folder)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read_folder(root, &name, files)?;
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).map_err(failed)?;
            files.insert(name, text);
        }
    }
    Ok(())
}
