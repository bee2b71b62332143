//! tough's client behind the three commands of the test vectors.
//!
//! tough keeps what it trusts in a folder of its own, written anew as JSON. The vectors ask for the bytes as they were
//! served, so the transport remembers what came by, and what means the same as tough's file is left for the runner.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_client::fetch::{FetchError, Fetcher as _, HttpFetcher, Patience, TlsRoots};
use futures_util::stream::once;
use serde_json::Value;
use tokio::runtime::Builder;
use tough::{
    Bytes, IntoVec as _, RepositoryLoader, TargetName, Transport, TransportError,
    TransportErrorKind, TransportStream, async_trait,
};
use url::Url;

type Failure = Box<dyn Error>;

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

fn main() -> ExitCode {
    let arguments = Arguments::read();
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["init", root] => init(&arguments, Path::new(root)),
        ["refresh" | "download"] => update(&arguments),
        _ => Err("usage: tough-client --metadata-dir D ... init ROOT | refresh | download".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tough-client: {error}");
            ExitCode::from(1)
        }
    }
}

fn init(arguments: &Arguments, root: &Path) -> Result<(), Failure> {
    let folder = Path::new(arguments.one("metadata-dir")?);
    fs::create_dir_all(folder.join("tough"))?;
    fs::copy(root, folder.join("root.json"))?;
    Ok(())
}

fn update(arguments: &Arguments) -> Result<(), Failure> {
    let folder = PathBuf::from(arguments.one("metadata-dir")?);
    let transport = Recorder::default();
    let seen = Arc::clone(&transport.seen);
    let runtime = Builder::new_current_thread().build()?;
    let done = runtime.block_on(run(arguments, &folder, transport));
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    leave(&folder, &seen)?;
    done
}

async fn run(arguments: &Arguments, folder: &Path, transport: Recorder) -> Result<(), Failure> {
    let root = fs::read(folder.join("root.json"))?;
    let metadata = arguments.url("metadata-url")?;
    let targets = match arguments.one("target-base-url") {
        Ok(_) => arguments.url("target-base-url")?,
        Err(_) => metadata.clone(),
    };
    let repository = RepositoryLoader::new(&root, metadata, targets)
        .transport(transport)
        .datastore(folder.join("tough"))
        .load()
        .await?;
    for name in arguments.options.get("target-name").into_iter().flatten() {
        let found = repository.read_target(&TargetName::new(name)?).await?;
        let bytes = found.ok_or_else(|| format!("nobody lists {name}"))?;
        let bytes = bytes.into_vec().await?;
        let file = name.replace('/', "%2F");
        fs::write(Path::new(arguments.one("target-dir")?).join(file), bytes)?;
    }
    Ok(())
}

/// Leaves the bytes of what tough trusts, by role, out of what was served now or lay there before.
fn leave(folder: &Path, seen: &[Vec<u8>]) -> Result<(), Failure> {
    for role in ["root", "timestamp", "snapshot", "targets"] {
        let (kept, ours) = (
            folder.join("tough").join(format!("{role}.json")),
            folder.join(format!("{role}.json")),
        );
        let Ok(kept) = fs::read(kept) else {
            if role != "root" && ours.exists() {
                fs::remove_file(ours)?;
            }
            continue;
        };
        let before = fs::read(&ours).ok();
        let means_it = |bytes: &&Vec<u8>| signed(bytes) == signed(&kept);
        // The last one that means it: the same content can be served with other signatures.
        let known = before.iter().chain(seen).rfind(means_it);
        match known {
            Some(bytes) => fs::write(ours, bytes)?,
            None => return Err(format!("tough trusts a {role} that nobody served").into()),
        }
    }
    Ok(())
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
        match fetch(&url) {
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
