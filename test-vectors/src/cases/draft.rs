//! A case under construction, and what is written of it.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::format::{
    Action, Case, Clock, Cycle, Ecu, Expect, Install, Manifest, Step, TrustedFile, Vehicle, Verdict,
};
use crate::simulate::{Json, Repo, SimulateError, World, offline, sha256_hex};
use crate::suite::Vector;
use crate::tree::Files;

/// In [`StepDraft::accepts`] and [`StepDraft::rejects`]: this role is not looked at.
pub const ANY: u64 = u64::MAX;

const TOP_LEVEL: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

/// A mistake in the definition of a case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The simulator could not make a file.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// A time that is none.
    #[error("{0}")]
    Time(String),
    /// Something that a client is given and has no use for.
    #[error("{0}")]
    Given(String),
    /// A trusted file that was not served, or of which several were.
    #[error(
        "step {step} expects version {version} of {role} to be trusted; {found} such files were served"
    )]
    Trusted {
        /// From 1.
        step: usize,
        /// The role.
        role: String,
        /// The version.
        version: u64,
        /// How many.
        found: usize,
    },
}

/// A case under construction.
#[derive(Debug, Default)]
pub struct Draft {
    clock: Option<Clock>,
    root: Option<Vec<u8>>,
    steps: Vec<StepDraft>,
    errors: Vec<CaseError>,
    pub(super) ecu: Option<Ecu>,
    /// Vehicles that are registered with the Director under test.
    pub inventory: BTreeMap<String, Vehicle>,
}

/// A step under construction.
#[derive(Debug)]
pub struct StepDraft {
    files: Files,
    /// What the client is given, by what it is.
    given: BTreeMap<&'static str, Vec<u8>>,
    pub(super) step: Step,
    pub(super) trusted: BTreeMap<String, Option<u64>>,
    from_step: BTreeMap<String, usize>,
    errors: Vec<CaseError>,
}

impl Draft {
    /// Provisions the client with the repository's newest Root as it is now, instead of the first.
    pub fn provision(&mut self, repo: &mut Repo) {
        let version = repo.root().head.version;
        match repo.root_file(version) {
            Ok(bytes) => self.root = Some(bytes),
            Err(error) => self.errors.push(error.into()),
        }
    }

    /// Sets the client's clock for all steps.
    pub fn clock(&mut self, time: &str) {
        match parse_time(time) {
            Ok(clock) => self.clock = Some(clock),
            Err(error) => self.errors.push(error),
        }
    }

    /// The client refreshes from the repository as it is now.
    pub fn refresh(&mut self, repo: &mut Repo) -> &mut StepDraft {
        self.step(repo, Action::Refresh)
    }

    /// The client downloads from the repository as it is now.
    pub fn download(&mut self, repo: &mut Repo, names: &[&str]) -> &mut StepDraft {
        let names = names.iter().map(ToString::to_string).collect();
        self.step(repo, Action::Download(names))
    }

    /// The ECU verifies and downloads what the Director assigns now.
    pub fn cycle(&mut self, world: &mut World) -> &mut StepDraft {
        let files = self.made(world.serve());
        self.draft(files, Action::Cycle(Cycle::default()))
    }

    /// The ECU verifies what a bundle with the Offline Targets file of this name holds, and asks nobody.
    pub fn carry(&mut self, world: &mut World, name: &str) -> &mut StepDraft {
        self.carry_with(world, name, |_| {})
    }

    /// As [`Draft::carry`], with other members in the bundle.
    pub fn carry_with(
        &mut self,
        world: &mut World,
        name: &str,
        edit: impl FnOnce(&mut Files),
    ) -> &mut StepDraft {
        let mut members = self.made(world.bundle(name));
        edit(&mut members);
        let bundle = self.made(offline::tar(&members));
        let step = self.cycle(world);
        step.give("bundle", &bundle);
        step.step.expect.requests = Some(Vec::new());
        step
    }

    /// The ECU installs what its last cycle has found, out of the same bundle if there was one.
    pub fn install(&mut self, world: &mut World) -> &mut StepDraft {
        let files = self.made(world.serve());
        let last = self.steps.last();
        let bundle = last.and_then(|step| step.given.get("bundle").cloned());
        let step = self.draft(files, Action::Install(Install::default()));
        if let Some(bundle) = bundle {
            step.give("bundle", &bundle);
        }
        step
    }

    /// A vehicle sends the Director this manifest.
    pub fn manifest(&mut self, sender: &str, manifest: &[u8]) -> &mut StepDraft {
        let sent = Manifest {
            sender: sender.into(),
            file: String::new(),
        };
        let step = self.draft(Files::new(), Action::Manifest(sent));
        step.given.insert("manifest", manifest.into());
        step
    }

    /// How many steps there are so far.
    pub(super) fn steps(&self) -> usize {
        self.steps.len()
    }

    /// What was made, or nothing, and the mistake is remembered.
    pub(super) fn made<T: Default>(&mut self, made: Result<T, SimulateError>) -> T {
        made.unwrap_or_else(|error| {
            self.errors.push(error.into());
            T::default()
        })
    }

    fn step(&mut self, repo: &mut Repo, action: Action) -> &mut StepDraft {
        let files = self.made(repo.serve());
        self.draft(files, action)
    }

    fn draft(&mut self, files: Files, action: Action) -> &mut StepDraft {
        let expect = Expect {
            verdict: Verdict::Accept,
            code: None,
            role: None,
            repository: None,
            cause: None,
            attack: None,
            trusted: BTreeMap::new(),
            requests: None,
            downloads: BTreeMap::new(),
            assigned: None,
            installed: None,
            stale: None,
            attacks: None,
        };
        let step = Step {
            serve: Vec::new(),
            pad: BTreeMap::new(),
            status: BTreeMap::new(),
            clock: None,
            action,
            expect,
        };
        let at = self.steps.len();
        self.steps.push(StepDraft {
            files,
            given: BTreeMap::new(),
            step,
            trusted: BTreeMap::new(),
            from_step: BTreeMap::new(),
            errors: Vec::new(),
        });
        &mut self.steps[at]
    }

    /// The case with its files.
    pub(super) fn finish(
        mut self,
        name: &str,
        spec: &[&str],
        note: &str,
    ) -> Result<Vector, CaseError> {
        let step_errors = self.steps.iter_mut().flat_map(|step| step.errors.drain(..));
        if let Some(error) = self.errors.drain(..).chain(step_errors).next() {
            return Err(error);
        }
        let mut files = Files::new();
        let mut previous: Option<(Files, Vec<String>)> = None;
        for (draft, number) in self.steps.iter_mut().zip(1..) {
            draft.step.serve = lay_out(&mut files, previous.take(), &draft.files, number);
            previous = Some((draft.files.clone(), draft.step.serve.clone()));
        }
        for (draft, number) in self.steps.iter_mut().zip(1..) {
            draft.hand_over(&mut files, number)?;
        }
        if self.ecu.is_some() {
            keep_what_runs(&mut self.steps);
        }
        let is_tuf = self.ecu.is_none() && self.inventory.is_empty();
        let trusted_root = is_tuf.then(|| place_root(&mut files, self.root));
        let ecu = self.ecu.map(provisioned);
        let mut steps = Vec::new();
        for (draft, number) in self.steps.into_iter().zip(1..) {
            steps.push(draft.finish(&files, number, ecu.is_some())?);
        }
        let case = Case {
            name: name.into(),
            spec: spec.iter().map(|clause| clause_name(clause)).collect(),
            note: note.into(),
            clock: self.clock,
            trusted_root,
            ecu,
            inventory: self.inventory,
            steps,
        };
        Ok(Vector { case, files })
    }
}

/// What runs changes with an installation, and with nothing else.
fn keep_what_runs(steps: &mut [StepDraft]) {
    let mut runs = "factory".to_owned();
    for draft in steps {
        runs = draft.step.expect.installed.get_or_insert(runs).clone();
    }
}

/// With the first Roots that were served.
fn provisioned(ecu: Ecu) -> Ecu {
    let first = |given: String, repository: &str| match given.is_empty() {
        true => format!("1/{repository}/metadata/1.root.json"),
        false => given,
    };
    Ecu {
        director_root: first(ecu.director_root, "director"),
        image_root: first(ecu.image_root, "image"),
        ..ecu
    }
}

/// A clause by number is one of TUF; others stand with the name of their document.
fn clause_name(clause: &str) -> String {
    match clause.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("TUF {clause}"),
        false => clause.into(),
    }
}

/// Puts what a step serves into directory `number`: only what is new, if nothing was taken away.
/// The directories to serve from.
fn lay_out(
    files: &mut Files,
    previous: Option<(Files, Vec<String>)>,
    served: &Files,
    number: usize,
) -> Vec<String> {
    let kept = previous.filter(|(before, _)| before.keys().all(|path| served.contains_key(path)));
    let (before, mut serve) = kept.unwrap_or_default();
    let new: Vec<_> = served
        .iter()
        .filter(|(path, bytes)| before.get(*path) != Some(bytes))
        .collect();
    if !new.is_empty() {
        serve.push(number.to_string());
    }
    for (path, bytes) in new {
        files.insert(format!("{number}/{path}"), bytes.clone());
    }
    serve
}

/// The path of the provisioned Root, which is served too in most cases.
fn place_root(files: &mut Files, root: Option<Vec<u8>>) -> String {
    const FIRST: &str = "1/metadata/1.root.json";
    let Some(root) = root else {
        return FIRST.into();
    };
    if let Some((path, _)) = files.iter().find(|(_, bytes)| **bytes == root) {
        return path.clone();
    }
    files.insert("root.json".into(), root);
    "root.json".into()
}

fn parse_time(text: &str) -> Result<Clock, CaseError> {
    let time = text.parse();
    time.map(Clock)
        .map_err(|error| CaseError::Time(format!("{text}: {error}")))
}

impl StepDraft {
    /// It succeeds, and afterwards these versions of Root, Timestamp, Snapshot and Targets are
    /// trusted. 0 stands for none, [`ANY`] for whatever.
    pub fn accepts(&mut self, versions: [u64; 4]) -> &mut Self {
        self.step.expect.verdict = Verdict::Accept;
        self.trusts(versions)
    }

    /// It is refused, and afterwards these versions are trusted.
    pub fn rejects(
        &mut self,
        code: &str,
        role: &str,
        attack: &str,
        versions: [u64; 4],
    ) -> &mut Self {
        let expect = &mut self.step.expect;
        expect.verdict = Verdict::Reject;
        expect.code = Some(code.into());
        expect.role = Some(role.into()).filter(|role: &String| !role.is_empty());
        expect.attack = Some(attack.into());
        self.trusts(versions)
    }

    /// What ended the search for a target.
    pub fn because(&mut self, cause: &str) -> &mut Self {
        self.step.expect.cause = Some(cause.into());
        self
    }

    fn trusts(&mut self, versions: [u64; 4]) -> &mut Self {
        for (role, version) in TOP_LEVEL.into_iter().zip(versions) {
            if version != ANY {
                let version = Some(version).filter(|version| *version > 0);
                self.trusted.insert(role.into(), version);
            }
        }
        self
    }

    /// This version of a delegated role is trusted too.
    pub fn trusts_role(&mut self, role: &str, version: u64) -> &mut Self {
        self.trusted.insert(role.into(), Some(version));
        self
    }

    /// Nothing of this delegated role is trusted.
    pub fn knows_not(&mut self, role: &str) -> &mut Self {
        self.trusted.insert(role.into(), None);
        self
    }

    /// Where a role was served in one version with different bytes: those of step `number` are
    /// the trusted ones.
    pub fn bytes_of(&mut self, role: &str, number: usize) -> &mut Self {
        self.from_step.insert(role.into(), number);
        self
    }

    /// The metadata files that are asked for, without `.json` and separated by spaces.
    pub fn requests(&mut self, names: &str) -> &mut Self {
        let names = names.split_whitespace().map(|name| format!("{name}.json"));
        self.step.expect.requests = Some(names.collect());
        self
    }

    /// This target is downloaded.
    pub fn gets(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        let downloads = &mut self.step.expect.downloads;
        downloads.insert(name.into(), sha256_hex(bytes));
        self
    }

    /// The client's clock in this step.
    pub fn at(&mut self, time: &str) -> &mut Self {
        match parse_time(time) {
            Ok(clock) => self.step.clock = Some(clock),
            Err(error) => self.errors.push(error),
        }
        self
    }

    /// A file that goes on for so many bytes after its end.
    pub fn pad(&mut self, path: &str, bytes: usize) -> &mut Self {
        self.step.pad.insert(path.into(), bytes);
        self
    }

    /// A file that is answered with this status.
    pub fn status(&mut self, path: &str, status: u16) -> &mut Self {
        self.step.status.insert(path.into(), status);
        self
    }

    /// The client is given this too: an `attestation`, a `bundle` or an `image`.
    pub(super) fn give(&mut self, what: &'static str, bytes: &[u8]) -> &mut Self {
        self.given.insert(what, bytes.into());
        self
    }

    /// Puts what the client is given beside what is served. The same file is there once.
    fn hand_over(&mut self, files: &mut Files, number: usize) -> Result<(), CaseError> {
        for (what, bytes) in &self.given {
            let mut known = files.iter().filter(|(path, _)| path.starts_with("given/"));
            let known = known.find(|(_, known)| *known == bytes);
            let path = known.map_or_else(
                || format!("given/{number}-{what}"),
                |(path, _)| path.clone(),
            );
            files.insert(path.clone(), bytes.clone());
            match (&mut self.step.action, *what) {
                (Action::Cycle(cycle), "attestation") => cycle.attestation = Some(path),
                (Action::Cycle(cycle), "bundle") => cycle.bundle = Some(path),
                (Action::Install(install), "attestation") => install.attestation = Some(path),
                (Action::Install(install), "bundle") => install.bundle = Some(path),
                (Action::Install(install), "image") => install.image = Some(path),
                (Action::Manifest(manifest), "manifest") => manifest.file = path,
                (action, what) => {
                    let mistake = format!("{what} is nothing for {action:?}");
                    return Err(CaseError::Given(mistake));
                }
            }
        }
        Ok(())
    }

    fn finish(mut self, files: &Files, number: usize, is_uptane: bool) -> Result<Step, CaseError> {
        for (role, version) in self.trusted {
            let is_content = is_uptane && self.step.expect.verdict == Verdict::Accept;
            let which = match self.from_step.get(&role) {
                Some(step) => Which::Of(*step),
                None if is_content => Which::Last,
                None => Which::Only,
            };
            let named = match is_uptane {
                true => role.split_once('/').unwrap_or(("", &role)),
                false => ("", &*role),
            };
            let trusted = match version {
                Some(version) => Some(find_trusted(files, named, version, number, which)?),
                None => None,
            };
            self.step.expect.trusted.insert(role, trusted);
        }
        Ok(self.step)
    }
}

/// Which of the files of one role and version is meant.
#[derive(Clone, Copy)]
enum Which {
    /// The only one that was served up to here.
    Only,
    /// That of this step.
    Of(usize),
    /// The last one that was served: the client is content with it.
    Last,
}

/// The file of `role` and `version` that is trusted in step `number`.
fn find_trusted(
    files: &Files,
    (repository, role): (&str, &str),
    version: u64,
    number: usize,
    which: Which,
) -> Result<TrustedFile, CaseError> {
    let folder = match repository {
        "" => String::new(),
        repository => format!("/{repository}/metadata/"),
    };
    let mut found: BTreeMap<&[u8], (usize, &str)> = BTreeMap::new();
    for (path, bytes) in files {
        let step: Option<usize> = path.split_once('/').and_then(|(step, _)| step.parse().ok());
        let served = match (step, which) {
            (Some(step), Which::Of(from)) => step == from,
            (Some(step), _) => step <= number,
            (None, _) => true,
        };
        let here = path.contains(&folder);
        if served && here && is_file_of(path, role, version) && version_of(bytes) == Some(version) {
            found
                .entry(bytes)
                .or_insert((step.unwrap_or_default(), path));
        }
    }
    let last = found.values().map(|(step, _)| *step).max();
    if matches!(which, Which::Last) {
        found.retain(|_, (step, _)| Some(*step) == last);
    }
    let mut paths = found.into_values();
    match (paths.next(), paths.next()) {
        (Some((_, path)), None) => Ok(TrustedFile {
            version,
            file: path.into(),
        }),
        (first, second) => Err(CaseError::Trusted {
            step: number,
            role: role.into(),
            version,
            found: [first, second].iter().flatten().count(),
        }),
    }
}

fn is_file_of(path: &str, role: &str, version: u64) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some(name) = name.strip_suffix(".json") else {
        return false;
    };
    let versioned = format!("{version}.");
    let bare = name.strip_prefix(&versioned).unwrap_or(name);
    !path.contains("/targets/") && percent_decode_str(bare).eq(role.bytes())
}

fn version_of(file: &[u8]) -> Option<u64> {
    let file: Json = serde_json::from_slice(file).ok()?;
    file.get("signed")?.get("version")?.as_u64()
}
