//! A future is dropped at every await point there is, and the next run goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "../../tests/model/mod.rs"]
mod model;

use std::collections::BTreeMap;
use std::fs;
use std::future::{Future, poll_fn};
use std::io;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use countersign_client::client::initialise;
use countersign_client::fetch::FetchError;
use countersign_client::files::TargetDir;
use countersign_client::store::{DirStore, Store as _, StoreError};
use countersign_metadata::UtcTime;
use countersign_tokio::client::{Client, ClientError, Image};
use countersign_tokio::fetch::{Body, Fetcher};
use countersign_tokio::store::{Blocking, Store};
use countersign_verifier::{Code, Context, StoreName, Stored};
use model::repository::{Published, Repository};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::yield_now;

/// Several pieces of a download, and not a multiple of one.
const LENGTH: usize = 3 * 64 * 1024 + 1000;

fn image(seed: usize) -> Vec<u8> {
    (0..LENGTH).map(|i| ((i / 7 + seed) % 251) as u8).collect()
}

/// Serves what was published, in small pieces, and yields before and after everything.
struct Server {
    files: BTreeMap<String, Vec<u8>>,
    image: Vec<u8>,
}

impl Server {
    fn of(state: &Published, image: Vec<u8>) -> Self {
        let files = state.files.clone();
        Self { files, image }
    }
}

impl Fetcher for Server {
    async fn open(&mut self, url: &str, range_from: u64) -> Result<Body, FetchError> {
        yield_now().await;
        let file = match url.strip_prefix("test:/metadata/") {
            Some(name) => self.files.get(name),
            None => Some(&self.image),
        };
        let file = file.ok_or_else(|| FetchError::NotFound {
            url: url.into(),
            status: None,
        })?;
        let rest = file[range_from as usize..].to_vec();
        let (length, reader) = (rest.len() as u64, Pieces::of(rest));
        yield_now().await;
        Ok(Body::new(url, reader, Some(length), range_from))
    }
}

/// Bytes in pieces, with a wait before each.
struct Pieces {
    rest: io::Cursor<Vec<u8>>,
    waited: bool,
}

impl Pieces {
    fn of(bytes: Vec<u8>) -> Self {
        let rest = io::Cursor::new(bytes);
        let waited = false;
        Self { rest, waited }
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.waited = !self.waited;
        if self.waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut piece = vec![0; buf.remaining().min(30_000)];
        let n = io::Read::read(&mut self.rest, &mut piece)?;
        buf.put_slice(&piece[..n]);
        Poll::Ready(Ok(()))
    }
}

/// The real store, and a wait around everything.
struct Yielding(Blocking<DirStore>);

impl Store for Yielding {
    async fn load(&mut self, name: &StoreName) -> Result<Option<Stored>, StoreError> {
        yield_now().await;
        let loaded = self.0.load(name).await;
        yield_now().await;
        loaded
    }

    async fn save(
        &mut self,
        name: &StoreName,
        bytes: &[u8],
        root_version: u64,
    ) -> Result<(), StoreError> {
        yield_now().await;
        self.0.save(name, bytes, root_version).await?;
        yield_now().await;
        Ok(())
    }
}

struct Device {
    dir: tempfile::TempDir,
}

impl Device {
    fn new(repository: &Repository) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut store = DirStore::open(&dir.path().join("D"), Duration::ZERO).unwrap();
        initialise(
            &mut store,
            repository.states[0].files["1.root.json"].clone(),
        )
        .unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// All that an updater does, with everything of its own made anew.
    async fn update(&self, server: Server, now: UtcTime) -> Result<Image, ClientError> {
        let patience = Duration::from_secs(10);
        let store = Blocking::open(&self.path("D"), patience).await?;
        let mut client = Client::new(server, Yielding(store), "test:/metadata");
        let mut trusted = client.refresh(Context::new(now)).await?;
        let target = client.find(&mut trusted, "top.img").await?;
        let images = Arc::new(TargetDir::open(&self.path("T"))?);
        let partial = self.path("D/partial");
        let urls = "test:/targets";
        client
            .download(&trusted, &target, urls, &images, &partial, &|_| ())
            .await
    }

    /// Versions of Timestamp and Targets in the store; 0 where there is none.
    fn versions(&self) -> [u64; 2] {
        let mut store = DirStore::open(&self.path("D"), Duration::from_secs(10)).unwrap();
        let timestamp = store.load(&StoreName::Timestamp).unwrap();
        let targets = store.load(&StoreName::Targets).unwrap();
        [timestamp.map_or(0, version), targets.map_or(0, version)]
    }
}

/// The file's own version, which canonical JSON has behind those that it lists.
fn version(stored: Stored) -> u64 {
    let text = String::from_utf8(stored.bytes).unwrap();
    let (_, last) = text.rsplit_once("\"version\":").unwrap();
    let digits: String = last.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Polls `future` at most `most` times; `None` if that was not enough, and it is dropped.
async fn polled<T>(most: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut polls = 0;
    poll_fn(|cx| {
        if polls == most {
            return Poll::Ready(None);
        }
        polls += 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Dropped after `most` polls: at once, without waiting for what goes on in the background, another
/// run is started. `true` if the first one came to its end.
async fn dropped_after(most: usize, repository: &Repository) -> bool {
    let device = Device::new(repository);
    let [first, second] = [0, 1].map(|i| &repository.states[i + 1]);
    let old = device.update(Server::of(first, image(1)), first.now).await;
    assert!(!old.unwrap().was_there);
    let floor = device.versions();

    let update = device.update(Server::of(second, image(2)), second.now);
    let ended = polled(most, update).await;
    let done = device.update(Server::of(second, image(2)), second.now);
    let path = done.await.unwrap().path;
    assert!(fs::read(&path).unwrap() == image(2), "after {most} polls");

    // Nothing that went on in the background has brought an older file back.
    let now = device.versions();
    assert!(now > floor, "{now:?} after {floor:?}, {most} polls");
    let rolled_back = device.update(Server::of(first, image(1)), first.now).await;
    match rolled_back {
        Err(ClientError::Rejected(reject)) => assert_eq!(reject.code, Code::VersionRollback),
        other => panic!("{other:?} after {most} polls"),
    }
    assert!(!device.path("D/partial").exists(), "after {most} polls");
    ended.is_some()
}

/// The first state is the one that was provisioned; then two with an image each, the second under a
/// new Root with other keys for Timestamp.
fn repository() -> Repository {
    let mut repository = Repository::new(true, true);
    repository.set_image_bytes("targets", &image(1));
    repository.publish();
    repository.set_image_bytes("targets", &image(2));
    repository.change_keys("root", model::repository::Change::Next, |keys, fresh| {
        keys.push(fresh);
    });
    repository.publish();
    repository
}

#[tokio::test]
async fn wherever_an_update_is_dropped_the_next_one_goes_on() {
    let repository = repository();
    let mut most = 0;
    while !dropped_after(most, &repository).await {
        most += 1;
    }
    // Loads, fetches and saves of five roles, and an image in pieces.
    assert!(most > 50, "{most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_with_several_threads() {
    let repository = repository();
    let mut most = 0;
    while !dropped_after(most, &repository).await {
        most += 7;
    }
}

/// Takes its time over every write.
struct Slow(countersign_client::store::MemoryStore);

impl countersign_client::store::Store for Slow {
    fn load(&mut self, name: &StoreName) -> Result<Option<Stored>, StoreError> {
        countersign_client::store::Store::load(&mut self.0, name)
    }

    fn save(&mut self, name: &StoreName, bytes: &[u8], version: u64) -> Result<(), StoreError> {
        std::thread::sleep(Duration::from_millis(if bytes == b"old" { 200 } else { 0 }));
        countersign_client::store::Store::save(&mut self.0, name, bytes, version)
    }
}

#[tokio::test]
async fn a_write_whose_future_was_dropped_comes_before_the_next_one() {
    let mut store = Blocking::new(Slow(Default::default()));
    let name = StoreName::Timestamp;
    // Polled until the write has begun, and dropped.
    assert!(polled(1, store.save(&name, b"old", 1)).await.is_none());
    store.save(&name, b"new", 1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(store.load(&name).await.unwrap().unwrap().bytes, b"new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_can_be_a_task_of_its_own() {
    let repository = repository();
    let (device, state) = (Device::new(&repository), repository.states[1].clone());
    let task = tokio::spawn(async move {
        let update = device.update(Server::of(&state, image(1)), state.now);
        update.await.map(|image| image.was_there)
    });
    assert!(!task.await.unwrap().unwrap());
}
