//! Checking a whole published tree, as no client ever does: every role and every image.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use countersign_metadata::{
    Authority, MetaFile, Role, Root, Signed, Snapshot, TargetFile, TargetPath, Targets, UtcTime,
    Verified, sha256,
};
use countersign_verifier::{
    Current, Reject, RemoteName, Reply, Session, Step, StoreName, Stored, Trusted, drive,
};
use serde::Serialize;

use crate::error::RepoError;
use crate::files;
use crate::images::{self, Visibility};
use crate::progress::Progress;
use crate::tree::{TOP, names};
use crate::walk::explain;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The version of the newest Root.
    pub root: u64,
    /// Roles of kind Targets that were checked.
    pub roles: usize,
    /// Images that were checked.
    pub images: usize,
    /// Bytes of images that were hashed.
    pub bytes: u64,
    /// What is wrong. Nothing means that every client gets what was signed.
    pub faults: Vec<Fault>,
    /// Files that no current metadata names: older versions, or left behind. They do no harm.
    /// Not looked for where a new client is refused: then no metadata is current.
    pub extra: Vec<PathBuf>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file or role.
    pub at: String,
    /// What is wrong with it.
    pub what: String,
}

/// Checks the tree in `folder` (with `metadata/` and `targets/`) at `now`: the chain of Roots,
/// what a new client would see, every delegated role, and the bytes of every image.
///
/// # Errors
/// Only what keeps it from looking; what it finds is in the result.
pub fn verify(
    folder: &Path,
    now: UtcTime,
    progress: &dyn Progress,
) -> Result<Verification, RepoError> {
    let mut check = Check {
        folder,
        now,
        progress,
        consistent: true,
        expected: HashSet::new(),
        hashed: HashSet::new(),
        trusted: false,
        found: Verification::default(),
    };
    if let Some(first) = check.roots()? {
        match check.refresh(first) {
            Ok(trusted) => {
                check.trusted = true;
                check.roles(&trusted)?;
            }
            Err(Stop::Repo(error)) => return Err(error),
            Err(Stop::Reject(reject)) => check.fault("a new client", explain(&reject)),
        }
    }
    if check.trusted {
        for part in ["metadata", "targets"] {
            check.look_for_extra(&folder.join(part))?;
        }
    }
    Ok(check.found)
}

struct Check<'a> {
    folder: &'a Path,
    now: UtcTime,
    progress: &'a dyn Progress,
    consistent: bool,
    /// Digests of the paths that metadata names: a million paths themselves would be too many.
    expected: HashSet<[u8; 32]>,
    /// Device, inode and digest of images that were hashed: each has several names.
    hashed: HashSet<(u64, u64, [u8; 32])>,
    /// Whether there is current metadata, so that a file that it does not name is extra.
    trusted: bool,
    found: Verification,
}

enum Stop {
    Reject(Reject),
    Repo(RepoError),
}

impl From<Reject> for Stop {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

impl Check<'_> {
    fn fault(&mut self, at: impl Into<String>, what: impl Into<String>) {
        self.found.faults.push(Fault {
            at: at.into(),
            what: what.into(),
        });
    }

    fn expect(&mut self, path: &Path) {
        self.expected
            .insert(sha256(path.as_os_str().as_encoded_bytes()));
    }

    fn metadata(&self, name: &RemoteName) -> PathBuf {
        self.folder.join("metadata").join(name.file_name())
    }

    /// Follows the chain of Roots from the oldest that is there. Returns the oldest.
    fn roots(&mut self) -> Result<Option<Vec<u8>>, RepoError> {
        let listed = files::list(&self.folder.join("metadata"))?;
        let version = |name: &String| name.strip_suffix(".root.json")?.parse::<u64>().ok();
        let Some(first) = listed.iter().filter_map(version).min() else {
            self.fault("metadata/1.root.json", "there is no root file");
            return Ok(None);
        };
        let mut last: Option<Verified<Root>> = None;
        let mut oldest = None;
        for version in first.. {
            let path = self.metadata(&RemoteName::Root(version));
            let Some(bytes) = files::read(&path)? else {
                break;
            };
            self.expect(&path);
            let read = Signed::<Root>::parse(bytes.clone()).and_then(|signed| match &last {
                Some(last) => last.verify_next(signed),
                None => signed.verify_by_itself(),
            });
            match read {
                Ok(root) => last = Some(root),
                Err(error) => {
                    self.fault(path.display().to_string(), error.to_string());
                    return Ok(None);
                }
            }
            oldest.get_or_insert(bytes);
        }
        if let Some(root) = last {
            self.found.root = root.content().version();
            self.consistent = root.content().consistent_snapshot;
            let newest = self.folder.join("metadata/root.json");
            match files::read(&newest)? {
                Some(bytes) if bytes != root.received() => {
                    self.fault(newest.display().to_string(), "it is not the newest root");
                }
                _ => {}
            }
            self.expect(&newest);
        }
        Ok(oldest)
    }

    /// What the verifier says as a new client.
    fn refresh(&mut self, root: Vec<u8>) -> Result<Trusted, Stop> {
        let mut kept = BTreeMap::from([(StoreName::Root, root)]);
        let trusted = drive(&mut Session::refresh(self.now), |step| {
            Ok::<_, Stop>(match step {
                Step::Load { name } => match kept.get(&name) {
                    Some(bytes) => Reply::Stored(Stored {
                        bytes: bytes.clone(),
                        accepted_under: None,
                    }),
                    None => Reply::NotFound,
                },
                Step::Fetch { what, max_len } => {
                    let bytes = files::read(&self.metadata(&what)).map_err(Stop::Repo)?;
                    match bytes {
                        Some(bytes) if bytes.len() as u64 > max_len => Reply::TooLarge,
                        Some(bytes) => Reply::Fetched(bytes),
                        None => Reply::NotFound,
                    }
                }
                Step::Save { name, bytes, .. } => {
                    kept.insert(name, bytes.to_vec());
                    Reply::Saved
                }
                Step::LoadPart { .. } | Step::Done(_) => Reply::NotFound,
            })
        })?;
        let snapshot = trusted.snapshot().content().version();
        for name in [
            RemoteName::Timestamp,
            RemoteName::Snapshot(self.consistent.then_some(snapshot)),
        ] {
            let path = self.metadata(&name);
            self.expect(&path);
        }
        Ok(trusted)
    }

    /// Every Targets role, parents first, each under the keys of whoever delegates to it.
    fn roles(&mut self, trusted: &Trusted) -> Result<(), RepoError> {
        let snapshot = trusted.snapshot().content();
        // Outlines are for devices: here all of it is read.
        let Some(top) = trusted.targets().whole().map(Current::content) else {
            return Ok(());
        };
        let name = self.role_name(TOP, top.version());
        let path = self.metadata(&name);
        self.expect(&path);
        let mut to_visit = VecDeque::new();
        let mut seen = HashSet::from([TOP.to_owned()]);
        let mut visit = |check: &mut Self, content: &Targets| {
            check.images(content)?;
            let Some(delegations) = content.delegations() else {
                return Ok(Vec::new());
            };
            let authority = |role: String| {
                let authority = delegations.claimed_authority(&role)?;
                seen.insert(role.clone()).then_some((role, authority))
            };
            Ok::<_, RepoError>(
                names(delegations)
                    .into_iter()
                    .filter_map(authority)
                    .collect(),
            )
        };
        to_visit.extend(visit(self, top)?);
        self.found.roles += 1;
        while let Some((role, authority)) = to_visit.pop_front() {
            if let Some(content) = self.role(&role, &authority, snapshot)? {
                to_visit.extend(visit(self, &content)?);
                self.found.roles += 1;
            }
        }
        Ok(())
    }

    fn role_name(&self, role: &str, version: u64) -> RemoteName {
        RemoteName::Targets(role.into(), self.consistent.then_some(version))
    }

    fn role(
        &mut self,
        role: &str,
        authority: &Authority,
        snapshot: &Snapshot,
    ) -> Result<Option<Targets>, RepoError> {
        let Some(meta) = snapshot.role(role) else {
            self.fault(role, "snapshot does not list this delegated role");
            return Ok(None);
        };
        let path = self.metadata(&self.role_name(role, meta.version));
        self.expect(&path);
        let Some(bytes) = files::read(&path)? else {
            self.fault(path.display().to_string(), "it is missing");
            return Ok(None);
        };
        match read_role(bytes, authority, &meta, self.now) {
            Ok(content) => Ok(Some(content)),
            Err(what) => {
                self.fault(path.display().to_string(), what);
                Ok(None)
            }
        }
    }

    fn images(&mut self, content: &Targets) -> Result<(), RepoError> {
        for (path, file) in content.iter() {
            match TargetPath::new(&path) {
                Ok(path) => self.image(&path, &file)?,
                Err(error) => self.fault(path.into_owned(), error.to_string()),
            }
        }
        Ok(())
    }

    fn image(&mut self, path: &TargetPath, file: &TargetFile) -> Result<(), RepoError> {
        self.found.images += 1;
        let targets = self.folder.join("targets");
        for place in images::places(&targets, path, file, self.consistent) {
            let there = fs::metadata(&place).ok().filter(fs::Metadata::is_file);
            match (Visibility::of(file), there) {
                (Visibility::Confidential, None) => {}
                (Visibility::Confidential, Some(_)) => {
                    self.fault(
                        place.display().to_string(),
                        "a confidential image is public",
                    );
                }
                (Visibility::Public, None) => {
                    self.fault(place.display().to_string(), "the image is missing");
                }
                (Visibility::Public, Some(there)) => {
                    self.expect(&place);
                    let digest = file.hashes.sha256.unwrap_or_default();
                    if self.hashed.contains(&(there.dev(), there.ino(), digest)) {
                        continue;
                    }
                    self.found.bytes += there.len();
                    match images::matches(&place, file, self.progress)? {
                        true => drop(self.hashed.insert((there.dev(), there.ino(), digest))),
                        false => self.fault(
                            place.display().to_string(),
                            "it is not the image that the metadata lists",
                        ),
                    }
                }
            }
        }
        Ok(())
    }

    fn look_for_extra(&mut self, folder: &Path) -> Result<(), RepoError> {
        let fail = |source| RepoError::io("list", folder, source);
        let Ok(entries) = fs::read_dir(folder) else {
            return Ok(());
        };
        let mut folders = Vec::new();
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let path = entry.path();
            if entry.file_type().map_err(fail)?.is_dir() {
                folders.push(path);
            } else if !self
                .expected
                .contains(&sha256(path.as_os_str().as_encoded_bytes()))
            {
                self.found.extra.push(path);
            }
        }
        self.found.extra.sort();
        folders
            .iter()
            .try_for_each(|folder| self.look_for_extra(folder))
    }
}

fn read_role(
    bytes: Vec<u8>,
    authority: &Authority,
    meta: &MetaFile,
    now: UtcTime,
) -> Result<Targets, String> {
    let length_held = meta
        .length
        .is_none_or(|length| length == bytes.len() as u64);
    let hashes_held = meta
        .hashes
        .as_ref()
        .is_none_or(|hashes| hashes.match_bytes(&bytes));
    if !length_held || !hashes_held {
        return Err("it is not the file that snapshot lists".into());
    }
    let signed = Signed::<Targets>::parse(bytes).map_err(|error| error.to_string())?;
    let verified = signed
        .verify(authority)
        .map_err(|error| error.to_string())?;
    let content = verified.content();
    if content.version() != meta.version {
        let (found, listed) = (content.version(), meta.version);
        return Err(format!("it has version {found}, snapshot lists {listed}"));
    }
    match content.expires() <= now {
        true => Err(format!("it expired at {}", content.expires())),
        false => Ok(content.clone()),
    }
}
