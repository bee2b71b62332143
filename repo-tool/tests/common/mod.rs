//! What the behaviour tests share: a repository in a temporary folder, and clients of it.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use countersign_metadata::{Key, KeyId, PathSet, RoleType, Signed, TargetPath, Targets, UtcTime};
use countersign_repo::policy::{Policy, RolePolicy, TopLevel};
use countersign_repo::{
    DelegatedKeys, Listed, NewDelegation, NewTarget, Outgoing, RepoError, Repository, Scope,
    Visibility, keys,
};
use countersign_signing::{Algorithm, KeyUri, Secrets};
use countersign_verifier::{
    Reject, RemoteName, Reply, Session, Step, StoreName, Stored, Trusted, drive,
};

pub const DAY: i64 = 86_400;

/// A repository, reopened for every operation as a command line would.
pub struct Sandbox {
    pub folder: tempfile::TempDir,
    pub now: UtcTime,
}

/// In memory where that is possible: these tests make everything durable thousands of times.
fn temporary_folder() -> tempfile::TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    in_memory.unwrap_or_else(|_| tempfile::tempdir().expect("a temporary folder"))
}

pub fn uri(name: &str) -> String {
    format!("file:keys/{name}.pem?encryption=none")
}

impl Sandbox {
    /// A folder with these keys, at a time that is neither now nor round.
    pub fn with_keys(names: &[&str]) -> Self {
        let sandbox = Self {
            folder: temporary_folder(),
            now: "2031-05-06T07:08:09Z".parse().expect("a time"),
        };
        fs::create_dir(sandbox.path().join("keys")).expect("keys/");
        for name in names {
            sandbox.make_key(name);
        }
        sandbox
    }

    /// One key per role, threshold 1, started but not signed.
    pub fn started() -> Self {
        Self::started_with(&simple_policy())
    }

    pub fn started_with(policy: &Policy) -> Self {
        let keys: Vec<String> = policy.all_keys().map(str::to_owned).collect();
        let sandbox = Self::with_keys(&[]);
        for key in &keys {
            let name = key.trim_start_matches("file:keys/");
            sandbox.make_key(name.split('.').next().expect("a name"));
        }
        Repository::init(sandbox.path(), Some(policy), sandbox.now, sandbox.secrets())
            .expect("init");
        sandbox
    }

    /// Started, signed and published.
    pub fn published() -> Self {
        let sandbox = Self::started();
        sandbox.release();
        sandbox
    }

    pub fn make_key(&self, name: &str) {
        let uri: KeyUri = uri(name).parse().expect("a URI");
        if !self.path().join(format!("keys/{name}.pem")).exists() {
            countersign_signing::generate(&uri, Algorithm::Ed25519, &self.secrets())
                .expect("a new key");
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn public(&self) -> PathBuf {
        self.path().join("published")
    }

    pub fn metadata(&self, name: &str) -> PathBuf {
        self.public().join("metadata").join(name)
    }

    pub fn secrets(&self) -> Secrets {
        Secrets::unattended(self.path())
    }

    pub fn open(&self) -> Repository {
        Repository::open(self.path(), self.now, self.secrets()).expect("opens")
    }

    pub fn later(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds).expect("a time");
    }

    /// An image on disk, outside the repository.
    pub fn image(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path().join("images").join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(&path, content).expect("an image");
        path
    }

    pub fn new_target(&self, name: &str, content: &[u8]) -> NewTarget {
        NewTarget {
            source: self.image(name, content),
            name: name.into(),
            custom: None,
            visibility: Visibility::Public,
        }
    }

    pub fn add(&self, name: &str, content: &[u8]) -> Listed {
        let new = self.new_target(name, content);
        let listed = self.open().add_targets(&[new], None).expect("adds");
        listed.into_iter().next().expect("one")
    }

    pub fn add_to(&self, role: &str, name: &str, content: &[u8]) -> Result<Listed, RepoError> {
        let new = self.new_target(name, content);
        let listed = self.open().add_targets(&[new], Some(role))?;
        Ok(listed.into_iter().next().expect("one"))
    }

    pub fn delegate(&self, from: &str, role: &str, pattern: &str) {
        self.delegate_to(from, role, pattern, role);
    }

    pub fn delegate_to(&self, from: &str, role: &str, pattern: &str, key: &str) {
        self.make_key(key);
        let delegation = NewDelegation {
            role: role.into(),
            from: from.into(),
            signers: signers(key),
            scope: Scope {
                paths: PathSet::Patterns(vec![pattern.into()]),
                hardware_ids: None,
                terminating: false,
            },
        };
        self.open().add_delegation(delegation).expect("delegates");
    }

    /// Signs and publishes everything.
    pub fn release(&self) {
        let report = self.open().sign(&[]).expect("signs");
        assert_eq!(report.missing, [""; 0]);
        let report = self.open().publish(Outgoing::Sign).expect("publishes");
        assert!(report.changed());
    }
}

pub fn signers(key: &str) -> DelegatedKeys {
    DelegatedKeys {
        keys: vec![uri(key)],
        threshold: 1,
        expires: None,
    }
}

pub fn role(keys: &[&str], threshold: u32, expires: &str) -> RolePolicy {
    RolePolicy {
        threshold,
        keys: keys.iter().map(|key| uri(key)).collect(),
        expires: expires.parse().expect("a span"),
    }
}

pub fn simple_policy() -> Policy {
    Policy::new(TopLevel {
        root: role(&["root"], 1, "365d"),
        targets: role(&["targets"], 1, "90d"),
        snapshot: role(&["snapshot"], 1, "14d"),
        timestamp: role(&["timestamp"], 1, "2d"),
    })
}

/// A client with a store in memory.
#[derive(Clone)]
pub struct Client {
    pub public: PathBuf,
    pub store: BTreeMap<StoreName, (Vec<u8>, u64)>,
}

impl Client {
    /// Trusts the first Root.
    pub fn new(sandbox: &Sandbox) -> Self {
        let root = fs::read(sandbox.metadata("1.root.json")).expect("the first root");
        Self {
            public: sandbox.public(),
            store: BTreeMap::from([(StoreName::Root, (root, 1))]),
        }
    }

    pub fn refresh(&mut self, now: UtcTime) -> Result<Trusted, Reject> {
        drive(&mut Session::refresh(now), |step| Ok(self.answer(step)))
    }

    /// The bytes of an image, verified.
    pub fn get(&mut self, name: &str, now: UtcTime) -> Result<Vec<u8>, Reject> {
        let mut trusted = self.refresh(now)?;
        let mut search = trusted.search(name);
        let listed = drive(&mut search, |step| Ok::<_, Reject>(self.answer(step)))?;
        let path = self.public.join("targets").join(listed.remote_path()?);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut stream = listed.open(now)?;
        stream.update(&bytes)?;
        stream.finish()?;
        Ok(bytes)
    }

    pub fn root_version(&self) -> u64 {
        self.store[&StoreName::Root].1
    }

    pub fn answer<T>(&mut self, step: Step<'_, T>) -> Reply {
        match step {
            Step::Load { name } => match self.store.get(&name) {
                Some((bytes, accepted_under)) => Reply::Stored(Stored {
                    bytes: bytes.clone(),
                    accepted_under: Some(*accepted_under),
                }),
                None => Reply::NotFound,
            },
            Step::LoadPart { .. } => Reply::NotFound,
            Step::Fetch { what, max_len } => self.fetch(&what, max_len),
            Step::Save {
                name,
                version,
                bytes,
                accepted_under,
                ..
            } => {
                let accepted_under = match name {
                    StoreName::Root => {
                        let history = StoreName::RootHistory(version);
                        self.store.insert(history, (bytes.to_vec(), version));
                        version
                    }
                    _ => accepted_under,
                };
                self.store.insert(name, (bytes.to_vec(), accepted_under));
                Reply::Saved
            }
            Step::Done(_) => unreachable!("the driver keeps the end"),
        }
    }

    fn fetch(&self, what: &RemoteName, max_len: u64) -> Reply {
        match fs::read(self.public.join("metadata").join(what.file_name())) {
            Ok(bytes) if bytes.len() as u64 > max_len => Reply::TooLarge,
            Ok(bytes) => Reply::Fetched(bytes),
            Err(_) => Reply::NotFound,
        }
    }
}

/// Whether the public tree has a file with this name anywhere.
pub fn target_file(sandbox: &Sandbox, path: &TargetPath, prefix: &str) -> PathBuf {
    sandbox
        .public()
        .join("targets")
        .join(path.with_prefix(prefix))
}

/// The default `rotation_grace`, and what the measuring of time may add.
pub const GRACE: i64 = 3_600 + 60;

/// Adds a new key to a role and takes the old one away.
pub fn rotate(sandbox: &Sandbox, kind: RoleType, old: &str, new: &str) -> KeyId {
    sandbox.make_key(new);
    let mut repository = sandbox.open();
    let id = repository.add_root_key(kind, &uri(new)).expect("adds");
    let old = keys::public(&uri(old), &sandbox.secrets()).expect("a key");
    let old = Key::new(&old).id();
    repository
        .remove_root_key(kind, old.as_str())
        .expect("removes");
    id
}

pub fn signatures_on(sandbox: &Sandbox, name: &str) -> Vec<KeyId> {
    let file = fs::read(sandbox.metadata(name)).expect("published");
    let signed = Signed::<Targets>::parse(file).expect("well-formed");
    signed
        .signatures()
        .iter()
        .map(|entry| entry.keyid.clone())
        .collect()
}
