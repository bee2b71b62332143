//! Checking a transcript offline, years later, with nothing but its folder.

use std::collections::BTreeSet;
use std::path::Path;

use countersign_metadata::{KeyId, Role};
use serde::Serialize;

use crate::ceremony::Phase;
use crate::conduct::{Derived, derived};
use crate::error::CeremonyError;
use crate::files;
use crate::folder::{self, PREVIOUS, TRANSCRIPT};
use crate::profile::Accepted;
use crate::words::fingerprint;

/// The most files and folders that a ceremony's folder may hold; one of 8 holders has under 30.
const MAX_ENTRIES: usize = 10_000;

/// Whether a transcript must have come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// It must be sealed: only then its last lines are signed by participants.
    Sealed,
    /// Look at one that is still being written.
    SoFar,
}

/// What a transcript proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The ceremony's id.
    pub ceremony: String,
    /// What it was for.
    pub name: String,
    /// How far it came.
    pub phase: String,
    /// Lines of the transcript.
    pub lines: u64,
    /// The version of the new Root, if it was reviewed.
    pub version: Option<u64>,
    /// The new Root's fingerprint in words.
    pub words: Option<String>,
    /// Who signed the new Root.
    pub signed_by: Vec<String>,
    /// Who signed the seal.
    pub sealed_by: Vec<String>,
    /// What of the policy was overridden, and why.
    pub accepted: Vec<Accepted>,
    /// Files in the folder that the ceremony knows nothing of, so nothing was checked about them.
    pub other_files: Vec<String>,
}

/// Checks every line, every signature and every file of the ceremony in `path`.
///
/// With `anchor`, the Root that the ceremony followed must be that one: otherwise a whole ceremony
/// of somebody else's keys would be as good as any.
///
/// # Errors
/// [`CeremonyError::Transcript`], which names the line; [`CeremonyError::Refused`] if there is a
/// Root beside the ceremony's own, which somebody could publish in its place.
pub fn verify(
    path: &Path,
    anchor: Option<&[u8]>,
    extent: Extent,
) -> Result<Verification, CeremonyError> {
    check(path, anchor, extent).map_err(|error| name_release(path, error))
}

/// Another release may have stricter rules and another report. The text is not to be trusted, but
/// says what to rule out first.
fn name_release(path: &Path, error: CeremonyError) -> CeremonyError {
    let this = env!("CARGO_PKG_VERSION");
    match (error, folder::release(path)) {
        (CeremonyError::Transcript { line, why }, Some(release)) if release != this => {
            let why = format!(
                "{why}. The ceremony says that it was held with Countersign {release}, and this is \
                 {this}, whose rules and report may be others: verify it with that release too"
            );
            CeremonyError::Transcript { line, why }
        }
        (error, _) => error,
    }
}

fn check(
    path: &Path,
    anchor: Option<&[u8]>,
    extent: Extent,
) -> Result<Verification, CeremonyError> {
    let record = folder::read(path)?;
    let ceremony = &record.ceremony;
    let at = |line: u64, why: String| Err(CeremonyError::Transcript { line, why });
    if record.torn > 0 {
        let why = "it is not a whole line: a run was interrupted while it wrote, or bytes were \
                   added; nothing had been said on the strength of it, and the next command drops it";
        return at(ceremony.lines() + 1, why.into());
    }
    if ceremony.phase() != Phase::Sealed && extent == Extent::Sealed {
        return Err(ceremony.wrong_phase(
            "it is not sealed, so no participant vouches for its last lines; finish it, or look at \
             it with --unfinished",
        ));
    }
    let derived = derived(&record);
    for file in &derived {
        let there = files::read_if_there(&path.join(&file.name), folder::MAX_ATTACHMENT);
        let sealed = ceremony.phase() == Phase::Sealed;
        match there {
            Ok(Some(bytes)) if bytes == file.bytes => {}
            Ok(Some(_)) => {
                let why = format!("{} is not the file that this line made", file.name);
                return at(file.line, why);
            }
            Err(error) => return at(file.line, error.to_string()),
            Ok(None) if sealed => {
                let why = format!(
                    "{} is missing, which this line made; 'key-ceremony status' writes it again",
                    file.name
                );
                return at(file.line, why);
            }
            Ok(None) => {}
        }
    }
    if let Some(anchor) = anchor {
        let anchor = crate::next_root::accept_previous(anchor.to_vec())?;
        let same = ceremony
            .previous()
            .is_some_and(|root| root.payload() == anchor.payload());
        if !same {
            let why = format!("{PREVIOUS} is not the root that you say the ceremony followed");
            return at(1, why);
        }
    }
    let own_root = (ceremony.phase() != Phase::Sealed).then(|| ceremony.root_name());
    let other_files = other_files(path, &derived)?;
    for name in &other_files {
        if is_root(name) && Some(name) != own_root.as_ref() {
            return Err(CeremonyError::Refused(format!(
                "{name:?} lies in the folder, but this ceremony did not make it, and somebody could \
                 publish it in place of its root: find out where it is from, and take it away"
            )));
        }
    }
    let names = |ids: Vec<&KeyId>| -> Vec<String> {
        ids.into_iter().map(|id| ceremony.describe(id)).collect()
    };
    let review = ceremony.review();
    Ok(Verification {
        ceremony: ceremony.id().into(),
        name: ceremony.profile().name.clone(),
        phase: ceremony.phase().to_string(),
        lines: ceremony.lines(),
        version: review.map(|review| review.root.version()),
        words: review.map(|review| fingerprint(review.payload.as_bytes())),
        signed_by: names(ceremony.signed_by().collect()),
        sealed_by: names(
            ceremony
                .sealed()
                .map_or(Vec::new(), |sealed| sealed.by.iter().collect()),
        ),
        accepted: ceremony.accepted().to_vec(),
        other_files,
    })
}

/// The files below `folder` that are neither the transcript nor what belongs to it, sorted.
fn other_files(folder: &Path, derived: &[Derived]) -> Result<Vec<String>, CeremonyError> {
    let mut known: BTreeSet<&str> = derived.iter().map(|file| file.name.as_str()).collect();
    known.extend([TRANSCRIPT, PREVIOUS]);
    let mut others = Vec::new();
    let mut seen = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        let fail = |error| CeremonyError::io("read", &inside, error);
        for entry in std::fs::read_dir(&inside).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            seen += 1;
            if seen > MAX_ENTRIES {
                return Err(CeremonyError::Refused(format!(
                    "{} holds more than {MAX_ENTRIES} files, which no ceremony does; verify a copy \
                     of the ceremony's own files",
                    folder.display()
                )));
            }
            let path = entry.path();
            // A link is a file here, wherever it leads.
            if entry.file_type().map_err(fail)?.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap_or(&path);
            let name = name.to_string_lossy().into_owned();
            if !known.contains(name.as_str()) {
                others.push(name);
            }
        }
    }
    others.sort();
    Ok(others)
}

/// Whether somebody who looks for a Root to publish would take this one.
fn is_root(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit('/').next().unwrap_or(&name);
    last == "root.json" || last.ends_with(".root.json")
}
