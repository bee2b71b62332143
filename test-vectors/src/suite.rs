//! The committed vectors, read back.

use std::fs;
use std::path::{Path, PathBuf};

use crate::format::{Case, Step};
use crate::tree::{Files, Site};

/// A case with its files.
#[derive(Debug, Clone)]
pub struct Vector {
    /// `case.json`
    pub case: Case,
    /// All other files below the directory of the case.
    pub files: Files,
}

/// Why vectors could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// A file or directory cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A `case.json` that is not one.
    #[error("{}: {what}", path.display())]
    Case {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Nothing to run.
    #[error("no case below {} has \"{filter}\" in its name", path.display())]
    Nothing {
        /// Where.
        path: PathBuf,
        /// What was looked for.
        filter: String,
    },
}

/// Reads all vectors below `root` whose name contains `filter`, in the order of their names.
///
/// # Errors
/// [`SuiteError`]; also when there is none, because a run of nothing proves nothing.
pub fn load(root: &Path, filter: &str) -> Result<Vec<Vector>, SuiteError> {
    let mut vectors = Vec::new();
    for name in names(root)? {
        if name.contains(filter) {
            vectors.push(load_one(root, &name)?);
        }
    }
    match vectors.is_empty() {
        false => Ok(vectors),
        true => Err(SuiteError::Nothing {
            path: root.into(),
            filter: filter.into(),
        }),
    }
}

/// The names of all vectors below `root`, in order. None is read.
///
/// # Errors
/// [`SuiteError`]
pub fn names(root: &Path) -> Result<Vec<String>, SuiteError> {
    let mut names = Vec::new();
    for area in subdirectories(root)? {
        for directory in subdirectories(&area)? {
            let path = directory.strip_prefix(root).unwrap_or(&directory);
            names.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// Reads the vector of this name below `root`.
///
/// # Errors
/// [`SuiteError`]
pub fn load_one(root: &Path, name: &str) -> Result<Vector, SuiteError> {
    let directory = root.join(name);
    let mut files = Files::new();
    read_tree(&directory, "", &mut files)?;
    let path = directory.join("case.json");
    let fail = |what: String| SuiteError::Case {
        path: path.clone(),
        what,
    };
    let text = files
        .remove("case.json")
        .ok_or_else(|| fail("is missing".into()))?;
    let case: Case = serde_json::from_slice(&text).map_err(|error| fail(error.to_string()))?;
    if case.name != name {
        return Err(fail(format!("calls itself {}", case.name)));
    }
    Ok(Vector { case, files })
}

/// Reads all files below `directory` into `files`, under `prefix`.
pub(crate) fn read_tree(
    directory: &Path,
    prefix: &str,
    files: &mut Files,
) -> Result<(), SuiteError> {
    let failed = |error| SuiteError::Read {
        path: directory.into(),
        error,
    };
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if path.is_dir() {
            read_tree(&path, &format!("{name}/"), files)?;
        } else {
            let bytes = fs::read(&path).map_err(|error| SuiteError::Read { path, error })?;
            files.insert(name, bytes);
        }
    }
    Ok(())
}

fn subdirectories(directory: &Path) -> Result<Vec<PathBuf>, SuiteError> {
    let failed = |error| SuiteError::Read {
        path: directory.into(),
        error,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

impl Vector {
    /// What the server serves in `step`.
    pub fn site(&self, step: &Step) -> Site {
        let mut served = Files::new();
        for directory in &step.serve {
            let prefix = format!("{directory}/");
            let files = self.files.iter().filter_map(|(path, bytes)| {
                Some((path.strip_prefix(&prefix)?.to_string(), bytes.clone()))
            });
            served.extend(files);
        }
        let mut site = Site::new(&served);
        for (path, spaces) in &step.pad {
            site.pad(path, *spaces);
        }
        for (path, status) in &step.status {
            site.status(path, *status);
        }
        site
    }

    /// The Root that the client is provisioned with.
    pub fn trusted_root(&self) -> &[u8] {
        self.case
            .trusted_root
            .as_deref()
            .map_or(&[], |path| self.file(path))
    }

    /// A file below the directory of the case; nothing if it is not there.
    pub fn file(&self, path: &str) -> &[u8] {
        self.files.get(path).map_or(&[], Vec::as_slice)
    }
}
