//! Running all vectors, with one mutant or none.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::memory::Memory;
use crate::mutant::Mutant;

/// How vectors are run.
#[derive(Debug)]
pub(crate) struct Trials {
    /// The `test-vectors` of the copy.
    pub(crate) program: PathBuf,
    /// The folder that has `vectors/`.
    pub(crate) vectors: PathBuf,
    /// Where output and temporary files go.
    pub(crate) scratch: PathBuf,
    /// A run that takes longer hangs.
    pub(crate) limit: Duration,
}

/// What the vectors say of a mutant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "verdict")]
pub(crate) enum Verdict {
    /// A case fails.
    Noticed {
        /// The first that does.
        by: String,
    },
    /// It panics, or ends otherwise than a run does.
    Crashed,
    /// It does not end in time.
    Hung,
    /// Everything passes.
    Unnoticed,
}

impl Verdict {
    /// Whether the vectors notice it.
    pub(crate) fn is_noticed(&self) -> bool {
        *self != Self::Unnoticed
    }
}

/// What `test-vectors run --format json` prints.
#[derive(Deserialize)]
struct Report {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    status: String,
}

impl Trials {
    /// Every mutant's verdict, `jobs` at a time. `told` is called as they come.
    ///
    /// # Errors
    /// Why the vectors could not be run.
    pub(crate) fn all(
        &self,
        mutants: &[&Mutant],
        memory: &Memory,
        jobs: usize,
        told: impl Fn(usize, usize) + Sync,
    ) -> Result<Vec<Verdict>, String> {
        let (next, done, unnoticed) = (
            AtomicUsize::new(0),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        let work = || {
            let mut verdicts = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(mutant) = mutants.get(at) else {
                    return Ok(verdicts);
                };
                let verdict = self.put(mutant, memory)?;
                if !verdict.is_noticed() {
                    unnoticed.fetch_add(1, Ordering::Relaxed);
                }
                verdicts.push((at, verdict));
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                told(done, unnoticed.load(Ordering::Relaxed));
            }
        };
        let joined: Vec<Result<Vec<_>, String>> = thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
            let joined = workers.into_iter().map(|worker| worker.join());
            let joined =
                joined.map(|joined| joined.unwrap_or_else(|_| Err("a run is lost".into())));
            joined.collect()
        });
        let mut verdicts: Vec<(usize, Verdict)> = Vec::new();
        for some in joined {
            verdicts.extend(some?);
        }
        verdicts.sort_by_key(|(at, _)| *at);
        Ok(verdicts.into_iter().map(|(_, verdict)| verdict).collect())
    }

    /// One mutant, put to the case that is remembered and, if that says nothing, to all of them.
    fn put(&self, mutant: &Mutant, memory: &Memory) -> Result<Verdict, String> {
        if let Some(case) = memory.case(mutant) {
            // There may be no such case any more.
            let verdict = self.run(mutant.number, Some(case)).ok();
            if let Some(noticed) = verdict.filter(Verdict::is_noticed) {
                return Ok(noticed);
            }
        }
        self.run(mutant.number, None)
    }

    /// A run without any mutant, which has to be unnoticed.
    ///
    /// # Errors
    /// Why the vectors could not be run.
    pub(crate) fn without(&self) -> Result<Verdict, String> {
        self.run(0, None)
    }

    /// A run of all cases, or of those that have this in their name.
    fn run(&self, mutant: u32, filter: Option<&str>) -> Result<Verdict, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.program.display());
        let out = self.scratch.join(format!("{mutant}.json"));
        let file = File::create(&out).map_err(|error| format!("{}: {error}", out.display()))?;
        // A mutant may ask for memory without end.
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -v 8000000 2>/dev/null; exec \"$@\"", "sh"])
            .arg(&self.program)
            .arg("--home")
            .arg(&self.vectors)
            .args(["run", "--jobs", "1", "--format", "json"])
            .args(filter.map(|case| ["--filter", case]).iter().flatten())
            .env("COUNTERSIGN_MUTANT", mutant.to_string())
            .env("TMPDIR", &self.scratch)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let start = Instant::now();
        let status = loop {
            match child.try_wait().map_err(failed)? {
                Some(status) => break Some(status),
                None if start.elapsed() > self.limit => {
                    child.kill().map_err(failed)?;
                    child.wait().map_err(failed)?;
                    break None;
                }
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        let verdict = status.map_or(Ok(Verdict::Hung), |status| judge(status, &out));
        let _ = fs::remove_file(&out);
        verdict
    }
}

fn judge(status: ExitStatus, out: &Path) -> Result<Verdict, String> {
    match status.code() {
        Some(0) => Ok(Verdict::Unnoticed),
        Some(1) => {
            let text = fs::read(out).map_err(|error| error.to_string())?;
            let report: Report = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
            let mut failed = report
                .cases
                .into_iter()
                .filter(|case| case.status != "passed");
            let by = failed.next().map(|case| case.name).unwrap_or_default();
            Ok(Verdict::Noticed { by })
        }
        Some(2) => Err("test-vectors could not read the vectors of the copy".into()),
        _ => Ok(Verdict::Crashed),
    }
}
