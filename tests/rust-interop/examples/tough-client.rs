//! tough's client behind the three commands of the test vectors.
//!
//! tough asks for the image `a/b` as `HASH.a/b` and not as `a/HASH.b`: the transport asks as the vectors have it.
//! tough keeps what it trusts in a folder of its own, written anew as JSON. The vectors ask for the bytes as they were
//! served, so the transport remembers what came by, and what means the same as tough's file is left for the runner.

use std::collections::BTreeMap;
use std::fs;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_client::fetch::{FetchError, Fetcher as _, HttpFetcher, Patience, TlsRoots};
use futures_util::stream::once;
use jiff::Timestamp;
use serde_json::Value;
use tokio::runtime::Builder;
use tough::error::Error;
use tough::{
    Bytes, IntoVec as _, Repository, RepositoryLoader, TargetName, Transport, TransportError,
    TransportErrorKind, TransportStream, async_trait,
};
use url::Url;

type Failure = Box<dyn std::error::Error>;

/// What the command line says.
#[derive(Default)]
struct Arguments {
    options: BTreeMap<String, Vec<String>>,
    words: Vec<String>,
}

impl Arguments {
    fn read() -> Self {
        let mut arguments = Self::default();
        let mut all = std::env::args().skip(1);
        while let Some(word) = all.next() {
            match word.strip_prefix("--") {
                Some(option) => {
                    let values = arguments.options.entry(option.into()).or_default();
                    values.extend(all.next());
                }
                None => arguments.words.push(word),
            }
        }
        arguments
    }

    fn one(&self, option: &str) -> Result<&str, Failure> {
        let values = self.options.get(option).and_then(|values| values.last());
        let value = values.ok_or_else(|| format!("--{option} is missing"))?;
        Ok(value)
    }

    fn url(&self, option: &str) -> Result<Url, Failure> {
        Ok(format!("{}/", self.one(option)?.trim_end_matches('/')).parse()?)
    }
}

/// What tough said to a run: nothing, or why it refused.
type Word = Result<(), Failure>;

/// Exit code 1 is tough's word alone. A wrapper that fails must not pass for a client that refuses.
fn main() -> ExitCode {
    let arguments = Arguments::read();
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["init", root] => init(&arguments, Path::new(root)),
        ["refresh" | "download"] => update(&arguments),
        _ => Err("usage: tough-client --metadata-dir D ... init ROOT | refresh | download".into()),
    };
    let (error, code) = match done {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(refusal)) => (refusal, 1),
        Err(failure) => (failure, 2),
    };
    eprintln!("tough-client: {error}");
    ExitCode::from(code)
}

fn init(arguments: &Arguments, root: &Path) -> Result<Word, Failure> {
    let folder = Path::new(arguments.one("metadata-dir")?);
    fs::create_dir_all(folder.join(STORE))?;
    fs::copy(root, folder.join("root.json"))?;
    Ok(Ok(()))
}

fn update(arguments: &Arguments) -> Result<Word, Failure> {
    let folder = PathBuf::from(arguments.one("metadata-dir")?);
    let store = Store(folder.join(STORE));
    store.prepare()?;
    let transport = Recorder::default();
    let seen = Arc::clone(&transport.seen);
    let runtime = Builder::new_current_thread().build()?;
    let word = runtime.block_on(run(arguments, &folder, transport))?;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    store.leave(&folder, &seen)?;
    Ok(word)
}

async fn run(arguments: &Arguments, folder: &Path, transport: Recorder) -> Result<Word, Failure> {
    let root = fs::read(folder.join("root.json"))?;
    let metadata = arguments.url("metadata-url")?;
    let targets = match arguments.one("target-base-url") {
        Ok(_) => arguments.url("target-base-url")?,
        Err(_) => metadata.join("../targets/")?,
    };
    let loader = RepositoryLoader::new(&root, metadata, targets)
        .transport(transport)
        .datastore(folder.join(STORE));
    let repository = match loader.load().await {
        Ok(repository) => repository,
        // What such a case is about is not reached.
        Err(error @ Error::ParseTrustedMetadata { .. }) => return Err(error.into()),
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    for name in arguments.options.get("target-name").into_iter().flatten() {
        match image(&repository, name).await {
            Ok(bytes) => {
                let file = name.replace('/', "%2F");
                fs::write(Path::new(arguments.one("target-dir")?).join(file), bytes)?;
            }
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    Ok(Ok(()))
}

async fn image(repository: &Repository, name: &str) -> Result<Vec<u8>, Failure> {
    let found = repository.read_target(&TargetName::new(name)?).await?;
    let bytes = found.ok_or_else(|| format!("nobody lists {name}"))?;
    Ok(bytes.into_vec().await?)
}

/// Where tough keeps its files, below the folder of the vectors.
const STORE: &str = "tough";
const TOP_LEVEL: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];
/// The last time that tough has seen, in its store.
const LAST_TIME: &str = "latest_known_time.json";

struct Store(PathBuf);

impl Store {
    /// Every run under a clock of the vectors begins at a whole second, so the second run in one second would be
    /// a clock set back. And files of delegated roles, which tough writes and never reads, go, so that those
    /// that are there afterwards are of this run.
    fn prepare(&self) -> Result<(), Failure> {
        let path = self.0.join(LAST_TIME);
        if let Ok(bytes) = fs::read(&path) {
            let time: Timestamp = serde_json::from_slice(&bytes)?;
            let second = Timestamp::from_second(time.as_second())?;
            fs::write(path, serde_json::to_vec(&second.to_string())?)?;
        }
        for (name, _) in self.delegated()? {
            fs::remove_file(self.0.join(name))?;
        }
        Ok(())
    }

    /// Names and contents of the files of delegated roles.
    fn delegated(&self) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let top_level = name
                .strip_suffix(".json")
                .is_some_and(|role| TOP_LEVEL.contains(&role));
            if name != LAST_TIME && !top_level {
                let bytes = fs::read(self.0.join(&name))?;
                files.push((name, bytes));
            }
        }
        Ok(files)
    }

    /// Leaves the bytes of what tough trusts, by role, out of what was served now or lay there before.
    fn leave(&self, folder: &Path, seen: &[Vec<u8>]) -> Result<(), Failure> {
        for role in TOP_LEVEL {
            let name = format!("{role}.json");
            let left = folder.join(&name);
            match fs::read(self.0.join(&name)) {
                Ok(kept) => served(&kept, &left, seen)?,
                Err(_) if role != "root" && left.exists() => fs::remove_file(left)?,
                Err(_) => {}
            }
        }
        for (name, kept) in self.delegated()? {
            // With consistent snapshots the name begins with the version.
            let version = format!("{}.", version(&kept).unwrap_or_default());
            let name = name.strip_prefix(&version).unwrap_or(&name);
            served(&kept, &folder.join(name), seen)?;
        }
        Ok(())
    }
}

/// Leaves in `left` what was served and means the same as `kept`: the last one, because the same content can be
/// served with other signatures.
fn served(kept: &[u8], left: &Path, seen: &[Vec<u8>]) -> Result<(), Failure> {
    let before = fs::read(left).ok();
    let means_it = |bytes: &&Vec<u8>| signed(bytes) == signed(kept);
    let known = before.iter().chain(seen).rfind(means_it);
    let known = known.ok_or_else(|| format!("nobody served {}", left.display()))?;
    Ok(fs::write(left, known)?)
}

fn version(bytes: &[u8]) -> Option<u64> {
    signed(bytes)?["version"].as_u64()
}

fn signed(bytes: &[u8]) -> Option<Value> {
    let mut file: Value = serde_json::from_slice(bytes).ok()?;
    Some(file["signed"].take())
}

/// Fetches over HTTP, and remembers metadata.
#[derive(Debug, Clone, Default)]
struct Recorder {
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// No metadata file of the vectors is larger, but those that are too large.
const MOST: usize = 64 << 20;

/// `BASE/HASH.a/b` as `BASE/a/HASH.b`, where BASE ends with `targets`.
fn as_the_vectors_have_it(url: &Url) -> Url {
    let mut url = url.clone();
    let moved = url.path().split_once("/targets/").and_then(|(base, path)| {
        let (hash, rest) = path.split_once('.')?;
        let (folders, file) = rest.rsplit_once('/')?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| format!("{base}/targets/{folders}/{hash}.{file}"))
    });
    if let Some(path) = moved {
        url.set_path(&path);
    }
    url
}

fn fetch(url: &Url) -> Result<Vec<u8>, FetchError> {
    let mut fetcher = HttpFetcher::new(Patience::default(), TlsRoots::mozilla());
    let mut body = fetcher.open(url.as_str(), 0)?;
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    while bytes.len() < MOST {
        match body.read(&mut buffer)? {
            0 => break,
            length => bytes.extend_from_slice(&buffer[..length]),
        }
    }
    Ok(bytes)
}

#[async_trait]
impl Transport for Recorder {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        match fetch(&as_the_vectors_have_it(&url)) {
            Ok(bytes) => {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.push(bytes.clone());
                Ok(Box::pin(once(ready(Ok(Bytes::from(bytes))))))
            }
            Err(error) => {
                let kind = match error.is_not_found() {
                    true => TransportErrorKind::FileNotFound,
                    false => TransportErrorKind::Other,
                };
                Err(TransportError::new_with_cause(kind, url, error))
            }
        }
    }
}
