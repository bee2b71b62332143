//! Looking an image up without reading the Targets file that is trusted already.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod model;

use std::collections::BTreeMap;

use countersign_verifier::{
    Code, Context, ListedTarget, Protocol, Reject, Reply, Session, Step, StoreName, Stored, drive,
};
use model::repository::{Change, IMAGES, Published, Repository};

/// The image that top-level Targets lists.
const IMAGE: &str = IMAGES[0].1;

/// A client that keeps outlines, and notes what it is asked for.
struct Device {
    store: BTreeMap<StoreName, Stored>,
    steps: Vec<String>,
}

impl Device {
    fn new(root: &[u8]) -> Self {
        let stored = Stored {
            bytes: root.to_vec(),
            accepted_under: None,
        };
        let names = [StoreName::Root, StoreName::RootHistory(1)];
        Self {
            store: names.map(|name| (name, stored.clone())).into(),
            steps: Vec::new(),
        }
    }

    /// A device that has visited the newest state of this repository.
    fn that_visited(repository: &Repository) -> Self {
        let state = repository.states.last().unwrap();
        let mut device = Self::new(&state.files["1.root.json"]);
        device.find(state, IMAGE).unwrap();
        device
    }

    /// Refreshes, and looks for an image.
    fn find(&mut self, state: &Published, path: &str) -> Result<ListedTarget, Reject> {
        self.steps.clear();
        let mut trusted = self.drive(
            state,
            &mut Session::with_context(Context {
                outlines: true,
                ..Context::new(state.now)
            }),
        )?;
        assert_eq!(trusted.targets().version(), state.versions[3]);
        self.drive(state, &mut trusted.search(path))
    }

    fn drive<P: Protocol>(
        &mut self,
        state: &Published,
        session: &mut P,
    ) -> Result<P::Output, Reject> {
        drive(session, |step| {
            let (said, reply) = match step {
                Step::Load { name } => {
                    let stored = self.store.get(&name).cloned();
                    let reply = stored.map_or(Reply::NotFound, Reply::Stored);
                    (format!("load {name:?}"), reply)
                }
                Step::LoadPart { name, range } => {
                    let stored = self.store.get(&name);
                    let part = stored.and_then(|stored| stored.part(range));
                    (
                        format!("part of {name:?}"),
                        part.map_or(Reply::NotFound, Reply::part),
                    )
                }
                Step::Fetch { what, .. } => {
                    let file = state.files.get(&what.file_name()).cloned();
                    let reply = file.map_or(Reply::NotFound, Reply::Fetched);
                    (format!("fetch {}", what.role()), reply)
                }
                Step::Save {
                    name,
                    version,
                    bytes,
                    accepted_under,
                    ..
                } => {
                    let said = format!("save {name:?}");
                    let stored = Stored {
                        bytes: bytes.to_vec(),
                        accepted_under: Some(accepted_under),
                    };
                    if name == StoreName::Root {
                        let history = StoreName::RootHistory(version);
                        self.store.insert(history, stored.clone());
                    }
                    if name == StoreName::Targets {
                        self.store.remove(&StoreName::TargetsOutline);
                    }
                    self.store.insert(name, stored);
                    (said, Reply::Saved)
                }
                Step::Done(_) => unreachable!("`drive` ends there"),
            };
            self.steps.push(said);
            Ok(reply)
        })
    }

    /// What was done with top-level Targets.
    fn targets_steps(&self) -> Vec<&str> {
        let steps = self.steps.iter().map(String::as_str);
        steps
            .filter(|step| step.to_lowercase().contains("targets"))
            .collect()
    }
}

fn repository() -> Repository {
    let mut repository = Repository::new(true, true);
    repository.set_image("targets", 1);
    repository.publish();
    repository
}

const READ_WHOLE: [&str; 3] = ["load TargetsOutline", "load Targets", "save TargetsOutline"];

#[test]
fn a_file_that_is_trusted_already_is_not_read_again() {
    let repository = repository();
    let state = repository.states.last().unwrap();
    let mut device = Device::new(&state.files["1.root.json"]);
    let first = device.find(state, IMAGE).unwrap();
    assert_eq!(
        device.targets_steps(),
        [
            "load TargetsOutline",
            "load Targets",
            "fetch targets",
            "save Targets",
            "save TargetsOutline"
        ]
    );
    let again = device.find(state, IMAGE).unwrap();
    assert_eq!(
        device.targets_steps(),
        ["load TargetsOutline", "part of Targets"]
    );
    assert_eq!(again.file(), first.file());
    assert_eq!(again.valid_until(), first.valid_until());
    // Images of delegated roles, and those that nobody lists.
    for (role, path) in IMAGES {
        assert_eq!(device.find(state, path).unwrap().role(), role);
    }
    for path in ["!", "zzz", "no-such-image"] {
        let reject = device.find(state, path).unwrap_err();
        assert_eq!(reject.code, Code::TargetNotFound);
        assert!(!device.steps.contains(&"load Targets".to_owned()));
    }
}

#[test]
fn a_newer_file_needs_no_look_at_the_old_one() {
    let mut repository = repository();
    let mut device = Device::that_visited(&repository);
    repository.set_image("targets", 2);
    repository.publish();
    let state = repository.states.last().unwrap();
    device.find(state, IMAGE).unwrap();
    assert_eq!(
        device.targets_steps(),
        [
            "load TargetsOutline",
            "fetch targets",
            "save Targets",
            "save TargetsOutline"
        ]
    );
}

#[test]
fn a_damaged_file_is_fetched_again() {
    let repository = repository();
    let state = repository.states.last().unwrap();
    let mut device = Device::that_visited(&repository);
    let sound = device.find(state, IMAGE).unwrap();
    let file = device.store.get_mut(&StoreName::Targets).unwrap();
    let at = file
        .bytes
        .windows(6)
        .position(|text| text == b"length")
        .unwrap();
    file.bytes[at + 8] ^= 1;
    let found = device.find(state, IMAGE).unwrap();
    assert_eq!(found.file(), sound.file());
    let refetched = [
        "load TargetsOutline",
        "part of Targets",
        "fetch targets",
        "save Targets",
        "save TargetsOutline",
    ];
    assert_eq!(device.targets_steps(), refetched);
    // The same when it is gone, or has become shorter.
    device.store.remove(&StoreName::Targets);
    assert_eq!(device.find(state, IMAGE).unwrap().file(), sound.file());
    assert_eq!(device.targets_steps(), refetched);
    device
        .store
        .get_mut(&StoreName::Targets)
        .unwrap()
        .bytes
        .truncate(100);
    assert_eq!(device.find(state, IMAGE).unwrap().file(), sound.file());
    assert_eq!(device.targets_steps(), refetched);
    device.find(state, IMAGE).unwrap();
    assert_eq!(device.targets_steps(), refetched[..2]);
}

#[test]
fn what_is_no_outline_is_not_believed() {
    let repository = repository();
    let state = repository.states.last().unwrap();
    let mut device = Device::that_visited(&repository);
    let outline = device.store[&StoreName::TargetsOutline].bytes.clone();
    let text = String::from_utf8(outline).unwrap();
    for damaged in [
        String::new(),
        "[]".into(),
        text[..text.len() / 2].into(),
        text.replace("\"authority\":", "\"authorities\":"),
        text.replace("\"authority\":\"", "\"authority\":\"0"),
        text.replace("\"parts\":[[", "\"parts\":[[7,"),
        // Not of the file that Snapshot names.
        text.replace("\"length\":", "\"length\":1"),
    ] {
        assert_ne!(damaged, text);
        let kept = device.store.get_mut(&StoreName::TargetsOutline).unwrap();
        kept.bytes = damaged.into_bytes();
        device.find(state, IMAGE).unwrap();
        assert_eq!(device.targets_steps(), READ_WHOLE);
        device.find(state, IMAGE).unwrap();
        assert_eq!(
            device.targets_steps(),
            ["load TargetsOutline", "part of Targets"]
        );
    }
}

#[test]
fn an_outline_does_not_outlive_a_key_nor_the_file_s_time() {
    let mut repository = repository();
    let mut device = Device::that_visited(&repository);
    repository.change_keys("targets", Change::Resign, |keys, fresh| {
        keys.clear();
        keys.push(fresh);
    });
    repository.publish();
    let state = repository.states.last().unwrap();
    device.find(state, IMAGE).unwrap();
    assert!(device.targets_steps().contains(&"fetch targets"));
    device.find(state, IMAGE).unwrap();
    assert_eq!(
        device.targets_steps(),
        ["load TargetsOutline", "part of Targets"]
    );

    let kept = device.store.get_mut(&StoreName::TargetsOutline).unwrap();
    let text = String::from_utf8(kept.bytes.clone()).unwrap();
    let (before, after) = text.split_once("\"expires\":\"20").unwrap();
    kept.bytes = format!("{before}\"expires\":\"19{after}").into_bytes();
    let reject = device.find(state, IMAGE).unwrap_err();
    assert_eq!((reject.code, &*reject.role), (Code::Expired, "targets"));
}

#[test]
fn a_file_is_named_by_its_version_where_no_hash_is_listed() {
    let mut repository = Repository::new(true, false);
    repository.set_image("targets", 1);
    repository.publish();
    let state = repository.states.last().unwrap();
    let mut device = Device::that_visited(&repository);
    device.find(state, IMAGE).unwrap();
    assert_eq!(
        device.targets_steps(),
        ["load TargetsOutline", "part of Targets"]
    );
}
