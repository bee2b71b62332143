//! A repository in memory that publishes wrong things when it is told to.

use std::collections::BTreeMap;
use std::rc::Rc;

use countersign_metadata::json::{Object, Value, parse};
use countersign_metadata::{
    Header, MetaFile, RoleKeys, RoleType, Root, Snapshot, TargetFile, TargetPath, TargetsBuilder,
    Timestamp, UtcTime, canonical,
};
use countersign_verifier::RemoteName;

use crate::keys::{Signer, by_id, role_keys, signed};

/// What a server has, by file name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

const TOP: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];
const HOUR: i64 = 3600;

/// What is done to the next file of a role.
#[derive(Clone)]
enum Trick {
    /// Its content is changed before it is signed.
    Edit(Rc<dyn Fn(&mut Object)>),
    /// These sign it, and nobody else.
    SignedBy(Vec<Signer>),
    /// The file is changed before anybody describes it.
    Write(Rc<dyn Fn(String) -> String>),
    /// What is served is not what was published; `None` is nothing.
    Serve(Rc<dyn Fn(Vec<u8>) -> Option<Vec<u8>>>),
}

/// What Snapshot says of Targets files.
#[derive(Clone, Copy)]
pub(crate) enum Lists {
    /// All that Uptane 5.2.4 asks for.
    Versions,
    /// Their hashes too.
    Hashes,
}

#[derive(Clone)]
pub(crate) struct Repo {
    pub(crate) now: UtcTime,
    /// Of top-level and delegated roles.
    pub(crate) keys: BTreeMap<String, Vec<Signer>>,
    /// Where it is not one in two.
    pub(crate) thresholds: BTreeMap<String, u32>,
    pub(crate) root: Root,
    pub(crate) timestamp: Timestamp,
    pub(crate) snapshot: Snapshot,
    pub(crate) targets: BTreeMap<String, TargetsBuilder>,
    pub(crate) files: Files,
    pub(crate) snapshot_lists: Lists,
    former_root_keys: Vec<Signer>,
    tricks: Vec<(String, Trick)>,
    next_key: u64,
}

impl Repo {
    /// Its top-level roles have a key each; nothing is published yet.
    pub(crate) fn new(now: UtcTime, first_key: u64) -> Self {
        let mut repo = Self {
            now,
            keys: BTreeMap::new(),
            thresholds: BTreeMap::new(),
            root: Root::new(now, true),
            timestamp: Timestamp::new(now, MetaFile::version(1)),
            snapshot: Snapshot::new(now),
            targets: BTreeMap::new(),
            files: BTreeMap::new(),
            snapshot_lists: Lists::Versions,
            former_root_keys: Vec::new(),
            tricks: Vec::new(),
            next_key: first_key,
        };
        for header in [
            &mut repo.root.header,
            &mut repo.timestamp.header,
            &mut repo.snapshot.header,
        ] {
            header.version = 0;
        }
        for role in TOP {
            repo.add_key(role);
        }
        repo.add_role("targets");
        repo
    }

    pub(crate) fn new_key(&mut self) -> Signer {
        self.next_key += 1;
        Signer::number(self.next_key)
    }

    /// A key more for `role`.
    pub(crate) fn add_key(&mut self, role: &str) -> Signer {
        let key = self.new_key();
        self.keys.entry(role.into()).or_default().push(key.clone());
        key
    }

    /// An empty Targets file for `role`.
    pub(crate) fn add_role(&mut self, role: &str) {
        let mut builder = TargetsBuilder::new(self.now);
        builder.header.version = 0;
        self.targets.insert(role.into(), builder);
    }

    /// `role` lists an image.
    pub(crate) fn list(&mut self, role: &str, path: &str, file: TargetFile) {
        let path = TargetPath::new(path).unwrap();
        self.targets(role).targets.insert(path, file);
    }

    /// What `role` says of an image, to be changed.
    pub(crate) fn listed(&mut self, role: &str, path: &str) -> &mut TargetFile {
        let builder = self.targets.get_mut(role).unwrap();
        builder.targets.get_mut(path).unwrap()
    }

    pub(crate) fn targets(&mut self, role: &str) -> &mut TargetsBuilder {
        self.targets.get_mut(role).unwrap()
    }

    pub(crate) fn header(&mut self, role: &str) -> &mut Header {
        match role {
            "root" => &mut self.root.header,
            "timestamp" => &mut self.timestamp.header,
            "snapshot" => &mut self.snapshot.header,
            _ => &mut self.targets(role).header,
        }
    }

    /// The keys and the threshold of `role`, as whoever delegates to it lists them.
    pub(crate) fn role_keys(&self, role: &str) -> RoleKeys {
        let keys = role_keys(&self.keys[role]);
        let threshold = self.thresholds.get(role).copied();
        RoleKeys {
            threshold: threshold.unwrap_or(keys.threshold),
            ..keys
        }
    }

    /// A new Root takes all keys of `roles` away and names others.
    pub(crate) fn rotate(&mut self, roles: &[&str]) {
        for role in roles {
            self.keys.remove(*role);
            self.add_key(role);
        }
        self.publish_root();
    }

    /// Changes the content of the next file of `role`.
    pub(crate) fn edit(&mut self, role: &str, edit: impl Fn(&mut Object) + 'static) {
        self.tricks.push((role.into(), Trick::Edit(Rc::new(edit))));
    }

    /// Sets one field of the next file of `role`.
    pub(crate) fn set(&mut self, role: &str, field: &'static str, value: impl Into<Value>) {
        let value = value.into();
        self.edit(role, move |signed| {
            signed.insert(field.into(), value.clone());
        });
    }

    /// Only these sign the next file of `role`.
    pub(crate) fn signed_by(&mut self, role: &str, signers: &[Signer]) {
        self.tricks
            .push((role.into(), Trick::SignedBy(signers.to_vec())));
    }

    /// Writes the next file of `role` in another way.
    pub(crate) fn write(&mut self, role: &str, change: impl Fn(String) -> String + 'static) {
        self.tricks
            .push((role.into(), Trick::Write(Rc::new(change))));
    }

    /// Something else is served than the next file of `role`; `None` is nothing.
    pub(crate) fn serve(
        &mut self,
        role: &str,
        change: impl Fn(Vec<u8>) -> Option<Vec<u8>> + 'static,
    ) {
        self.tricks
            .push((role.into(), Trick::Serve(Rc::new(change))));
    }

    /// The next Root, signed by its keys and those of the one before.
    pub(crate) fn publish_root(&mut self) {
        self.root = self.root.next(self.in_hours(365 * 24));
        self.root.keys = by_id(TOP.iter().flat_map(|role| &self.keys[*role]));
        for role in TOP {
            let kind = RoleType::from_name(role).unwrap();
            self.root.roles.insert(kind, self.role_keys(role));
        }
        let mut signers = self.keys["root"].clone();
        signers.extend(std::mem::take(&mut self.former_root_keys));
        self.former_root_keys = self.keys["root"].clone();
        let (version, payload) = (self.root.header.version, self.root.to_payload());
        self.put("root", version, payload, &signers);
        self.tricks.retain(|(role, _)| role != "root");
    }

    /// The next version of everything but Root.
    pub(crate) fn publish(&mut self) {
        let targets: Vec<String> = self.targets.keys().cloned().collect();
        let mut roles: Vec<&str> = targets.iter().map(String::as_str).collect();
        roles.extend(["snapshot", "timestamp"]);
        self.publish_only(&roles);
        self.tricks.clear();
    }

    /// The next version of these roles. What lists a role that is not among them says of it what
    /// it said before.
    pub(crate) fn publish_only(&mut self, roles: &[&str]) {
        let online = ["snapshot", "timestamp"];
        for role in roles.iter().filter(|role| !online.contains(role)) {
            let expires = self.in_hours(30 * 24);
            let builder = self.targets(role);
            builder.header = builder.header.next(expires);
            let (version, payload) = (builder.header.version, builder.to_payload());
            let file = self.sign(role, version, payload);
            let entry = match self.snapshot_lists {
                Lists::Versions => MetaFile::version(version),
                Lists::Hashes => MetaFile::describing(version, &file),
            };
            self.snapshot.set_role(role, entry);
        }
        let mut entry = self.timestamp.snapshot.clone();
        if roles.contains(&"snapshot") {
            self.snapshot = self.snapshot.next(self.in_hours(7 * 24));
            let (version, payload) = (self.snapshot.header.version, self.snapshot.to_payload());
            let file = self.sign("snapshot", version, payload);
            entry = MetaFile::describing(version, &file);
        }
        if roles.contains(&"timestamp") {
            self.timestamp = self.timestamp.next(self.in_hours(24), entry);
            let (version, payload) = (self.timestamp.header.version, self.timestamp.to_payload());
            self.sign("timestamp", version, payload);
        }
    }

    /// The newest file of `role` as it is served.
    pub(crate) fn file(&self, role: &str) -> Option<&Vec<u8>> {
        self.files.get(&self.newest(role))
    }

    /// Serves this as the newest file of `role`.
    pub(crate) fn serve_now(&mut self, role: &str, file: Vec<u8>) {
        let name = self.newest(role);
        self.files.insert(name, file);
    }

    fn newest(&self, role: &str) -> String {
        let version = match role {
            "root" => self.root.header.version,
            "timestamp" => self.timestamp.header.version,
            "snapshot" => self.snapshot.header.version,
            _ => self.targets[role].header.version,
        };
        name_of(role, Some(version))
    }

    /// Goes on above the versions of `other`.
    pub(crate) fn catch_up(&mut self, other: &Self) {
        let catch_up = |own: &mut Header, other: &Header| {
            own.version = own.version.max(other.version);
        };
        catch_up(&mut self.timestamp.header, &other.timestamp.header);
        catch_up(&mut self.snapshot.header, &other.snapshot.header);
        for (role, builder) in &mut self.targets {
            catch_up(&mut builder.header, &other.targets[role].header);
        }
    }

    pub(crate) fn in_hours(&self, hours: i64) -> UtcTime {
        self.now.plus_seconds(hours * HOUR).unwrap()
    }

    /// Publishes a file of `role`, signed by its keys.
    fn sign(&mut self, role: &str, version: u64, payload: String) -> Vec<u8> {
        self.put(role, version, payload, &self.keys[role].clone())
    }

    /// Publishes a file of `role`. What it was before anybody served something else.
    fn put(&mut self, role: &str, version: u64, payload: String, signers: &[Signer]) -> Vec<u8> {
        let tricks = self.tricks.iter().filter(|(of, _)| of == role);
        let tricks: Vec<Trick> = tricks.map(|(_, trick)| trick.clone()).collect();
        let (mut payload, mut signers) = (payload, signers.to_vec());
        for trick in &tricks {
            match trick {
                Trick::Edit(edit) => payload = edited(&payload, edit.as_ref()),
                Trick::SignedBy(others) => signers.clone_from(others),
                Trick::Write(_) | Trick::Serve(_) => {}
            }
        }
        let mut file = signed(payload, &signers);
        for trick in &tricks {
            if let Trick::Write(change) = trick {
                file = change(String::from_utf8(file).unwrap()).into_bytes();
            }
        }
        let mut served = Some(file.clone());
        for trick in &tricks {
            if let Trick::Serve(change) = trick {
                served = served.and_then(|file| change(file));
            }
        }
        for name in [name_of(role, Some(version)), name_of(role, None)] {
            match &served {
                Some(file) => drop(self.files.insert(name, file.clone())),
                None => drop(self.files.remove(&name)),
            }
        }
        file
    }
}

/// The name of a file; without a version where none is asked for, as on a Primary.
fn name_of(role: &str, version: Option<u64>) -> String {
    match (role, version) {
        ("root", Some(version)) => RemoteName::Root(version).file_name(),
        ("timestamp", _) => RemoteName::Timestamp.file_name(),
        ("snapshot", version) => RemoteName::Snapshot(version).file_name(),
        (role, version) => RemoteName::Targets(role.into(), version).file_name(),
    }
}

fn edited(payload: &str, edit: &dyn Fn(&mut Object)) -> String {
    let Ok(Value::Object(mut signed)) = parse(payload.as_bytes()) else {
        panic!("a payload is an object");
    };
    edit(&mut signed);
    canonical::encode(&signed.into())
}
