use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use super::*;
use crate::crash;

const NOW: Duration = Duration::ZERO;

fn delegated(name: &str) -> StoreName {
    StoreName::Delegated(name.into())
}

fn names_in(directory: &Path) -> BTreeSet<String> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn what_was_saved_comes_back_under_the_documented_names() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path().join("deep/D");
    let mut store = DirStore::open(&d, NOW).unwrap();
    assert_eq!(store.load(&StoreName::Root).unwrap(), None);
    store.save(&StoreName::Root, b"root 3", 3).unwrap();
    for name in [
        StoreName::Timestamp,
        StoreName::Snapshot,
        StoreName::Targets,
        delegated("../x"),
    ] {
        store.save(&name, b"as served", 3).unwrap();
    }
    drop(store);

    let json: BTreeSet<_> = names_in(&d)
        .into_iter()
        .filter(|n| n.ends_with(".json"))
        .collect();
    let expected = [
        "..%2Fx.json",
        "root.json",
        "snapshot.json",
        "targets.json",
        "timestamp.json",
    ];
    assert_eq!(json, expected.map(String::from).into());
    assert_eq!(
        names_in(&d.join("root_history")),
        [String::from("3.root.json")].into()
    );
    assert_eq!(
        names_in(&d.join("state")),
        ["lock", "notes"].map(String::from).into()
    );

    let mut store = DirStore::open(&d, NOW).unwrap();
    let root = store.load(&StoreName::Root).unwrap().unwrap();
    assert_eq!(
        (root.bytes.as_slice(), root.accepted_under),
        (&b"root 3"[..], None)
    );
    let role = store.load(&delegated("../x")).unwrap().unwrap();
    assert_eq!(
        (role.bytes.as_slice(), role.accepted_under),
        (&b"as served"[..], Some(3))
    );
}

#[test]
fn a_note_never_speaks_of_other_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = DirStore::open(dir.path(), NOW).unwrap();
    store.save(&StoreName::Targets, b"one", 1).unwrap();
    fs::write(dir.path().join("targets.json"), b"two").unwrap();
    let stored = store.load(&StoreName::Targets).unwrap().unwrap();
    assert_eq!(
        (stored.bytes.as_slice(), stored.accepted_under),
        (&b"two"[..], None)
    );
    // Saving over it must not invent a version for what was there.
    for number in 0..9 {
        store.save(&StoreName::Targets, &[number], 9).unwrap();
        fs::write(dir.path().join("targets.json"), b"two").unwrap();
        let stored = store.load(&StoreName::Targets).unwrap().unwrap();
        assert_eq!(stored.accepted_under, None);
    }
}

#[test]
fn unreadable_is_an_error_with_its_path_and_not_absence() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = DirStore::open(dir.path(), NOW).unwrap();
    fs::create_dir(dir.path().join("snapshot.json")).unwrap();
    let error = store.load(&StoreName::Snapshot).unwrap_err().to_string();
    assert!(
        error.contains("snapshot.json") && error.contains("not a regular file"),
        "{error}"
    );

    // A hole, so that no disk is needed for it.
    let huge = fs::File::create(dir.path().join("timestamp.json")).unwrap();
    huge.set_len(MAX_FILE + 1).unwrap();
    assert!(store.load(&StoreName::Timestamp).is_err());
}

#[test]
fn a_name_no_file_system_holds_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = DirStore::open(dir.path(), NOW).unwrap();
    let fits = delegated(&"a".repeat(250));
    store.save(&fits, b"x", 1).unwrap();
    assert!(store.load(&fits).unwrap().is_some());
    let long = delegated(&"/".repeat(100));
    assert!(matches!(
        store.save(&long, b"x", 1),
        Err(StoreError::NameTooLong { length: 305, .. })
    ));
    assert_eq!(names_in(&dir.path().join("state/notes")).len(), 1);
}

#[test]
fn two_processes_never_share_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let first = DirStore::open(dir.path(), NOW).unwrap();
    // A lock belongs to the open file, so a second one in this process stands for another process.
    let error = DirStore::open(dir.path(), Duration::from_millis(100)).unwrap_err();
    match &error {
        StoreError::Busy { holder, waited, .. } => {
            assert_eq!(*holder, Some(std::process::id()));
            assert!(*waited >= Duration::from_millis(100));
        }
        other => panic!("{other}"),
    }
    let path = dir.path().to_owned();
    let waiting =
        std::thread::spawn(move || DirStore::open(&path, Duration::from_secs(30)).is_ok());
    std::thread::sleep(Duration::from_millis(50));
    drop(first);
    assert!(waiting.join().unwrap());
}

/// File, bytes before and after, Root versions before and after.
type Round = (StoreName, [&'static [u8]; 2], [u64; 2]);

/// The changes whose every interruption is tested.
fn rounds() -> Vec<Round> {
    vec![
        (StoreName::Root, [b"root one", b"root two"], [1, 2]),
        (
            StoreName::Timestamp,
            [b"timestamp one", b"timestamp two"],
            [1, 2],
        ),
        (
            StoreName::Snapshot,
            [b"snapshot same", b"snapshot same"],
            [1, 2],
        ),
        (delegated("a/b"), [b"role one", b"role two"], [1, 2]),
    ]
}

const CHILD_DIRECTORY: &str = "COUNTERSIGN_TEST_STORE";

/// Not a test of its own: what the killed process of the next test does.
#[test]
fn child_of_the_crash_test() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else {
        return;
    };
    let mut store = DirStore::open(Path::new(&directory), NOW).unwrap();
    for (name, bytes, versions) in rounds() {
        store.save(&name, bytes[1], versions[1]).unwrap();
    }
}

#[test]
fn killed_at_any_write_the_store_holds_old_or_new_and_the_right_note() {
    let mut points = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        let mut store = DirStore::open(dir.path(), NOW).unwrap();
        for (name, bytes, versions) in rounds() {
            store.save(&name, bytes[0], versions[0]).unwrap();
        }
        drop(store);

        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::dir::tests::child_of_the_crash_test"])
            .env(CHILD_DIRECTORY, dir.path())
            .env(crash::VARIABLE, (points + 1).to_string())
            .output()
            .unwrap();
        check_after_a_cut(dir.path());
        if child.status.success() {
            break;
        }
        points += 1;
    }
    // Root and its history, and three files with a note each: 8 files, 5 points each.
    assert_eq!(points, 40);
}

#[test]
fn a_root_is_one_file_with_two_names_and_those_before_it_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = DirStore::open(dir.path(), NOW).unwrap();
    for (version, bytes) in [
        (1, b"root 1"),
        (2, b"root 2"),
        (2, b"root 2"),
        (3, b"root 3"),
    ] {
        store.save(&StoreName::Root, bytes, version).unwrap();
        let kept = store.path_of(&StoreName::RootHistory(version)).unwrap();
        let root = store.path_of(&StoreName::Root).unwrap();
        assert_eq!(fs::read(&root).unwrap(), bytes);
        let file = |path| fs::metadata(path).unwrap().ino();
        assert_eq!(file(root), file(kept));
    }
    for version in 1..=3 {
        let kept = store.load(&StoreName::RootHistory(version)).unwrap();
        assert_eq!(kept.unwrap().bytes, format!("root {version}").into_bytes());
    }
}

#[test]
fn what_a_link_left_unfinished_is_no_way_into_the_file_that_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = DirStore::open(dir.path(), NOW).unwrap();
    store.save(&StoreName::Root, b"root 1", 1).unwrap();
    let kept = store.path_of(&StoreName::RootHistory(1)).unwrap();
    let unfinished = dir.path().join(durable::UNFINISHED);
    for (name, version) in [(StoreName::Timestamp, 1), (StoreName::Root, 2)] {
        fs::hard_link(&kept, &unfinished).unwrap();
        store.save(&name, b"another file", version).unwrap();
        assert_eq!(fs::read(&kept).unwrap(), b"root 1");
        assert!(!unfinished.exists());
    }
}

#[test]
fn without_links_a_root_is_a_file_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    // Nothing can be linked to what is not there.
    let missing = dir.path().join("missing");
    durable::link(&missing, dir.path(), "root.json", b"root 1").unwrap();
    assert_eq!(fs::read(dir.path().join("root.json")).unwrap(), b"root 1");
}

fn check_after_a_cut(directory: &Path) {
    let mut store = DirStore::open(directory, NOW).unwrap();
    let mut newest = true;
    for (name, bytes, versions) in rounds() {
        let stored = store.load(&name).unwrap().unwrap();
        let is_new = stored.bytes == bytes[1];
        assert!(is_new || stored.bytes == bytes[0], "{name:?} is neither");
        if name == StoreName::Root {
            let version = if is_new { versions[1] } else { versions[0] };
            let history = store.load(&StoreName::RootHistory(version)).unwrap();
            assert_eq!(history.unwrap().bytes, stored.bytes);
        } else if bytes[0] != bytes[1] {
            let expected = if is_new { versions[1] } else { versions[0] };
            assert_eq!(stored.accepted_under, Some(expected), "{name:?}");
        } else {
            assert!(versions.contains(&stored.accepted_under.unwrap()));
        }
        // What was saved later is never newer than what was saved before it.
        assert!(
            newest || !is_new || bytes[0] == bytes[1],
            "{name:?} overtook"
        );
        newest = is_new;
    }
    for folder in [
        directory,
        &directory.join("root_history"),
        &directory.join("state/notes"),
    ] {
        assert!(!names_in(folder).contains(durable::UNFINISHED));
    }
    // And the interrupted work can be done again.
    for (name, bytes, versions) in rounds() {
        store.save(&name, bytes[1], versions[1]).unwrap();
        assert_eq!(store.load(&name).unwrap().unwrap().bytes, bytes[1]);
        if name == StoreName::Root {
            for (version, bytes) in versions.into_iter().zip(bytes) {
                let kept = store.load(&StoreName::RootHistory(version)).unwrap();
                assert_eq!(kept.unwrap().bytes, bytes);
            }
        }
    }
}
