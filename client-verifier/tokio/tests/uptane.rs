//! Every Uptane vector for an ECU, with all of its sessions driven by this crate: Director and Image
//! repository, full and partial verification, offline bundles.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

use std::io::Cursor;
use std::path::Path;
use std::sync::Mutex;

use countersign_client::client::ClientError;
use countersign_client::fetch::FetchError;
use countersign_client::store::{StoreError, StoreName, Stored};
use countersign_tokio::fetch::{Body, Fetcher};
use countersign_tokio::session::run_session;
use countersign_tokio::store::Store;
use countersign_vectors::format::Kind;
use countersign_vectors::run::in_process::{Line, client_driven_by};
use countersign_vectors::run::run_case;
use countersign_vectors::suite;
use countersign_vectors::tree::Answer;
use countersign_verifier::{Protocol, Reject, Reply, Step};
use tokio::runtime::Builder;
use tokio::task::yield_now;

/// The two ends of a line, which one session uses in turn.
struct End<'e, 'l>(&'e Mutex<&'e mut Line<'l>>);

const URL: &str = "line:/";

impl Fetcher for End<'_, '_> {
    async fn open(&mut self, url: &str, _: u64) -> Result<Body, FetchError> {
        yield_now().await;
        let name = url.strip_prefix(URL).unwrap();
        let url = url.to_owned();
        match self.0.lock().unwrap().get(name) {
            // Without a length: the bytes that are too many have to be noticed by themselves.
            Answer::Found(bytes) => Ok(Body::new(url, Cursor::new(bytes), None, 0)),
            Answer::Status(status @ (403 | 404 | 410)) => Err(FetchError::NotFound {
                url,
                status: Some(status),
            }),
            Answer::Status(status) => Err(FetchError::Status { url, status }),
        }
    }
}

impl Store for End<'_, '_> {
    async fn load(&mut self, name: &StoreName) -> Result<Option<Stored>, StoreError> {
        yield_now().await;
        Ok(self.0.lock().unwrap().load(name))
    }

    async fn save(
        &mut self,
        name: &StoreName,
        bytes: &[u8],
        root_version: u64,
    ) -> Result<(), StoreError> {
        yield_now().await;
        self.0.lock().unwrap().save(name, bytes, root_version);
        Ok(())
    }
}

/// A session whose type is not known here.
struct Any<'s>(&'s mut dyn Protocol<Output = ()>);

impl Protocol for Any<'_> {
    type Output = ();

    fn next(&mut self) -> Step<'_, ()> {
        self.0.next()
    }

    fn supply(&mut self, reply: Reply) {
        self.0.supply(reply);
    }
}

fn asynchronously(
    session: &mut dyn Protocol<Output = ()>,
    line: &mut Line<'_>,
) -> Result<(), Reject> {
    let repository = line.repository();
    let line = Mutex::new(line);
    let urls = [URL.to_owned()];
    let (mut fetcher, mut store, mut session) = (End(&line), End(&line), Any(session));
    let run = run_session(&mut fetcher, &mut store, &urls, &mut session);
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(run).map_err(|error| match error {
        ClientError::Rejected(reject) => reject,
        other => other.to_reject(repository),
    })
}

#[test]
fn every_uptane_vector_for_an_ecu_passes() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-vectors/vectors");
    let (mut ran, mut problems) = (0, Vec::new());
    for name in suite::names(&home).unwrap() {
        let vector = suite::load_one(&home, &name).unwrap();
        if vector.case.kind() == Kind::Uptane {
            ran += 1;
            let mut client = client_driven_by(asynchronously, &vector);
            let result = run_case(&mut *client, &vector);
            problems.extend(result.problems.into_iter().map(|p| format!("{name}: {p}")));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(ran > 500, "only {ran} vectors for an ECU");
}
