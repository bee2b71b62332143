//! Writing the vectors, and checking that they are what the definitions say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cases::{self, CaseError};
use crate::format::{pretty, schema};
use crate::simulate::SignatureCache;
use crate::suite::{SuiteError, read_tree};
use crate::tree::Files;

const CACHE: &str = "signatures.cache";
const SCHEMA: &str = "schema/case.schema.json";
const VECTORS: &str = "vectors";

/// Why the vectors could not be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// A mistake in a definition.
    #[error("case {name}: {error}")]
    Case {
        /// Which case.
        name: String,
        /// What is wrong.
        error: CaseError,
    },
    /// Two cases have the same name.
    #[error("two cases are called {0}")]
    Twice(String),
    /// What is there cannot be read.
    #[error(transparent)]
    Read(#[from] SuiteError),
    /// A file cannot be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// What is there is not what the definitions say.
    #[error(
        "{} differ from their definitions, {} first: run `test-vectors generate` and commit what it writes",
        .0.len(), .0.first().map_or("", String::as_str)
    )]
    Differs(Vec<String>),
}

/// What changed on disk, or would have to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Cases.
    pub cases: usize,
    /// Files in all.
    pub files: usize,
    /// Files that were written or removed, below the folder of the vectors.
    pub changed: Vec<String>,
}

/// Makes everything again below `home` (the folder with `vectors/`) and writes what changed.
///
/// # Errors
/// [`GenerateError`]
pub fn write(home: &Path) -> Result<Generated, GenerateError> {
    let (generated, made) = plan(home)?;
    for name in &generated.changed {
        let path = home.join(name);
        let done = match made.get(name) {
            Some(bytes) => write_file(&path, bytes),
            None => fs::remove_file(&path),
        };
        done.map_err(|error| GenerateError::Write { path, error })?;
    }
    let path = home.join(VECTORS);
    prune(&path).map_err(|error| GenerateError::Write { path, error })?;
    Ok(generated)
}

/// Makes everything again and compares it with what is there, to the byte.
///
/// # Errors
/// [`GenerateError::Differs`] names the files that differ.
pub fn check(home: &Path) -> Result<Generated, GenerateError> {
    let (generated, _) = plan(home)?;
    match generated.changed.is_empty() {
        true => Ok(generated),
        false => Err(GenerateError::Differs(generated.changed)),
    }
}

fn plan(home: &Path) -> Result<(Generated, Files), GenerateError> {
    let there = read_home(home)?;
    let cache = there.get(CACHE).map_or(&[][..], Vec::as_slice);
    let cache = SignatureCache::from_text(&String::from_utf8_lossy(cache));
    let vectors =
        cases::all(&cache).map_err(|(name, error)| GenerateError::Case { name, error })?;

    let mut made = Files::new();
    for vector in &vectors {
        let directory = format!("{VECTORS}/{}", vector.case.name);
        let case = pretty(&vector.case).into_bytes();
        if made
            .insert(format!("{directory}/case.json"), case)
            .is_some()
        {
            return Err(GenerateError::Twice(vector.case.name.clone()));
        }
        for (path, bytes) in &vector.files {
            made.insert(format!("{directory}/{path}"), bytes.clone());
        }
    }
    made.insert(CACHE.into(), cache.to_text().into_bytes());
    made.insert(SCHEMA.into(), schema().into_bytes());

    let names: BTreeSet<&String> = made.keys().chain(there.keys()).collect();
    let changed = names
        .into_iter()
        .filter(|name| made.get(*name) != there.get(*name))
        .cloned()
        .collect();
    let generated = Generated {
        cases: vectors.len(),
        files: made.len(),
        changed,
    };
    Ok((generated, made))
}

/// All files that this module writes, as they are on disk.
fn read_home(home: &Path) -> Result<Files, SuiteError> {
    let mut there = Files::new();
    let vectors = home.join(VECTORS);
    if vectors.is_dir() {
        read_tree(&vectors, &format!("{VECTORS}/"), &mut there)?;
    }
    for name in [CACHE, SCHEMA] {
        let path = home.join(name);
        if path.is_file() {
            let bytes = fs::read(&path).map_err(|error| SuiteError::Read { path, error })?;
            there.insert(name.into(), bytes);
        }
    }
    Ok(there)
}

/// Removes directories that cases left behind. Whether `directory` is empty then.
fn prune(directory: &Path) -> std::io::Result<bool> {
    let mut empty = true;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let gone = path.is_dir() && prune(&path)?;
        if gone {
            fs::remove_dir(path)?;
        }
        empty &= gone;
    }
    Ok(empty)
}

fn write_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, bytes)
}
