//! Repositories published by `countersign-repo`.

use countersign_metadata::{PathSet, RoleType};
use countersign_repo::policy::{Listing, Policy, RolePolicy, Span, TopLevel};
use countersign_repo::{
    BinStyle, DelegatedKeys, NewBins, NewDelegation, NewTarget, Outgoing, Repository, Scope,
    Visibility,
};
use tempfile::TempDir;

use crate::keys::{Keys, Kind};
use crate::tree::{self, Images, Tree};

/// What a repository looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) layout: Layout,
    pub(crate) consistent: bool,
    pub(crate) lists: Listing,
}

/// Who lists the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Targets.
    Flat,
    /// Targets, two of two of its supplier's keys, and the supplier's factory.
    Delegated,
    /// Four bins by `path_hash_prefixes`.
    PrefixBins,
    /// Four bins by `succinct_roles` (TAP 15).
    SuccinctBins,
}

pub(crate) struct OurRepository {
    folder: TempDir,
    keys: Keys,
    layout: Layout,
    pub(crate) images: Images,
}

impl OurRepository {
    /// Publishes the first release.
    pub(crate) fn publish(shape: &Shape) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let keys = Keys::new(folder.path(), shape.kind);
        let policy = policy(&keys, shape);
        Repository::init(folder.path(), Some(&policy), tree::now(), keys.secrets()).expect("init");
        let mut repository = Self {
            folder,
            keys,
            layout: shape.layout,
            images: Images::new(),
        };
        repository.delegate();
        repository.add(None, "kernel.img", b"kernel of the first release");
        repository.add(None, "release notes, für alle.txt", b"spaces and letters");
        if !shape.consistent {
            // With consistent snapshots tough looks elsewhere: see `differences`.
            repository.add(None, "maps/europe/alps.img", b"alps");
        }
        if shape.layout == Layout::Delegated {
            repository.add(Some("supplier"), "brake-1.img", b"brakes");
            repository.add(Some("factory"), "brake-v2.img", b"better brakes");
        }
        repository.release();
        repository
    }

    /// Publishes a second release, with one root key and the key of Timestamp and Snapshot
    /// replaced by others, and an image more.
    pub(crate) fn rotate(&mut self) {
        let mut repository = self.open();
        let keys = &self.keys;
        for (role, old, new) in [
            (RoleType::Root, "root-1", "root-3"),
            (RoleType::Timestamp, "online-1", "online-2"),
            (RoleType::Snapshot, "online-1", "online-2"),
        ] {
            let old = keys.signer(old).keyid();
            repository
                .add_root_key(role, &keys.uri(new))
                .expect("a new key");
            repository
                .remove_root_key(role, old.as_str())
                .expect("an old key");
        }
        drop(repository);
        self.add(None, "kernel-2.img", b"kernel of the second release");
        self.release();
    }

    pub(crate) fn tree(&self) -> Tree {
        Tree::at(self.folder.path().join("published"))
    }

    fn open(&self) -> Repository {
        Repository::open(self.folder.path(), tree::now(), self.keys.secrets()).expect("opens")
    }

    fn add(&mut self, role: Option<&str>, name: &str, bytes: &[u8]) {
        let source = self.folder.path().join("new.img");
        std::fs::write(&source, bytes).expect("an image");
        let target = NewTarget {
            source,
            name: name.into(),
            custom: None,
            visibility: Visibility::Public,
        };
        self.open().add_targets(&[target], role).expect("adds");
        self.images.insert(name.into(), bytes.into());
    }

    fn delegate(&self) {
        let mut repository = self.open();
        let mut delegate = |role: &str, from: &str, keys: &[&str], pattern: &str| {
            let new = NewDelegation {
                role: role.into(),
                from: from.into(),
                signers: self.signers(keys),
                scope: Scope {
                    paths: PathSet::Patterns(vec![pattern.into()]),
                    hardware_ids: None,
                    terminating: role == "factory",
                },
            };
            repository.add_delegation(new).expect("delegates");
        };
        let style = match self.layout {
            Layout::Flat => return,
            Layout::Delegated => {
                delegate("supplier", "targets", &["supplier", "factory"], "brake-*");
                delegate("factory", "supplier", &["factory"], "brake-v?.img");
                return;
            }
            Layout::PrefixBins => BinStyle::HashPrefixes,
            Layout::SuccinctBins => BinStyle::Succinct,
        };
        let bins = NewBins {
            from: "targets".into(),
            prefix: "bin".into(),
            count: 4,
            style,
            signers: self.signers(&["supplier"]),
        };
        repository.add_bins(bins).expect("bins");
    }

    fn signers(&self, keys: &[&str]) -> DelegatedKeys {
        DelegatedKeys {
            keys: keys.iter().map(|key| self.keys.uri(key)).collect(),
            threshold: keys.len() as u32,
            expires: None,
        }
    }

    fn release(&self) {
        let report = self.open().sign(&[]).expect("signs");
        assert_eq!(report.missing, [""; 0]);
        let report = self.open().publish(Outgoing::Sign).expect("publishes");
        assert!(report.changed());
    }
}

fn policy(keys: &Keys, shape: &Shape) -> Policy {
    let role = |names: &[&str]| RolePolicy {
        threshold: names.len() as u32,
        keys: names.iter().map(|name| keys.uri(name)).collect(),
        expires: days(30),
    };
    Policy {
        consistent_snapshot: shape.consistent,
        refresh_before: days(1),
        snapshot_lists: shape.lists,
        timestamp_lists: shape.lists,
        ..Policy::new(TopLevel {
            root: role(&["root-1", "root-2"]),
            targets: role(&["targets"]),
            snapshot: role(&["online-1"]),
            timestamp: role(&["online-1"]),
        })
    }
}

fn days(days: i64) -> Span {
    Span::from_seconds(days * 86_400).expect("a span")
}
