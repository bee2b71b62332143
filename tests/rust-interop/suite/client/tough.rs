//! tough's `Repository`, which loads everything anew each time and keeps its floors in a folder.

use std::fs;
use std::future::ready;
use std::io::ErrorKind;

use futures_util::stream::once;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tough::editor::RepositoryEditor;
use tough::{
    Bytes, IntoVec, Repository, RepositoryLoader, TargetName, Transport, TransportError,
    TransportErrorKind, TransportStream, async_trait,
};
use url::Url;

use super::{Client, Refusal, refusal};
use crate::tree::Tree;

type ToughResult<T> = Result<T, tough::error::Error>;

pub(crate) struct Tough {
    root: Vec<u8>,
    tree: Tree,
    datastore: TempDir,
    runtime: Runtime,
}

impl Client for Tough {
    const WRONG_IMAGE: &str = "Hash mismatch";
    const WRONG_TIMESTAMP: &str = "Signature threshold of 1 not met for role timestamp";

    fn new(tree: &Tree) -> Result<Self, Refusal> {
        Ok(Self {
            root: tree.first_root(),
            tree: tree.clone(),
            datastore: tempfile::tempdir().expect("a temporary folder"),
            runtime: Builder::new_current_thread().build().expect("a runtime"),
        })
    }

    fn fetch(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        self.runtime.block_on(self.get(name)).map_err(refusal)
    }
}

impl Tough {
    /// Takes the repository over into tough's editor, to go on publishing it.
    pub(crate) fn take_over(&self) -> Result<RepositoryEditor, Refusal> {
        let root = self.tree.metadata().join("1.root.json");
        let edit = async { RepositoryEditor::from_repo(root, self.load().await?).await };
        self.runtime.block_on(edit).map_err(refusal)
    }

    async fn load(&self) -> ToughResult<Repository> {
        let (metadata, targets) = (self.tree.metadata_url(), self.tree.targets_url());
        RepositoryLoader::new(&self.root, metadata, targets)
            .transport(WebServer)
            .datastore(self.datastore.path())
            .load()
            .await
    }

    async fn get(&self, name: &str) -> ToughResult<Option<Vec<u8>>> {
        let repository = self.load().await?;
        match repository.read_target(&TargetName::new(name)?).await? {
            Some(stream) => Ok(Some(stream.into_vec().await?)),
            None => Ok(None),
        }
    }
}

/// Finds a file by its decoded name, as web servers do. tough's own transport for files looks for
/// `a%20b` where `a b` was asked for.
#[derive(Debug, Clone)]
struct WebServer;

#[async_trait]
impl Transport for WebServer {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        match fs::read(url.to_file_path().expect("a file: URL")) {
            Ok(bytes) => Ok(Box::pin(once(ready(Ok(Bytes::from(bytes)))))),
            Err(error) => {
                let kind = match error.kind() {
                    ErrorKind::NotFound => TransportErrorKind::FileNotFound,
                    _ => TransportErrorKind::Other,
                };
                Err(TransportError::new_with_cause(kind, url, error))
            }
        }
    }
}
