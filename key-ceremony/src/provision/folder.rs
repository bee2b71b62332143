//! A bundle on disk: written as a whole or not at all, and checked by making it again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use countersign_metadata::UtcTime;

use super::bundle::Bundle;
use super::layout::{self, ListedFile, ManifestFile};
use super::limits;
use super::rebuild::rebuild;
use super::source::folder_of;
use crate::error::CeremonyError;
use crate::files;
use crate::review::check_confirmation;

/// The largest manifest, in bytes: seven files for each of the most devices.
const MAX_MANIFEST: u64 = 64 << 20;

/// Files by their paths in a bundle.
type Content = BTreeMap<String, Vec<u8>>;

/// What became of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is there now.
    Fresh,
    /// Exactly this was there before.
    Already,
}

impl Bundle {
    /// Writes the bundle to `out`, if `typed` confirms it. Nothing is overwritten: a folder with the
    /// same content is left alone, and anything else is refused.
    ///
    /// # Errors
    /// [`CeremonyError::NotConfirmed`], [`CeremonyError::Exists`], [`CeremonyError::Io`]
    pub fn write(&self, out: &Path, typed: &str) -> Result<Written, CeremonyError> {
        self.confirm(typed)?;
        if out.symlink_metadata().is_ok() {
            return match self.is_at(out) {
                true => Ok(Written::Already),
                false => Err(CeremonyError::Exists { path: out.into() }),
            };
        }
        let parent = folder_of(out);
        let fail = |error| CeremonyError::io("write to", &parent, error);
        let unfinished = tempfile::Builder::new()
            .prefix(".unfinished-")
            .tempdir_in(&parent)
            .map_err(fail)?;
        for (path, bytes) in &self.files {
            let path = unfinished.path().join(path);
            let folder = folder_of(&path);
            let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, bytes));
            written.map_err(|error| CeremonyError::io("write", &path, error))?;
        }
        // What the line reads; a temporary folder is its maker's alone.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(unfinished.path(), mode).map_err(fail)?;
        let synced = File::open(unfinished.path()).and_then(|all| Ok(rustix::fs::syncfs(&all)?));
        synced.map_err(fail)?;
        fs::rename(unfinished.path(), out)
            .map_err(|error| CeremonyError::io("write", out, error))?;
        // It is not there under this name any more, so nothing is removed.
        drop(unfinished);
        files::sync_folder(&parent)?;
        Ok(Written::Fresh)
    }

    /// Writes the C header to `out`, as [`Bundle::write`] does.
    ///
    /// # Errors
    /// Those of [`Bundle::write`], and [`CeremonyError::Usage`] if it names several devices.
    pub fn write_c_header(&self, out: &Path, typed: &str) -> Result<Written, CeremonyError> {
        self.confirm(typed)?;
        let header = self.c_header()?;
        let there = out.symlink_metadata().is_ok();
        files::write(out, header.as_bytes(), files::Existing::Keep)?;
        Ok(match there {
            true => Written::Already,
            false => Written::Fresh,
        })
    }

    fn confirm(&self, typed: &str) -> Result<(), CeremonyError> {
        check_confirmation(typed, &self.confirmation())
    }

    fn is_at(&self, folder: &Path) -> bool {
        let same = |(path, bytes): (&String, &Vec<u8>)| {
            let there = files::read(&folder.join(path), bytes.len() as u64);
            there.is_ok_and(|there| there == *bytes)
        };
        let names: Option<BTreeSet<String>> = list(folder).ok();
        names.is_some_and(|names| names.iter().eq(self.files.keys())) && self.files.iter().all(same)
    }
}

/// Checks a bundle at `now`: that its files are those of its manifest, and that they are, to the
/// byte, what its Roots, model and devices make. The manifest is not signed: that the bundle is the
/// one which was reviewed is shown by its words.
///
/// # Errors
/// [`CeremonyError::Exchange`] for the first thing that is wrong.
pub fn check(folder: &Path, now: UtcTime) -> Result<Bundle, CeremonyError> {
    let manifest_path = folder.join(layout::MANIFEST);
    let text = files::read(&manifest_path, MAX_MANIFEST)?;
    let unusable = |path: PathBuf, why: String| CeremonyError::Exchange { path, why };
    let manifest: ManifestFile = serde_json::from_slice(&text)
        .map_err(|error| unusable(manifest_path.clone(), error.to_string()))?;
    if manifest.format != layout::FORMAT {
        let why = format!("it is no manifest of the format {}", layout::FORMAT);
        return Err(unusable(manifest_path, why));
    }
    let mut there = list(folder)?;
    there.remove(layout::MANIFEST);
    if let Some(other) = there
        .iter()
        .find(|name| !manifest.files.contains_key(*name))
    {
        let why = "the manifest does not list it; find out where it is from".into();
        return Err(unusable(folder.join(other), why));
    }
    let mut content = Content::new();
    for (name, listed) in &manifest.files {
        let path = folder.join(name);
        if !there.contains(name) {
            let why = "it is missing, and the manifest lists it".into();
            return Err(unusable(path, why));
        }
        let bytes = files::read(&path, limits::FILE)?;
        if ListedFile::of(&bytes) != *listed {
            let why = "it is not the file that the manifest lists".into();
            return Err(unusable(path, why));
        }
        content.insert(name.clone(), bytes);
    }
    let parts = rebuild(folder, &manifest, &content)?;
    let bundle = Bundle::new(parts, now)?;
    content.insert(layout::MANIFEST.into(), text);
    match difference(&bundle.files, &content) {
        None => Ok(bundle),
        Some(name) => {
            let why = "it is not what the Roots, the model and the devices of this bundle make; \
                       make the bundle again";
            Err(unusable(folder.join(name), why.into()))
        }
    }
}

/// A file that is not the same in both; the manifest only if no other one differs.
fn difference(made: &Content, there: &Content) -> Option<String> {
    let names: BTreeSet<&String> = made.keys().chain(there.keys()).collect();
    let mut differ = names
        .into_iter()
        .filter(|name| made.get(*name) != there.get(*name));
    let first = differ.next()?;
    let other = (first == layout::MANIFEST).then(|| differ.next()).flatten();
    Some(other.unwrap_or(first).clone())
}

/// The files below a folder, by their paths in it. A link is a file, which nothing reads.
fn list(folder: &Path) -> Result<BTreeSet<String>, CeremonyError> {
    let mut names = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        let fail = |error| CeremonyError::io("read", &inside, error);
        for entry in fs::read_dir(&inside).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if names.len() + folders.len() > limits::ENTRIES {
                return Err(CeremonyError::Exchange {
                    path: folder.into(),
                    why: "it has more files than any bundle".into(),
                });
            }
            let path = entry.path();
            let kind = entry.file_type().map_err(fail)?;
            let name = path.strip_prefix(folder).unwrap_or(&path);
            let name = name.to_string_lossy().into_owned();
            match (kind.is_dir(), kind.is_file()) {
                (true, _) => folders.push(path),
                (_, true) => drop(names.insert(name)),
                _ => {
                    let why = "it is neither a file nor a folder".into();
                    return Err(CeremonyError::Exchange { path, why });
                }
            }
        }
    }
    Ok(names)
}
