//! Which case noticed a mutant last time. It is tried first, which saves most of the time; what it no
//! longer notices is put to all cases, so nothing is ever concluded from memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::mutant::Mutant;
use crate::trial::Verdict;

/// Cases by the mutants that they noticed.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    file: PathBuf,
    noticed: BTreeMap<String, String>,
}

impl Memory {
    /// What `file` remembers; nothing, if it cannot be read.
    pub(crate) fn at(file: &Path) -> Self {
        let text = fs::read(file).unwrap_or_default();
        Self {
            file: file.into(),
            noticed: serde_json::from_slice(&text).unwrap_or_default(),
        }
    }

    /// The case to try first.
    pub(crate) fn case(&self, mutant: &Mutant) -> Option<&str> {
        self.noticed.get(&mutant.identity).map(String::as_str)
    }

    /// Remembers what a run has shown. A memory that cannot be written costs time, nothing else.
    pub(crate) fn keep<'a>(mut self, verdicts: impl Iterator<Item = (&'a Mutant, &'a Verdict)>) {
        for (mutant, verdict) in verdicts {
            if let Verdict::Noticed { by } = verdict {
                self.noticed.insert(mutant.identity.clone(), by.clone());
            }
        }
        if let Ok(text) = serde_json::to_vec_pretty(&self.noticed) {
            let _ = fs::write(&self.file, text);
        }
    }
}
