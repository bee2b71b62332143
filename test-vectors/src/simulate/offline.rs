//! What a Director signs for a stick (PURE-2), and the stick.

use std::collections::BTreeMap;

use countersign_metadata::percent_encode;
use serde_json::{Map, json};

use super::document::{Document, SimulateError, Wrongs};
use super::repo::{FAR, sha256_hex};
use super::roles::{Head, Keys, Listing};
use super::{Json, SignatureCache, World};
use crate::tree::Files;

/// Offline Snapshot and the Offline Targets files: honest until told otherwise.
#[derive(Debug, Clone)]
pub struct Offline {
    /// Offline Snapshot.
    pub snapshot: Head,
    /// The Offline Targets files by name.
    pub files: BTreeMap<String, Listing>,
    wrongs: BTreeMap<String, Wrongs>,
}

impl Offline {
    /// With one file of this name.
    pub(super) fn with(name: &str, listing: Listing) -> Self {
        let mut offline = Self {
            snapshot: Head::first(FAR),
            files: BTreeMap::new(),
            wrongs: BTreeMap::new(),
        };
        offline.add(name, listing);
        offline
    }

    /// Who signs Offline Snapshot and Offline Targets.
    pub(super) fn keys() -> [Keys; 2] {
        ["offline-snapshot-1", "offline-targets-1"].map(|key| Keys::new(&[key], 1))
    }

    /// Adds a file, which says which one it is.
    pub fn add(&mut self, name: &str, mut listing: Listing) {
        let custom = json!({"name": name});
        listing.head.extra.insert("custom", custom);
        self.files.insert(name.into(), listing);
    }

    /// A file, which is made if there is none.
    pub fn file(&mut self, name: &str) -> &mut Listing {
        if !self.files.contains_key(name) {
            self.add(name, Listing::empty());
        }
        self.files.entry(name.into()).or_insert_with(Listing::empty)
    }

    /// The next version of a file, and so of Offline Snapshot.
    pub fn release(&mut self, name: &str) {
        self.file(name).head.version += 1;
        self.snapshot.version += 1;
    }

    /// What is wrong with `snapshot` or a file of this name.
    fn wrongs(&mut self, name: &str) -> &mut Wrongs {
        self.wrongs.entry(name.into()).or_default()
    }

    /// Changes what a file says, and signs that: what a thief of its keys can do.
    pub fn forge(&mut self, name: &str, edit: impl Fn(&mut Json) + 'static) {
        self.wrongs(name).forge(edit);
    }

    /// Lets others sign.
    pub fn sign_with(&mut self, name: &str, names: &[&str]) {
        self.wrongs(name).sign_with(names);
    }

    fn make(
        &self,
        name: &str,
        signed: Json,
        key: &str,
        cache: &SignatureCache,
    ) -> Result<Vec<u8>, SimulateError> {
        let wrongs = self.wrongs.get(name).cloned().unwrap_or_default();
        let made = Document::make(signed, &[key.into()], &wrongs, cache)?;
        Ok(made.published)
    }

    /// The Offline Snapshot and one of the files, as members of a bundle.
    fn members(&self, which: &str, cache: &SignatureCache) -> Result<Files, SimulateError> {
        let mut members = Files::new();
        let mut meta = Map::new();
        for (name, listing) in &self.files {
            let file = self.make(name, listing.to_json()?, "offline-targets-1", cache)?;
            let entry = json!({
                "version": listing.head.version,
                "length": file.len(),
                "hashes": {"sha256": sha256_hex(&file)},
            });
            meta.insert(format!("{name}.json"), entry);
            if name == which {
                members.insert(format!("director/offline/{name}.json"), file);
            }
        }
        let signed = self.snapshot.listing("snapshot", meta);
        let file = self.make("snapshot", signed, "offline-snapshot-1", cache)?;
        members.insert("director/offline/snapshot.json".into(), file);
        Ok(members)
    }
}

impl World {
    /// What the Director has signed for sticks: at first the file `spring`, which assigns what the
    /// Director assigns online. From now on its Root names keys for it.
    pub fn offline(&mut self) -> &mut Offline {
        if self.offline.is_none() {
            self.director.root().offline = Some(Offline::keys());
        }
        let listing = self.director.targets().clone();
        self.offline
            .get_or_insert_with(|| Offline::with("spring", listing))
    }

    /// The members of a bundle with the Offline Targets file of this name, out of what is published now.
    ///
    /// # Errors
    /// [`SimulateError`]
    pub fn bundle(&mut self, name: &str) -> Result<Files, SimulateError> {
        self.offline();
        let mut members = Files::new();
        for (repository, served) in [
            ("director", self.director.serve()?),
            ("image", self.image.serve()?),
        ] {
            let roots = served.iter();
            let roots = roots.filter(|(path, _)| path.ends_with(".root.json"));
            members
                .extend(roots.map(|(path, bytes)| (format!("{repository}/{path}"), bytes.clone())));
        }
        if let Some(offline) = &self.offline {
            members.extend(offline.members(name, self.cache())?);
        }
        let image = &mut self.image;
        let version = image.snapshot.version;
        let snapshot = image.published(&format!("metadata/{version}.snapshot.json"));
        members.insert("image/metadata/snapshot.json".into(), snapshot);
        for (role, listing) in &image.roles {
            let name = format!("{}.{}", listing.head.version, percent_encode(role));
            let file = image.published(&format!("metadata/{name}.json"));
            members.insert(format!("image/metadata/{name}.json"), file);
            let images = listing.images.iter();
            for (_, bytes) in images.filter(|(path, _)| image.serves(path)) {
                members.insert(image_member(bytes), bytes.clone());
            }
        }
        let ciphertexts = self.also.values();
        members.extend(ciphertexts.map(|bytes| (image_member(bytes), bytes.clone())));
        Ok(members)
    }
}

/// The member that is an image.
pub fn image_member(bytes: &[u8]) -> String {
    format!("images/sha256-{}", sha256_hex(bytes))
}

/// The stick: a plain tar of these members.
///
/// # Errors
/// [`SimulateError::Bundle`]
pub fn tar(members: &Files) -> Result<Vec<u8>, SimulateError> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, name, &bytes[..])?;
    }
    Ok(archive.into_inner()?)
}
