//! Where the files of a published repository are.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_repo::read_root;

use super::limits;
use crate::error::CeremonyError;

/// The file of the newest Root: `path` itself, or what lies in the folder of a repository.
pub(crate) fn newest_root(path: &Path) -> Result<PathBuf, CeremonyError> {
    if !path.is_dir() {
        return Ok(path.into());
    }
    for folder in ["published/metadata", "metadata", ""] {
        let folder = path.join(folder);
        let newest = highest(&folder, "root")?;
        let plain = folder.join("root.json");
        match (newest, plain.is_file()) {
            (None, false) => {}
            (None, true) => return Ok(plain),
            (Some(newest), false) => return Ok(newest),
            // Two statements of which is the newest have to agree.
            (Some(newest), true) => {
                return match read_root(&plain)? == read_root(&newest)? {
                    true => Ok(plain),
                    false => Err(CeremonyError::Exchange {
                        path: plain,
                        why: format!("it is not {}, which lies beside it", newest.display()),
                    }),
                };
            }
        }
    }
    Err(CeremonyError::Exchange {
        path: path.into(),
        why: "there is no root.json and no N.root.json in it, in metadata/ or in \
              published/metadata/"
            .into(),
    })
}

/// `N.ROLE.json` with the highest N in a folder that may not be there.
pub(crate) fn highest(folder: &Path, role: &str) -> Result<Option<PathBuf>, CeremonyError> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let fail = |error| CeremonyError::io("read", folder, error);
    let mut newest: Option<(u64, PathBuf)> = None;
    for (number, entry) in fs::read_dir(folder).map_err(fail)?.enumerate() {
        if number == limits::ENTRIES {
            return Err(CeremonyError::Exchange {
                path: folder.into(),
                why: format!("it has more than {} entries", limits::ENTRIES),
            });
        }
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        let version = name.to_str().and_then(|name| version_of(name, role));
        if let Some(version) = version.filter(|v| newest.as_ref().is_none_or(|(n, _)| v > n)) {
            newest = Some((version, entry.path()));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

fn version_of(name: &str, role: &str) -> Option<u64> {
    let version = name.strip_suffix(".json")?.strip_suffix(role)?;
    let version = version.strip_suffix('.')?;
    let plain = version.bytes().all(|byte| byte.is_ascii_digit()) && !version.starts_with('0');
    version.parse().ok().filter(|_| plain)
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.into(),
        _ => ".".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_one_spelling() {
        assert_eq!(version_of("12.root.json", "root"), Some(12));
        for name in [
            "root.json",
            "012.root.json",
            "+1.root.json",
            "1.xroot.json",
            "1.root.json.tmp",
            "18446744073709551616.root.json",
        ] {
            assert_eq!(version_of(name, "root"), None, "{name}");
        }
    }
}
