//! The repository: honest until told otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use countersign_metadata::{TargetPath, percent_encode};
use serde_json::{Map, json};

use super::Json;
use super::document::{Document, SimulateError, Wrongs};
use super::roles::{Head, Keys, Listing, Root};
use super::signatures::SignatureCache;
use crate::tree::Files;

/// When files expire unless a case says otherwise.
pub const FAR: &str = "2099-12-31T23:59:59Z";

/// A repository with one key for each role, one image `fw.img` and everything at version 1.
///
/// Wrong things are asked for by role name and stay until [`Repo::honest`]. For Root, they concern
/// the version that is the newest when they are asked for.
#[derive(Debug, Clone)]
pub struct Repo {
    /// Every Root so far.
    roots: Vec<Root>,
    /// Timestamp.
    pub timestamp: Head,
    /// Snapshot.
    pub snapshot: Head,
    /// Targets and delegated roles by name.
    pub roles: BTreeMap<String, Listing>,
    /// Whether Timestamp and Snapshot list lengths and hashes too.
    pub link_hashes: bool,
    wrongs: BTreeMap<String, Wrongs>,
    tampered_images: BTreeMap<String, Vec<u8>>,
    withheld_images: BTreeSet<String>,
    /// Whether images are served under their SHA-512 too.
    pub sha512_names: bool,
    /// Whether it serves the images that it lists. A Director does not.
    pub serves_images: bool,
    published: Files,
    cache: SignatureCache,
}

impl Repo {
    /// A new one.
    pub fn new(cache: SignatureCache) -> Self {
        let mut repo = Self::empty(cache, "");
        repo.add_image("targets", "fw.img", b"firmware 1\n");
        repo
    }

    /// One without images, whose keys are called `NAMEtimestamp-1` and so on.
    pub fn empty(cache: SignatureCache, name: &str) -> Self {
        let mut root = Root {
            head: Head::first(FAR),
            consistent: true,
            roles: BTreeMap::new(),
            time_server: None,
            offline: None,
        };
        for role in ["root", "timestamp", "snapshot", "targets"] {
            root.keys(role, &[&format!("{name}{role}-1")], 1);
        }
        let mut repo = Self {
            roots: vec![root],
            timestamp: Head::first(FAR),
            snapshot: Head::first(FAR),
            roles: BTreeMap::new(),
            link_hashes: false,
            wrongs: BTreeMap::new(),
            tampered_images: BTreeMap::new(),
            withheld_images: BTreeSet::new(),
            sha512_names: false,
            serves_images: true,
            published: Files::new(),
            cache,
        };
        repo.add_role("targets");
        repo
    }

    /// The newest Root.
    pub fn root(&mut self) -> &mut Root {
        let last = self.roots.len() - 1;
        &mut self.roots[last]
    }

    /// Makes the next Root, signed by the keys of the one before and its own.
    pub fn next_root(&mut self, edit: impl FnOnce(&mut Root)) {
        let mut next = self.root().clone();
        next.head.version += 1;
        edit(&mut next);
        self.roots.push(next);
    }

    /// The top-level Targets.
    pub fn targets(&mut self) -> &mut Listing {
        self.role("targets")
    }

    /// A Targets role, which is made if there is none.
    pub fn role(&mut self, name: &str) -> &mut Listing {
        self.add_role(name)
    }

    /// Adds a Targets role at version 1 without images.
    pub fn add_role(&mut self, name: &str) -> &mut Listing {
        self.roles.entry(name.into()).or_insert_with(Listing::empty)
    }

    /// Lists an image in a role.
    pub fn add_image(&mut self, role: &str, path: &str, bytes: &[u8]) {
        self.role(role).images.insert(path.into(), bytes.into());
    }

    /// A new version of Snapshot and Timestamp.
    pub fn next_online(&mut self) {
        self.snapshot.version += 1;
        self.timestamp.version += 1;
    }

    /// This version of everything but Root.
    pub fn jump(&mut self, version: u64) {
        self.timestamp.version = version;
        self.snapshot.version = version;
        for role in self.roles.values_mut() {
            role.head.version = version;
        }
    }

    /// A new version of Targets, and so of Snapshot and Timestamp.
    pub fn release(&mut self) {
        self.targets().head.version += 1;
        self.next_online();
    }

    fn wrongs(&mut self, role: &str) -> &mut Wrongs {
        let name = match role {
            "root" => format!("{}.root", self.root().head.version),
            role => role.into(),
        };
        self.wrongs.entry(name).or_default()
    }

    /// Changes what a role says, and signs that: what a thief of the role's keys can do.
    pub fn forge(&mut self, role: &str, edit: impl Fn(&mut Json) + 'static) {
        self.wrongs(role).forge(edit);
    }

    /// Changes the text that is signed, to something canonical form would not have.
    pub fn rewrite(&mut self, role: &str, from: &'static str, to: impl Into<String>) {
        let to = to.into();
        let rewrite = move |text: String| text.replacen(from, &to, 1);
        self.wrongs(role).rewrite.push(Rc::new(rewrite));
    }

    /// Lets others sign.
    pub fn sign_with(&mut self, role: &str, names: &[&str]) {
        self.wrongs(role).sign_with(names);
    }

    /// Changes the list of signatures.
    pub fn signatures(&mut self, role: &str, edit: impl Fn(&mut Vec<Json>) + 'static) {
        let edit = move |mut signatures| {
            edit(&mut signatures);
            signatures
        };
        self.wrongs(role).signatures.push(Rc::new(edit));
    }

    /// Changes the served file as text, after everything was signed: what a server can do.
    pub fn tamper(&mut self, role: &str, edit: impl Fn(String) -> String + 'static) {
        let edit = move |bytes: Vec<u8>| {
            // The simulator writes text only.
            edit(String::from_utf8_lossy(&bytes).into_owned()).into_bytes()
        };
        self.wrongs(role).tamper.push(Rc::new(edit));
    }

    /// Changes the served bytes.
    pub fn tamper_bytes(&mut self, role: &str, edit: impl Fn(Vec<u8>) -> Vec<u8> + 'static) {
        self.wrongs(role).tamper.push(Rc::new(edit));
    }

    /// Takes a role's file away.
    pub fn withhold(&mut self, role: &str) {
        self.wrongs(role).missing = true;
    }

    /// Serves other bytes for an image than those that are listed.
    pub fn tamper_image(&mut self, path: &str, bytes: &[u8]) {
        self.tampered_images.insert(path.into(), bytes.into());
    }

    /// Ends everything wrong. Files that were taken away come back.
    pub fn honest(&mut self) {
        self.wrongs.clear();
        self.tampered_images.clear();
        self.withheld_images.clear();
    }

    /// The bytes of a Root version, as published.
    ///
    /// # Errors
    /// [`SimulateError`]
    pub fn root_file(&self, version: u64) -> Result<Vec<u8>, SimulateError> {
        let index = self
            .roots
            .iter()
            .position(|root| root.head.version == version);
        Ok(self.make_root(index.unwrap_or(0))?.published)
    }

    /// Serves a file of any other name.
    pub fn serve_also(&mut self, path: &str, bytes: &[u8]) {
        self.published.insert(path.into(), bytes.into());
    }

    /// A file as it was last served; empty if it never was.
    pub fn published(&self, path: &str) -> Vec<u8> {
        self.published.get(path).cloned().unwrap_or_default()
    }

    /// A file as it would be served now; empty if it would not.
    pub fn made(&self, path: &str) -> Vec<u8> {
        let files = self.clone().serve().unwrap_or_default();
        files.get(path).cloned().unwrap_or_default()
    }

    /// Everything that is served now; in a consistent repository, old files too.
    ///
    /// # Errors
    /// [`SimulateError`]
    pub fn serve(&mut self) -> Result<Files, SimulateError> {
        for (index, version) in (0..self.roots.len()).zip(1_u64..) {
            let root = self.make_root(index)?;
            self.put(&format!("{version}.root"), root.served);
        }
        let mut meta = Map::new();
        for (name, role) in self.roles.clone() {
            let signers = self.signers_of(&name);
            let file = self.make(&name, role.to_json()?, &signers.names)?;
            let encoded = percent_encode(&name);
            self.put(&self.versioned(&encoded, role.head.version), file.served);
            meta.insert(
                format!("{name}.json"),
                self.entry(&role.head, &file.published),
            );
            if self.serves_images {
                for (path, bytes) in &role.images {
                    self.put_image(path, bytes);
                }
            }
        }
        let signed = self.snapshot.listing("snapshot", meta);
        let file = self.make("snapshot", signed, &self.top_level("snapshot").names)?;
        self.put(
            &self.versioned("snapshot", self.snapshot.version),
            file.served,
        );

        let entry = self.entry(&self.snapshot, &file.published);
        let meta = Map::from_iter([("snapshot.json".to_string(), entry)]);
        let signed = self.timestamp.listing("timestamp", meta);
        let file = self.make("timestamp", signed, &self.top_level("timestamp").names)?;
        self.put("timestamp", file.served);
        Ok(self.published.clone())
    }

    fn make_root(&self, index: usize) -> Result<Document, SimulateError> {
        let root = &self.roots[index];
        let mut signers: BTreeSet<&String> = root.roles["root"].names.iter().collect();
        if let Some(before) = index.checked_sub(1).map(|before| &self.roots[before]) {
            signers.extend(&before.roles["root"].names);
        }
        let signers: Vec<String> = signers.into_iter().cloned().collect();
        let name = format!("{}.root", root.head.version);
        self.make(&name, root.to_json()?, &signers)
    }

    fn make(
        &self,
        name: &str,
        signed: Json,
        signers: &[String],
    ) -> Result<Document, SimulateError> {
        let wrongs = self.wrongs.get(name).cloned().unwrap_or_default();
        Document::make(signed, signers, &wrongs, &self.cache)
    }

    fn top_level(&self, role: &str) -> Keys {
        self.roots[self.roots.len() - 1].roles[role].clone()
    }

    /// Who signs a Targets role: for a delegated one, whom the first delegator names.
    fn signers_of(&self, name: &str) -> Keys {
        let delegated = || self.roles.values().find_map(|role| role.delegate(name));
        match name {
            "targets" => self.top_level(name),
            _ => delegated().unwrap_or(Keys::new(&[name], 1)),
        }
    }

    fn entry(&self, head: &Head, file: &[u8]) -> Json {
        match self.link_hashes {
            false => json!({"version": head.version}),
            true => json!({
                "version": head.version,
                "length": file.len(),
                "hashes": {"sha256": sha256_hex(file)},
            }),
        }
    }

    fn versioned(&self, name: &str, version: u64) -> String {
        match self.roots[self.roots.len() - 1].consistent {
            true => format!("{version}.{name}"),
            false => name.into(),
        }
    }

    fn put(&mut self, name: &str, file: Option<Vec<u8>>) {
        let path = format!("metadata/{name}.json");
        match file {
            Some(bytes) => self.published.insert(path, bytes),
            None => self.published.remove(&path),
        };
    }

    /// Images whose path no client could store are not served.
    fn put_image(&mut self, path: &str, bytes: &[u8]) {
        let Ok(target) = TargetPath::new(path) else {
            return;
        };
        let mut names = vec![match self.roots[self.roots.len() - 1].consistent {
            true => target.with_prefix(&sha256_hex(bytes)),
            false => target.to_string(),
        }];
        if self.sha512_names {
            let sha512 = countersign_metadata::sha512(bytes);
            names.push(target.with_prefix(&hex::encode(sha512)));
        }
        let served = self.tampered_images.get(target.as_str());
        let served = served.map_or(bytes, Vec::as_slice).to_vec();
        for name in names {
            let segments: Vec<String> = name.split('/').map(percent_encode).collect();
            let path = format!("targets/{}", segments.join("/"));
            match self.withheld_images.contains(target.as_str()) {
                true => self.published.remove(&path),
                false => self.published.insert(path, served.clone()),
            };
        }
    }

    /// Whether this image can be had from it.
    pub fn serves(&self, path: &str) -> bool {
        !self.withheld_images.contains(path)
    }

    /// Takes an image away.
    pub fn withhold_image(&mut self, path: &str) {
        self.withheld_images.insert(path.into());
    }
}

/// SHA-256 in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(countersign_metadata::sha256(bytes))
}
