//! A device: the client's two folders, and what it asks of a server.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use crate::narrator::Verdict;
use crate::server::Server;
use crate::stage::{Stage, copy_folder};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The folders of one device.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    folder: PathBuf,
}

impl Device {
    /// A device with a folder of this name.
    pub(crate) fn new(stage: &Stage, name: &str) -> Self {
        Self {
            folder: stage.folder.join("devices").join(name),
        }
    }

    /// Another device in the same state.
    pub(crate) fn twin(&self, stage: &Stage, name: &str) -> Result<Self> {
        let twin = Self::new(stage, name);
        copy_folder(&self.folder, &twin.folder)?;
        Ok(twin)
    }

    /// Trusts the first root, as a factory would provision it.
    pub(crate) fn provision(&self, stage: &Stage) -> Result<Verdict> {
        let root = stage.published().join("metadata/1.root.json");
        let mut words = self.words();
        words.extend(["init".into(), root.display().to_string()]);
        stage.client(words)
    }

    /// Refreshes from `server`.
    pub(crate) fn refresh(&self, stage: &Stage, server: &Server) -> Result<Verdict> {
        stage.client(self.refresh_words(server))
    }

    /// Refreshes with the clock so many days ahead.
    pub(crate) fn refresh_in_days(
        &self,
        stage: &Stage,
        server: &Server,
        days: u32,
    ) -> Result<Verdict> {
        stage.client_in_days(days, self.refresh_words(server))
    }

    /// Refreshes and downloads.
    pub(crate) fn download(
        &self,
        stage: &Stage,
        server: &Server,
        names: &[&str],
    ) -> Result<Verdict> {
        let mut words = self.words();
        words.extend(["--metadata-url".into(), server.url("metadata")]);
        words.extend(["--target-base-url".into(), server.url("targets")]);
        words.extend(["--target-dir".into(), self.images().display().to_string()]);
        for name in names {
            words.extend(["--target-name".into(), (*name).into()]);
        }
        words.push("download".into());
        stage.client(words)
    }

    /// An image as the device has it.
    pub(crate) fn image(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.images().join(name)).ok()
    }

    fn images(&self) -> PathBuf {
        self.folder.join("images")
    }

    fn refresh_words(&self, server: &Server) -> Vec<String> {
        let mut words = self.words();
        words.extend([
            "--metadata-url".into(),
            server.url("metadata"),
            "refresh".into(),
        ]);
        words
    }

    fn words(&self) -> Vec<String> {
        // A demo does not wait the twenty seconds that a device would.
        let metadata = self.folder.join("metadata").display().to_string();
        [
            "--metadata-dir".into(),
            metadata,
            "--patience".into(),
            "4".into(),
        ]
        .into()
    }
}
