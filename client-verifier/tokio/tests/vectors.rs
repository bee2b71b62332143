//! Every TUF vector, over HTTP on loopback and a store on the disk. The time is the case's own.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use countersign_client::fetch::{Patience, TlsRoots};
use countersign_client::files::TargetDir;
use countersign_metadata::UtcTime;
use countersign_tokio::client::{Client as TufClient, ClientError, initialise};
use countersign_tokio::fetch::HttpFetcher;
use countersign_tokio::store::Blocking;
use countersign_vectors::format::{Action, Kind, Step, Verdict};
use countersign_vectors::run::server::Server;
use countersign_vectors::run::{Client, Observed, Refusal, RunError, external, run_case};
use countersign_vectors::suite::{self, Vector};
use countersign_verifier::{Context, Reject};
use ring::digest::{SHA256, digest};
use tokio::runtime::{Builder, Runtime};

/// The time of cases that leave it open.
const ANY_TIME: &str = "2030-01-01T00:00:00Z";

const LOCK: Duration = Duration::from_secs(10);

/// This crate's client, with nothing in memory from one step to the next.
struct Subject {
    runtime: Runtime,
    server: Server,
    home: tempfile::TempDir,
    refused_root: Option<Reject>,
}

impl Subject {
    fn new() -> Self {
        Self {
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
            server: Server::start().unwrap(),
            home: home(),
            refused_root: None,
        }
    }

    fn metadata(&self) -> PathBuf {
        self.home.path().join("metadata")
    }

    async fn provision(&self, root: &[u8]) -> Result<(), ClientError> {
        let mut store = Blocking::open(&self.metadata(), LOCK).await?;
        initialise(&mut store, root.to_vec()).await.map(drop)
    }

    async fn run(&self, action: &Action, now: UtcTime, targets: &Path) -> Result<(), ClientError> {
        let store = Blocking::open(&self.metadata(), LOCK).await?;
        let partial = self.metadata().join("partial");
        let http = HttpFetcher::new(Patience::default(), TlsRoots::mozilla());
        let mut client = TufClient::new(http, store, &self.server.url("metadata"));
        let mut trusted = client.refresh(Context::new(now)).await?;
        let Action::Download(names) = action else {
            return Ok(());
        };
        let directory = Arc::new(TargetDir::open(targets)?);
        let from = self.server.url("targets");
        for name in names {
            let target = client.find(&mut trusted, name).await?;
            client
                .download(&trusted, &target, &from, &directory, &partial, &|_| ())
                .await?;
        }
        Ok(())
    }
}

/// In memory where that can be had: making thousands of files durable takes a minute.
fn home() -> tempfile::TempDir {
    match Path::new("/dev/shm") {
        memory if memory.is_dir() => tempfile::tempdir_in(memory),
        _ => tempfile::tempdir(),
    }
    .unwrap()
}

impl Client for Subject {
    fn init(&mut self, vector: &Vector) -> Result<(), RunError> {
        let provisioned = self.runtime.block_on(self.provision(vector.trusted_root()));
        self.refused_root = provisioned.err().map(|error| error.to_reject(""));
        Ok(())
    }

    fn act(&mut self, vector: &Vector, step: &Step) -> Result<Observed, RunError> {
        let clock = vector.case.clock_of(step);
        let now = clock.unwrap_or_else(|| ANY_TIME.parse().unwrap());
        self.server.serve(vector.site(step));
        let targets = tempfile::tempdir_in(self.home.path()).unwrap();
        let refusal = match self.refused_root.take() {
            Some(refusal) => Some(refusal),
            None => {
                let run = self.run(&step.action, now, targets.path());
                let done = self.runtime.block_on(run);
                done.err().map(|error| error.to_reject(""))
            }
        };
        let requests = self.server.requests().into_iter();
        let requests = requests.filter_map(|path| path.strip_prefix("metadata/").map(String::from));
        Ok(Observed {
            verdict: match refusal {
                None => Verdict::Accept,
                Some(_) => Verdict::Reject,
            },
            messages: refusal
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
            refusal: refusal.as_ref().map(in_words),
            trusted: external::trusted(&self.metadata(), "")?,
            requests: requests.collect(),
            downloads: hashes_below(targets.path()),
            ..Observed::default()
        })
    }
}

fn in_words(reject: &Reject) -> Refusal {
    let cause = reject.cause.as_ref();
    Refusal {
        code: reject.code.name().into(),
        role: reject.role.clone(),
        repository: Some(reject.repository.clone()),
        attack: reject.attack().name().into(),
        cause: Some(cause.map_or("none", |cause| cause.code.name()).into()),
    }
}

fn hashes_below(directory: &Path) -> BTreeSet<String> {
    let mut hashes = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => hashes.extend(hashes_below(&path)),
            false => {
                let hash = digest(&SHA256, &fs::read(path).unwrap());
                let hash = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
                hashes.insert(hash.collect());
            }
        }
    }
    hashes
}

#[test]
fn every_tuf_vector_passes() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-vectors/vectors");
    let names = suite::names(&home).unwrap();
    let (next, ran) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let mut problems = Vec::new();
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let vector = suite::load_one(&home, name).unwrap();
            if vector.case.kind() == Kind::Tuf {
                ran.fetch_add(1, Ordering::Relaxed);
                let result = run_case(&mut Subject::new(), &vector);
                problems.extend(result.problems.into_iter().map(|p| format!("{name}: {p}")));
            }
        }
        problems
    };
    // They wait for the disk and the network more than they work.
    let problems: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let ran = ran.into_inner();
    assert!(ran > 500, "only {ran} TUF vectors");
}
