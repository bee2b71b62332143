//! The copy of the workspace, its switches and its build.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rewrite::MUTANT_RS;
use crate::sources::Sources;

/// The workspace and its copy.
#[derive(Debug)]
pub(crate) struct Work {
    root: PathBuf,
    home: PathBuf,
}

/// Why there is no program to run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    /// A file of the workspace or of its copy.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// `git` cannot say what belongs to the workspace.
    #[error("git ls-files: {0}")]
    Git(String),
    /// The copy does not build.
    #[error(
        "the copy with its switches does not build; what cannot have a switch belongs into skip.toml\n{0}"
    )]
    Build(String),
}

impl Work {
    /// The workspace at `root`; the copy goes below its `target`.
    pub(crate) fn at(root: &Path) -> Result<Self, WorkError> {
        let root = fs::canonicalize(root).map_err(|error| WorkError::File {
            path: root.into(),
            error,
        })?;
        let home = root.join("target/mutation-check");
        Ok(Self { root, home })
    }

    /// The vectors that are run: those of the copy, which nobody edits meanwhile.
    pub(crate) fn vectors(&self) -> PathBuf {
        self.home.join("tree/test-vectors")
    }

    /// Where it is kept which case noticed what.
    pub(crate) fn memory(&self) -> PathBuf {
        self.home.join("noticed.json")
    }

    /// For what runs leave behind.
    pub(crate) fn scratch(&self) -> Result<PathBuf, WorkError> {
        let scratch = self.home.join("scratch");
        create_dir(&scratch)?;
        Ok(scratch)
    }

    /// Makes the copy what the workspace is, with the switches in it. What has not changed is left
    /// alone, so that little has to be built again.
    pub(crate) fn copy(&self, sources: &Sources) -> Result<(), WorkError> {
        let tree = self.home.join("tree");
        let mut wanted = BTreeSet::new();
        for name in self.tracked()? {
            let from = self.root.join(&name);
            // A file that is deleted and not yet committed so.
            let Ok(mut bytes) = fs::read(&from) else {
                continue;
            };
            if let Some(switched) = sources.switched(&name) {
                bytes = switched.into_bytes();
            }
            write(&tree.join(&name), &bytes)?;
            wanted.insert(tree.join(name));
        }
        for module in sources.modules() {
            write(&tree.join(&module), MUTANT_RS.as_bytes())?;
            wanted.insert(tree.join(module));
        }
        remove_others(&tree, &wanted)
    }

    /// Builds the copy; the path of its `test-vectors`.
    pub(crate) fn build(&self) -> Result<PathBuf, WorkError> {
        let tree = self.home.join("tree");
        let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
            .current_dir(&tree)
            .args(["build", "--quiet", "--locked", "-p", "countersign-vectors"])
            .args(["--bin", "test-vectors", "--target-dir"])
            .arg(self.home.join("build"))
            // Hundreds of runs are worth some optimisation, and no debugger looks at them.
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            // Switches bring warnings with them.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .map_err(|error| WorkError::Build(error.to_string()))?;
        match output.status.success() {
            true => Ok(self.home.join("build/debug/test-vectors")),
            false => Err(WorkError::Build(
                String::from_utf8_lossy(&output.stderr).into_owned(),
            )),
        }
    }

    fn tracked(&self) -> Result<Vec<String>, WorkError> {
        let output = Command::new("git")
            .current_dir(&self.root)
            .args(["ls-files", "-z", "-co", "--exclude-standard"])
            .output()
            .map_err(|error| WorkError::Git(error.to_string()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(WorkError::Git(said.trim().into()));
        }
        let names = String::from_utf8_lossy(&output.stdout);
        let names = names.split('\0').filter(|name| !name.is_empty());
        Ok(names.map(str::to_owned).collect())
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), WorkError> {
    if fs::read(path).is_ok_and(|before| before == bytes) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_dir(parent)?;
    }
    fs::write(path, bytes).map_err(|error| WorkError::File {
        path: path.into(),
        error,
    })
}

fn create_dir(path: &Path) -> Result<(), WorkError> {
    fs::create_dir_all(path).map_err(|error| WorkError::File {
        path: path.into(),
        error,
    })
}

/// What went from the workspace goes from the copy: an old vector must not notice anything.
fn remove_others(directory: &Path, wanted: &BTreeSet<PathBuf>) -> Result<(), WorkError> {
    let failed = |error| WorkError::File {
        path: directory.into(),
        error,
    };
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            remove_others(&path, wanted)?;
            // Fails, and rightly so, where something is in it.
            let _ = fs::remove_dir(&path);
        } else if !wanted.contains(&path) {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(())
}
