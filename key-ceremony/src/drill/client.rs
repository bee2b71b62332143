//! A device: the real verifier, with a store in memory.

use std::collections::BTreeMap;

use countersign_metadata::UtcTime;
use countersign_verifier::{
    Code, Reject, Reply, Session, Step, StoreName, Stored, Trusted, drive, provision_root,
};

use super::mirror::Mirror;

/// A device that trusts what it was provisioned with, and remembers what it accepted.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// What it is called in the report.
    pub(super) name: &'static str,
    store: BTreeMap<StoreName, (Vec<u8>, u64)>,
}

impl Client {
    /// Provisioned with the first Root.
    pub(super) fn new(name: &'static str, root: &[u8]) -> Result<Self, Reject> {
        provision_root(root.to_vec())?;
        let store = BTreeMap::from([(StoreName::Root, (root.to_vec(), 1))]);
        Ok(Self { name, store })
    }

    /// Follows the four top-level roles.
    pub(super) fn refresh(&mut self, from: &Mirror, now: UtcTime) -> Result<Trusted, Reject> {
        drive(&mut Session::refresh(now), |step| self.answer(step, from))
    }

    /// Fetches an image and checks it to its last byte.
    pub(super) fn get(
        &mut self,
        image: &str,
        from: &Mirror,
        now: UtcTime,
    ) -> Result<Vec<u8>, Reject> {
        let mut trusted = self.refresh(from, now)?;
        let mut search = trusted.search(image);
        let listed = drive(&mut search, |step| self.answer(step, from))?;
        let missing = || Reject::new(Code::ImageMissing, listed.role(), listed.path().as_str());
        let bytes = from
            .image(listed.path(), listed.file())
            .ok_or_else(missing)?;
        let mut stream = listed.open(now)?;
        stream.update(&bytes)?;
        stream.finish()?;
        Ok(bytes)
    }

    /// What it keeps under a name.
    pub(super) fn stored(&self, name: &StoreName) -> Option<&[u8]> {
        self.store.get(name).map(|(bytes, _)| bytes.as_slice())
    }

    /// The version of the Root that it trusts.
    pub(super) fn root_version(&self) -> u64 {
        self.store
            .get(&StoreName::Root)
            .map_or(0, |(_, version)| *version)
    }

    fn answer<T>(&mut self, step: Step<'_, T>, from: &Mirror) -> Result<Reply, Reject> {
        Ok(match step {
            Step::Load { name } => match self.store.get(&name) {
                Some((bytes, accepted_under)) => Reply::Stored(Stored {
                    bytes: bytes.clone(),
                    accepted_under: Some(*accepted_under),
                }),
                None => Reply::NotFound,
            },
            Step::Fetch { what, max_len } => match from.metadata(&what.file_name()) {
                Some(bytes) if bytes.len() as u64 > max_len => Reply::TooLarge,
                Some(bytes) => Reply::Fetched(bytes),
                None => Reply::NotFound,
            },
            Step::Save {
                name,
                version,
                bytes,
                accepted_under,
                ..
            } => {
                let under = match name {
                    StoreName::Root => {
                        let history = StoreName::RootHistory(version);
                        self.store.insert(history, (bytes.to_vec(), version));
                        version
                    }
                    _ => accepted_under,
                };
                self.store.insert(name, (bytes.to_vec(), under));
                Reply::Saved
            }
            // No outline is kept, and the driver keeps the end to itself.
            Step::LoadPart { .. } | Step::Done(_) => Reply::NotFound,
        })
    }
}
