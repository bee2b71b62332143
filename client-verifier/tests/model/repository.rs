//! An honest repository in memory, with everything that it ever published.
//!
//! Targets delegates `d/*` to `vendor`, which delegates `d/s*` to `sub`; each of the three lists
//! one image.

use std::collections::{BTreeMap, BTreeSet};

use countersign_metadata::{
    DelegatedRole, Delegations, Header, MetaFile, PathSet, RoleType, Roles, Root, Snapshot,
    TargetFile, TargetPath, TargetsBuilder, Timestamp, UtcTime,
};
use countersign_verifier::RemoteName;

use super::keys::{Signer, by_id, role_keys, signed};

/// The top-level roles, then the delegated ones.
pub(crate) const ROLES: [&str; 6] = ["root", "timestamp", "snapshot", "targets", "vendor", "sub"];

/// The roles that list images, and the image of each.
pub(crate) const IMAGES: [(&str, &str); 3] = [
    ("targets", "top.img"),
    ("vendor", "d/vendor.img"),
    ("sub", "d/sub.img"),
];

const HOUR: i64 = 3600;
/// What is published stays fresh for this long.
pub(crate) const FRESH_HOURS: i64 = 24;

/// What becomes of a file in the next publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The same version and content, signed anew.
    Resign,
    /// The next version.
    Next,
}

/// What clients could get at one time.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) now: UtcTime,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The names of the newest file of each role, in the order of [`ROLES`].
    pub(crate) newest: Vec<String>,
    /// Versions of root, timestamp, snapshot and targets.
    pub(crate) versions: [u64; 4],
    /// In the order of [`IMAGES`].
    pub(crate) images: Vec<TargetFile>,
}

pub(crate) struct Repository {
    with_hashes: bool,
    now: UtcTime,
    keys: BTreeMap<&'static str, Vec<Signer>>,
    next_key: u64,
    root: Root,
    timestamp: Timestamp,
    snapshot: Snapshot,
    targets: BTreeMap<&'static str, TargetsBuilder>,
    changes: BTreeMap<&'static str, Change>,
    files: BTreeMap<String, Vec<u8>>,
    newest: BTreeMap<&'static str, String>,
    /// Every payload that was published, by role.
    pub(crate) ever: BTreeSet<(&'static str, String)>,
    /// Root versions that took a key away from a role.
    pub(crate) taken_away: Vec<(u64, &'static str)>,
    pub(crate) states: Vec<Published>,
}

impl Repository {
    pub(crate) fn new(consistent: bool, with_hashes: bool) -> Self {
        let now = "2030-01-01T00:00:00Z".parse().unwrap();
        Self::starting_at(now, consistent, with_hashes)
    }

    pub(crate) fn starting_at(now: UtcTime, consistent: bool, with_hashes: bool) -> Self {
        let mut repository = Self {
            with_hashes,
            now,
            keys: BTreeMap::new(),
            next_key: 0,
            root: Root::new(now, consistent),
            timestamp: Timestamp::new(now, MetaFile::version(1)),
            snapshot: Snapshot::new(now),
            targets: BTreeMap::new(),
            changes: BTreeMap::new(),
            files: BTreeMap::new(),
            newest: BTreeMap::new(),
            ever: BTreeSet::new(),
            taken_away: Vec::new(),
            states: Vec::new(),
        };
        repository.root.header.version = 0;
        repository.timestamp.header.version = 0;
        repository.snapshot.header.version = 0;
        for role in ROLES {
            let key = repository.new_key();
            repository.keys.insert(role, vec![key]);
        }
        for (role, _) in IMAGES {
            let mut builder = TargetsBuilder::new(now);
            builder.header.version = 0;
            repository.targets.insert(role, builder);
            repository.set_image(role, 0);
        }
        repository.delegate_again();
        repository.publish_root(&[]);
        repository.publish();
        repository
    }

    pub(crate) fn new_key(&mut self) -> Signer {
        self.next_key += 1;
        Signer::number(self.next_key)
    }

    pub(crate) fn pass(&mut self, hours: i64) {
        self.now = self.now.plus_seconds(hours * HOUR).unwrap();
    }

    /// `role` lists its image with this byte as its content.
    pub(crate) fn set_image(&mut self, role: &'static str, content: u8) {
        self.set_image_bytes(role, &[content]);
    }

    pub(crate) fn set_image_bytes(&mut self, role: &'static str, image: &[u8]) {
        let (_, path) = IMAGES.into_iter().find(|(r, _)| *r == role).unwrap();
        let builder = self.targets.get_mut(role).unwrap();
        let path = TargetPath::new(path).unwrap();
        let file = TargetFile::describing(image);
        builder.targets.insert(path, file);
        self.changes.insert(role, Change::Next);
    }

    /// Gives `role` other keys; its file is then signed anew or published as the next version.
    pub(crate) fn change_keys(
        &mut self,
        role: &'static str,
        change: Change,
        edit: impl FnOnce(&mut Vec<Signer>, Signer),
    ) {
        let fresh = self.new_key();
        let old = self.keys[role].clone();
        edit(self.keys.get_mut(role).unwrap(), fresh);
        if role != "root" {
            // A change to the next version is not taken back.
            self.changes.entry(role).or_insert(change);
        }
        if RoleType::from_name(role).is_none() {
            self.delegate_again();
            return;
        }
        let new = by_id(&self.keys[role]);
        if old.iter().any(|signer| !new.contains_key(&signer.key.id())) {
            self.taken_away.push((self.root.header.version + 1, role));
        }
        let old_root_keys = if role == "root" { old } else { Vec::new() };
        self.publish_root(&old_root_keys);
    }

    /// A version of `role` far ahead is published, by a thief or by mistake. Then keys are replaced
    /// such that clients forget it, and the honest versions go on.
    pub(crate) fn survive_fast_forward(&mut self, role: &'static str, thief: bool) {
        const FAR: u64 = 1 << 40;
        self.changes.insert(role, Change::Next);
        let honest = self.header(role).version;
        self.header(role).version += FAR;
        self.publish();
        self.header(role).version = honest + 1;
        self.changes.insert(role, Change::Next);
        let replaced: &[&'static str] = match (role, thief) {
            ("timestamp", _) => &["timestamp"],
            ("snapshot", true) => &["timestamp", "snapshot"],
            // A Timestamp that names the version must not be replayed to clients that forgot it:
            // it has to be of a former key, or expired.
            ("snapshot", false) => {
                self.pass(FRESH_HOURS + 1);
                &["snapshot"]
            }
            // Snapshot listed the version.
            ("targets", true) => &["targets", "snapshot"],
            ("vendor", true) => &["vendor", "snapshot"],
            ("sub", true) => &["sub", "snapshot"],
            _ => &["snapshot"],
        };
        for role in replaced {
            self.change_keys(role, Change::Next, |keys, fresh| *keys = vec![fresh]);
        }
    }

    pub(crate) fn header(&mut self, role: &str) -> &mut Header {
        match role {
            "timestamp" => &mut self.timestamp.header,
            "snapshot" => &mut self.snapshot.header,
            _ => &mut self.targets.get_mut(role).unwrap().header,
        }
    }

    /// The next Root, signed with the keys of Root now and `also`.
    pub(crate) fn publish_root(&mut self, also: &[Signer]) {
        self.root = self.root.next(self.in_hours(365 * 24));
        let top = &ROLES[..4];
        self.root.keys = by_id(top.iter().flat_map(|role| &self.keys[role]));
        for role in top {
            let kind = RoleType::from_name(role).unwrap();
            let keys = role_keys(&self.keys[role]);
            self.root.roles.insert(kind, keys);
        }
        let version = self.root.header.version;
        let signers = self.keys["root"].iter().chain(also);
        let file = signed(self.root.to_payload(), signers);
        let payload = self.root.to_payload();
        self.put("root", RemoteName::Root(version), payload, file);
    }

    /// Publishes what changed and what expires soon, and then the Timestamp.
    pub(crate) fn publish(&mut self) {
        if self.root.header.expires <= self.in_hours(FRESH_HOURS) {
            self.publish_root(&[]);
        }
        let mut listed_anew = false;
        for (role, _) in IMAGES {
            listed_anew |= self.publish_targets(role);
        }
        self.publish_snapshot(listed_anew);
        let snapshot = &self.files[&self.newest["snapshot"]];
        let entry = self.entry(self.snapshot.header.version, snapshot);
        self.timestamp = self.timestamp.next(self.in_hours(FRESH_HOURS + 1), entry);
        let payload = self.timestamp.to_payload();
        let file = signed(payload.clone(), &self.keys["timestamp"]);
        self.put("timestamp", RemoteName::Timestamp, payload, file);
        self.changes.clear();
        self.record();
    }

    fn publish_targets(&mut self, role: &'static str) -> bool {
        let expires = self.in_hours(90 * 24);
        let Some(change) = self.change_of(role, self.targets[role].header.expires) else {
            return false;
        };
        let builder = self.targets.get_mut(role).unwrap();
        if change == Change::Next {
            builder.header = builder.header.next(expires);
        }
        let (version, payload) = (builder.header.version, builder.to_payload());
        let file = signed(payload.clone(), &self.keys[role]);
        let entry = self.entry(version, &file);
        let changed = self.snapshot.role(role).as_ref() != Some(&entry);
        self.snapshot.set_role(role, entry);
        let name = RemoteName::Targets(role.into(), self.prefix(version));
        self.put(role, name, payload, file);
        changed
    }

    fn publish_snapshot(&mut self, listed_anew: bool) {
        let change = match self.change_of("snapshot", self.snapshot.header.expires) {
            _ if listed_anew => Change::Next,
            Some(change) => change,
            None => return,
        };
        if change == Change::Next {
            self.snapshot = self.snapshot.next(self.in_hours(7 * 24));
        }
        let (version, payload) = (self.snapshot.header.version, self.snapshot.to_payload());
        let file = signed(payload.clone(), &self.keys["snapshot"]);
        let name = RemoteName::Snapshot(self.prefix(version));
        self.put("snapshot", name, payload, file);
    }

    fn change_of(&self, role: &str, expires: UtcTime) -> Option<Change> {
        match expires <= self.in_hours(FRESH_HOURS) {
            true => Some(Change::Next),
            false => self.changes.get(role).copied(),
        }
    }

    /// Brings the keys of delegated roles into the files that delegate to them.
    fn delegate_again(&mut self) {
        for (delegator, role, pattern) in [("targets", "vendor", "d/*"), ("vendor", "sub", "d/s*")]
        {
            let signers = &self.keys[role];
            let delegations = Delegations {
                keys: by_id(signers),
                roles: Roles::Listed(vec![
                    DelegatedRole {
                        name: role.into(),
                        role_keys: role_keys(signers),
                        paths: PathSet::Patterns(vec![pattern.into()]),
                        hardware_ids: None,
                        terminating: false,
                        extra: Default::default(),
                    }
                    .into(),
                ]),
                extra: Default::default(),
            };
            let builder = self.targets.get_mut(delegator).unwrap();
            if builder.delegations.as_ref() != Some(&delegations) {
                builder.delegations = Some(delegations);
                self.changes.insert(delegator, Change::Next);
            }
        }
    }

    fn record(&mut self) {
        let version = |header: &Header| header.version;
        let image = |(role, path): (&str, &str)| {
            let path = TargetPath::new(path).unwrap();
            self.targets[role].targets[&path].clone()
        };
        self.states.push(Published {
            now: self.now,
            files: self.files.clone(),
            newest: ROLES.iter().map(|role| self.newest[role].clone()).collect(),
            versions: [
                version(&self.root.header),
                version(&self.timestamp.header),
                version(&self.snapshot.header),
                version(&self.targets["targets"].header),
            ],
            images: IMAGES.into_iter().map(image).collect(),
        });
    }

    fn put(&mut self, role: &'static str, name: RemoteName, payload: String, file: Vec<u8>) {
        self.ever.insert((role, payload));
        self.newest.insert(role, name.file_name());
        self.files.insert(name.file_name(), file);
    }

    fn entry(&self, version: u64, file: &[u8]) -> MetaFile {
        match self.with_hashes {
            true => MetaFile::describing(version, file),
            false => MetaFile::version(version),
        }
    }

    fn prefix(&self, version: u64) -> Option<u64> {
        self.root.consistent_snapshot.then_some(version)
    }

    fn in_hours(&self, hours: i64) -> UtcTime {
        self.now.plus_seconds(hours * HOUR).unwrap()
    }
}
