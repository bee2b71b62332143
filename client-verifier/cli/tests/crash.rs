//! The command, killed at every point between two effects on the disk, and run again.
//!
//! Needs the feature `crash-points`, which no shipped binary has.

#![cfg(feature = "crash-points")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

#[path = "../../tests/model/mod.rs"]
mod model;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use model::repository::{Change, Published, Repository};

const IMAGE: &str = "d/vendor.img";
const SIGABRT: i32 = 6;

/// A published state as files that a `file:` URL can name.
struct Site {
    directory: PathBuf,
    state: Published,
    image: Vec<u8>,
}

impl Site {
    fn write(directory: PathBuf, state: &Published, image: &[u8]) -> Self {
        for (name, bytes) in &state.files {
            write(&directory.join("metadata").join(name), bytes);
        }
        let hash = state.images[1].hashes.sha256.unwrap();
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        write(
            &directory.join(format!("targets/d/{hash}.vendor.img")),
            image,
        );
        Self {
            directory,
            state: state.clone(),
            image: image.to_vec(),
        }
    }

    fn url(&self, part: &str) -> String {
        format!("file://{}/{part}", self.directory.display())
    }

    /// The newest file of a role: 0 root, 1 timestamp, then snapshot, targets, vendor.
    fn newest(&self, role: usize) -> &[u8] {
        &self.state.files[&self.state.newest[role]]
    }
}

/// A device's disk: `D` with the metadata, `T` with the images.
struct Device(PathBuf);

impl Device {
    fn command(&self, die_at: Option<u64>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_client-verifier"));
        command.args(["--format", "json", "--metadata-dir"]);
        command.arg(self.0.join("D"));
        command.env_remove("COUNTERSIGN_CRASH_POINT");
        if let Some(point) = die_at {
            command.env("COUNTERSIGN_CRASH_POINT", point.to_string());
        }
        command
    }

    fn init(&self, root: &Path, die_at: Option<u64>) -> Output {
        let mut command = self.command(die_at);
        command.arg("init").arg(root).output().unwrap()
    }

    fn download(&self, site: &Site, die_at: Option<u64>) -> Output {
        let mut command = self.command(die_at);
        command.args(["--metadata-url", &site.url("metadata")]);
        command.args(["--target-base-url", &site.url("targets")]);
        command.arg("--target-dir").arg(self.0.join("T"));
        command.args(["--target-name", IMAGE, "download"]);
        command.output().unwrap()
    }

    /// What another run would find.
    fn copy_to(&self, to: PathBuf) -> Device {
        copy_tree(&self.0, &to);
        Device(to)
    }

    fn trusts(&self, name: &str, bytes: &[u8]) -> bool {
        fs::read(self.0.join("D").join(name)).is_ok_and(|found| found == bytes)
    }

    /// The newest of everything is there, as served, and nothing is left over.
    fn assert_newest(&self, site: &Site, when: &str) {
        let files = ["root", "timestamp", "snapshot", "targets", "vendor"];
        for (role, name) in files.iter().enumerate() {
            let name = format!("{name}.json");
            assert!(self.trusts(&name, site.newest(role)), "{name} {when}");
        }
        let expected: BTreeSet<String> = ["root_history", "state"]
            .into_iter()
            .map(String::from)
            .chain(files.map(|name| format!("{name}.json")))
            .collect();
        assert_eq!(names_in(&self.0.join("D")), expected, "{when}");
        assert_eq!(
            names_in(&self.0.join("T")),
            BTreeSet::from(["d".into()]),
            "{when}"
        );
        let images = names_in(&self.0.join("T/d"));
        assert_eq!(images, BTreeSet::from(["vendor.img".into()]), "{when}");
        assert_eq!(
            fs::read(self.0.join("T").join(IMAGE)).unwrap(),
            site.image,
            "{when}"
        );
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn names_in(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_tree(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn assert_success(output: &Output, when: &str) {
    assert!(output.status.success(), "{when}: {output:?}");
}

/// Code name and role of a refusal.
fn refusal(output: &Output) -> (String, String) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |name: &str| object[name].as_str().unwrap().to_owned();
    (text("name"), text("role"))
}

/// Far enough away that the system's clock never reaches what is published.
fn repository(image: &[u8]) -> Repository {
    let mut repository =
        Repository::starting_at("2190-01-01T00:00:00Z".parse().unwrap(), true, true);
    repository.set_image_bytes("vendor", image);
    repository.publish();
    repository
}

/// Updates a device from one release to the next, dying at every point. `rotated` is the role
/// whose keys the next release replaces, and `rollback` says, of a device that died, how it must
/// refuse the first release afterwards; `None` if it may still believe it.
fn die_everywhere(
    rotated: &'static str,
    rollback: impl Fn(&Device, &Site) -> Option<&'static str>,
) {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    // Several times the pieces in which an image is written.
    let (first, second) = (vec![1; 300_000], vec![2; 300_001]);
    let mut repository = repository(&first);
    let old = Site::write(at("old"), repository.states.last().unwrap(), &first);
    repository.set_image("targets", 9);
    repository.set_image_bytes("vendor", &second);
    repository.change_keys(rotated, Change::Next, |keys, fresh| *keys = vec![fresh]);
    repository.publish();
    let new = Site::write(at("new"), repository.states.last().unwrap(), &second);

    let updated = Device(at("updated"));
    fs::create_dir_all(updated.0.join("T")).unwrap();
    assert_success(
        &updated.init(&old.directory.join("metadata/1.root.json"), None),
        "init",
    );
    assert_success(&updated.download(&old, None), "the first release");
    updated.assert_newest(&old, "at first");

    let mut point = 0;
    let mut refused = 0;
    loop {
        point += 1;
        let when = format!("after dying at point {point}");
        let device = updated.copy_to(at("device"));
        let output = device.download(&new, Some(point));
        let finished = output.status.success();
        assert!(
            finished || output.status.signal() == Some(SIGABRT),
            "{when}: {output:?}"
        );

        let attacked = device.copy_to(at("attacked"));
        let output = attacked.download(&old, None);
        match rollback(&device, &new) {
            Some(code) => {
                assert_eq!(
                    refusal(&output),
                    (code.into(), "timestamp".into()),
                    "{when}"
                );
                refused += 1;
            }
            None => assert_success(&output, &when),
        }
        assert_success(&attacked.download(&new, None), &when);
        attacked.assert_newest(&new, &format!("{when} and a rollback"));

        assert_success(&device.download(&new, None), &when);
        device.assert_newest(&new, &when);
        for used in [device, attacked] {
            fs::remove_dir_all(used.0).unwrap();
        }
        if finished {
            break;
        }
    }
    // Root in two places, four files with a note each, 5 points in each write; then the image.
    assert!(
        point > 50 && refused > 20,
        "{point} points, {refused} rollbacks refused"
    );
}

#[test]
fn killed_anywhere_while_root_keys_rotate_a_client_comes_through() {
    die_everywhere("root", |device, new| {
        let saved = device.trusts("timestamp.json", new.newest(1));
        saved.then_some("version-rollback")
    });
}

#[test]
fn killed_anywhere_while_timestamp_keys_rotate_a_client_comes_through() {
    die_everywhere("timestamp", |device, new| {
        let saved = device.trusts("root.json", new.newest(0));
        saved.then_some("signature-threshold")
    });
}

#[test]
fn killed_anywhere_in_init_it_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let image = [1];
    let repository = repository(&image);
    let site = Site::write(
        dir.path().join("site"),
        repository.states.last().unwrap(),
        &image,
    );
    let root = site.directory.join("metadata/1.root.json");
    let mut point = 0;
    loop {
        point += 1;
        let device = Device(dir.path().join(format!("device-{point}")));
        fs::create_dir_all(device.0.join("T")).unwrap();
        let finished = device.init(&root, Some(point)).status.success();
        let when = format!("init after dying at point {point}");
        assert_success(&device.init(&root, None), &when);
        assert_success(&device.download(&site, None), &when);
        device.assert_newest(&site, &when);
        if finished {
            break;
        }
    }
    assert!(point > 10, "{point} points");
}
