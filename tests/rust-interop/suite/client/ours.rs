//! `countersign-client`.

use std::fs;

use countersign_client::client::{self, ClientError};
use countersign_client::clock::system_time;
use countersign_client::fetch::FileFetcher;
use countersign_client::files::TargetDir;
use countersign_client::store::MemoryStore;
use countersign_verifier::{Code, Context};
use tempfile::TempDir;

use super::{Client, Refusal};
use crate::tree::Tree;

pub(crate) struct Ours {
    client: client::Client<FileFetcher, MemoryStore>,
    targets_url: String,
    folder: TempDir,
}

impl Client for Ours {
    const WRONG_IMAGE: &str = "image-hash";
    const WRONG_TIMESTAMP: &str = "signature-threshold (timestamp)";

    fn new(tree: &Tree) -> Result<Self, Refusal> {
        let mut store = MemoryStore::new();
        client::initialise(&mut store, tree.first_root()).map_err(|error| error.to_string())?;
        Ok(Self {
            client: client::Client::new(FileFetcher::new(), store, tree.metadata_url().as_str()),
            targets_url: tree.targets_url().into(),
            folder: tempfile::tempdir().expect("a temporary folder"),
        })
    }

    fn fetch(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        self.get(name).or_else(|error| match error {
            ClientError::Rejected(reject)
                if reject.code == Code::TargetNotFound && reject.cause.is_none() =>
            {
                Ok(None)
            }
            error => Err(error.to_string()),
        })
    }
}

impl Ours {
    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ClientError> {
        let (targets, partial) = (self.folder.path().join("t"), self.folder.path().join("p"));
        let now = system_time().expect("a clock");
        let mut trusted = self.client.refresh(Context::new(now))?;
        let target = self.client.find(&mut trusted, name)?;
        let directory = TargetDir::open(&targets)?;
        let image = self.client.download(
            &trusted,
            &target,
            &self.targets_url,
            &directory,
            &partial,
            &|_| {},
        )?;
        Ok(Some(fs::read(image.path).expect("the image")))
    }
}
