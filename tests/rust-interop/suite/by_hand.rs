//! Repositories put together file by file, to say what `countersign-repo` would not publish.

use std::collections::BTreeMap;

use countersign_metadata::json::Object;
use countersign_metadata::{
    DelegatedRole, Delegation, Delegations, Hashes, Key, KeyId, MetaFile, PathSet, RoleKeys,
    RoleType, Roles, Root, Snapshot, TargetFile, TargetPath, TargetsBuilder, Timestamp, Unsigned,
    percent_encode,
};
use countersign_signing::Signer;
use tempfile::TempDir;

use crate::keys::{Keys, Kind};
use crate::tree::{Tree, in_days};

/// Everything is public and one Ed25519 key signs everything, under every id that names it.
pub(crate) struct ByHand {
    pub(crate) root: Root,
    pub(crate) targets: TargetsBuilder,
    /// Delegated roles; one that is not in `unlisted` is also in Snapshot.
    pub(crate) delegated: BTreeMap<String, TargetsBuilder>,
    pub(crate) unlisted: Vec<String>,
    pub(crate) timestamp_extra: Object,
    signer: Box<dyn Signer>,
    folder: TempDir,
}

impl ByHand {
    /// Consistent snapshots are off, and nothing is listed.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let signer = Keys::new(folder.path(), Kind::Ed25519).signer("all");
        let mut root = Root::new(in_days(30), false);
        for role in RoleType::ALL {
            root.add_key(role, signer.key());
        }
        Self {
            root,
            targets: TargetsBuilder::new(in_days(30)),
            delegated: BTreeMap::new(),
            unlisted: Vec::new(),
            timestamp_extra: Object::new(),
            signer,
            folder,
        }
    }

    /// With one image, `kernel.img`.
    pub(crate) fn with_kernel() -> Self {
        let mut repository = Self::new();
        repository.list("kernel.img");
        repository
    }

    /// Lists an image, whose bytes are its name.
    pub(crate) fn list(&mut self, name: &str) -> &mut TargetFile {
        list(&mut self.targets, name)
    }

    /// Lists an image in a delegated role.
    pub(crate) fn list_in(&mut self, role: &str, name: &str) -> &mut TargetFile {
        let role = self.delegated.get_mut(role);
        list(role.expect("a delegated role"), name)
    }

    /// Delegates from Targets to a new role, trusted for `patterns`.
    pub(crate) fn delegate(&mut self, name: &str, patterns: &[&str]) -> &mut DelegatedRole {
        let key = self.key();
        let id = key.id();
        let delegations = self.delegations();
        delegations.keys.insert(id.clone(), key);
        let Roles::Listed(roles) = &mut delegations.roles else {
            panic!("succinct");
        };
        roles.push(Delegation::Role(DelegatedRole {
            name: name.into(),
            role_keys: RoleKeys::new([id], 1),
            paths: PathSet::Patterns(patterns.iter().map(ToString::to_string).collect()),
            hardware_ids: None,
            terminating: false,
            extra: Object::new(),
        }));
        let role = TargetsBuilder::new(in_days(30));
        self.delegated.insert(name.into(), role);
        match self.delegations() {
            Delegations {
                roles: Roles::Listed(roles),
                ..
            } => match roles.last_mut() {
                Some(Delegation::Role(role)) => role,
                _ => unreachable!("just added"),
            },
            Delegations { .. } => unreachable!("listed above"),
        }
    }

    pub(crate) fn delegations(&mut self) -> &mut Delegations {
        self.targets
            .delegations
            .get_or_insert_with(Delegations::empty)
    }

    /// The key that signs, as metadata lists it.
    pub(crate) fn key(&self) -> Key {
        self.signer.key()
    }

    /// Publishes everything.
    pub(crate) fn publish(&self) -> Tree {
        let tree = Tree::at(self.folder.path().join("published"));
        let root = self.sign(self.root.to_payload(), &self.root.keys);
        tree.write("metadata/1.root.json", &root);

        let mut snapshot = Snapshot::new(in_days(30));
        let none = BTreeMap::new();
        let delegations = self.targets.delegations.as_ref();
        let delegated_keys = delegations.map_or(&none, |all| &all.keys);
        for (name, role) in &self.delegated {
            let file = self.sign(role.to_payload(), delegated_keys);
            tree.write(&format!("metadata/{}.json", percent_encode(name)), &file);
            if !self.unlisted.contains(name) {
                snapshot.set_role(name, MetaFile::describing(role.header.version, &file));
            }
            self.write_images(&tree, role);
        }
        let file = self.sign(self.targets.to_payload(), &self.root.keys);
        tree.write("metadata/targets.json", &file);
        self.write_images(&tree, &self.targets);
        snapshot.set_role("targets", MetaFile::describing(1, &file));

        let file = self.sign(snapshot.to_payload(), &self.root.keys);
        tree.write("metadata/snapshot.json", &file);
        let mut timestamp = Timestamp::new(in_days(30), MetaFile::describing(1, &file));
        timestamp.other_meta = self.timestamp_extra.clone();
        let file = self.sign(timestamp.to_payload(), &self.root.keys);
        tree.write("metadata/timestamp.json", &file);
        tree
    }

    fn sign(&self, payload: String, keys: &BTreeMap<KeyId, Key>) -> Vec<u8> {
        let mut file = Unsigned::new(payload);
        let signature = self.signer.sign(file.payload()).expect("signs");
        let mine = |key: &Key| key.public().as_ref() == Some(self.signer.public_key());
        for (id, _) in keys.iter().filter(|(_, key)| mine(key)) {
            file.add_signature(id.clone(), signature.clone());
        }
        file.to_file()
    }

    fn write_images(&self, tree: &Tree, role: &TargetsBuilder) {
        for path in role.targets.keys() {
            let name = path.as_str();
            let bytes = name.as_bytes();
            tree.write(&format!("targets/{name}"), bytes);
            if self.root.consistent_snapshot {
                let hash = Hashes::of(bytes).sha256.expect("SHA-256");
                let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                tree.write(&format!("targets/{}", path.with_prefix(&hash)), bytes);
            }
        }
    }
}

fn list<'a>(role: &'a mut TargetsBuilder, name: &str) -> &'a mut TargetFile {
    let path = TargetPath::new(name).expect("a target path");
    role.targets
        .entry(path)
        .or_insert_with(|| TargetFile::describing(name.as_bytes()))
}
