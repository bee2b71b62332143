//! Repositories published by tough's editor. It does not edit Root, so Root is made of tough's
//! types, in tough's canonical form, and signed by
//! tough's key sources here.

use std::collections::HashMap;
use std::fs;
use std::num::NonZeroU64;
use std::path::PathBuf;

use aws_lc_rs::rand::SystemRandom;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tough::editor::RepositoryEditor;
use tough::editor::signed::PathExists;
use tough::schema::decoded::{Decoded, Hex};
use tough::schema::key::Key;
use tough::schema::{PathPattern, PathSet, Role as _, RoleKeys, RoleType, Root, Signature, Signed};

use crate::keys::{Keys, Kind};
use crate::tree::{self, Images, Tree};

type ToughResult<T> = Result<T, tough::error::Error>;

/// What a repository of tough looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) delegated: bool,
    pub(crate) consistent: bool,
}

pub(crate) struct ToughRepository {
    folder: TempDir,
    keys: Keys,
    shape: Shape,
    /// What Targets lists.
    own: Images,
    /// What the delegated role lists.
    supplied: Images,
}

/// Keys by id, as tough lists them.
type KeyList = HashMap<Decoded<Hex>, Key>;

impl ToughRepository {
    /// With an image, or two where the shape has a delegation.
    pub(crate) fn new(shape: Shape) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let keys = Keys::new(folder.path(), shape.kind);
        Self::with_keys(shape, folder, keys)
    }

    /// As [`new`](Self::new), with keys in tokens, which tough's editor uses through ours.
    pub(crate) fn in_tokens(shape: Shape) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let keys = Keys::in_tokens(folder.path(), shape.kind);
        Self::with_keys(shape, folder, keys)
    }

    fn with_keys(shape: Shape, folder: TempDir, keys: Keys) -> Self {
        let mut repository = Self {
            keys,
            folder,
            shape,
            own: Images::new(),
            supplied: Images::new(),
        };
        repository.add("kernel.img", b"kernel");
        if shape.delegated {
            let image = ("brake-1.img".to_owned(), b"brakes".to_vec());
            repository.supplied.extend([image]);
        }
        repository
    }

    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) {
        self.own.insert(name.into(), bytes.into());
    }

    pub(crate) fn images(&self) -> Images {
        self.own
            .clone()
            .into_iter()
            .chain(self.supplied.clone())
            .collect()
    }

    pub(crate) fn tree(&self) -> Tree {
        Tree::at(self.folder.path().join("published"))
    }

    /// Publishes the first release.
    pub(crate) fn publish(&self) {
        self.release(1, ["root-1", "root-2"], "online-1", &[]);
    }

    /// Publishes a second release, in which one root key and the online key are others.
    pub(crate) fn rotate(&self) {
        self.release(2, ["root-2", "root-3"], "online-2", &["root-1"]);
    }

    fn release(&self, version: u64, roots: [&str; 2], online: &str, outgoing: &[&str]) {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let release = async {
            let root = self.root(version, &roots, online).await;
            let signers = [&roots, outgoing].concat();
            let root = self.write_root(root, &signers).await;
            self.edit(root, version, online).await
        };
        runtime.block_on(release).expect("tough publishes");
    }

    async fn root(&self, version: u64, roots: &[&str], online: &str) -> Root {
        let mut keys = KeyList::new();
        let mut roles = HashMap::new();
        for (role, names) in [
            (RoleType::Root, roots),
            (RoleType::Targets, &["targets"]),
            (RoleType::Snapshot, &[online]),
            (RoleType::Timestamp, &[online]),
        ] {
            let own = self.listed(names).await;
            let role_keys = RoleKeys {
                keyids: own.keys().cloned().collect(),
                threshold: number(own.len() as u64),
                _extra: HashMap::new(),
            };
            roles.insert(role, role_keys);
            keys.extend(own);
        }
        Root {
            spec_version: "1.0.0".into(),
            consistent_snapshot: self.shape.consistent,
            version: number(version),
            expires: expires(),
            keys,
            roles,
            _extra: HashMap::new(),
        }
    }

    async fn listed(&self, names: &[&str]) -> KeyList {
        let mut keys = KeyList::new();
        for source in self.keys.sources(names) {
            let key = source.as_sign().await.expect("a key").tuf_key();
            keys.insert(key.key_id().expect("a key id"), key);
        }
        keys
    }

    async fn write_root(&self, root: Root, signers: &[&str]) -> PathBuf {
        let payload = root.canonical_form().expect("canonical");
        let mut signatures = Vec::new();
        for source in self.keys.sources(signers) {
            let key = source.as_sign().await.expect("a key");
            let signature = key.sign(&payload, &SystemRandom::new()).await;
            signatures.push(Signature {
                keyid: key.tuf_key().key_id().expect("a key id"),
                sig: signature.expect("signs").into(),
            });
        }
        let signed = Signed {
            signed: root,
            signatures,
        };
        let path = self.folder.path().join("root.json");
        let text = serde_json::to_vec_pretty(&signed).expect("JSON");
        fs::write(&path, text).expect("a root");
        path
    }

    async fn edit(&self, root: PathBuf, version: u64, online: &str) -> ToughResult<()> {
        let (number, expires) = (number(version), expires());
        let mut editor = RepositoryEditor::new(root).await?;
        editor.targets_version(number)?.targets_expires(expires)?;
        editor
            .add_target_paths(self.files("own", &self.own))
            .await?;
        if self.shape.delegated {
            let keys = self.keys.sources(&["supplier"]);
            let paths = PathSet::Paths(vec![PathPattern::new("brake-*").expect("a pattern")]);
            editor
                .delegate_role(
                    "supplier",
                    &keys,
                    paths,
                    true,
                    NonZeroU64::MIN,
                    expires,
                    number,
                )
                .await?;
            editor
                .sign_targets_editor(&self.keys.sources(&["targets"]))
                .await?;
            editor.change_delegated_targets("supplier")?;
            editor.targets_version(number)?.targets_expires(expires)?;
            editor
                .add_target_paths(self.files("supplied", &self.supplied))
                .await?;
            editor.sign_targets_editor(&keys).await?;
        }
        editor.snapshot_version(number).snapshot_expires(expires);
        editor.timestamp_version(number).timestamp_expires(expires);
        let signed = editor
            .sign(&self.keys.sources(&["targets", online]))
            .await?;
        let tree = self.tree();
        for images in ["own", "supplied"] {
            let from = self.folder.path().join(images);
            if from.exists() {
                signed
                    .copy_targets(from, tree.targets(), PathExists::Skip)
                    .await?;
            }
        }
        signed.write(tree.metadata()).await
    }

    /// The images as files, which is how tough takes them.
    fn files(&self, folder: &str, images: &Images) -> Vec<PathBuf> {
        let folder = self.folder.path().join(folder);
        fs::create_dir_all(&folder).expect("a folder");
        let file = |(name, bytes): (&String, &Vec<u8>)| {
            let path = folder.join(name);
            fs::write(&path, bytes).expect("an image");
            path
        };
        images.iter().map(file).collect()
    }
}

fn number(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).expect("not zero")
}

/// To the second, as tough writes it.
fn expires() -> Timestamp {
    Timestamp::from_second(tree::in_days(30).unix()).expect("a time")
}
