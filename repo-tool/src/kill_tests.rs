//! The publisher killed, or out of disk space, at every file it touches, then run again: clients accept what they find
//! at any moment, and the second run finishes the work.

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use countersign_metadata::{Key, RoleType, UtcTime};

use self::common::{Client, DAY, Sandbox, simple_policy, uri};
use crate::crash::{CRASH_AT, CRASHED, FAIL_AT};
use crate::{
    BinStyle, DelegationChange, Due, NewBins, NewTarget, Outgoing, RepoError, Repository,
    Visibility, keys,
};

const FOLDER: &str = "COUNTERSIGN_TEST_FOLDER";
const WORK: &str = "COUNTERSIGN_TEST_WORK";
/// The exit code of a process that ran out of disk space and said so.
const FAILED: i32 = 87;

const NOW: &str = "COUNTERSIGN_TEST_NOW";

/// What the process that is killed does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Add,
    AddMany,
    Sign,
    Publish,
    PublishWithoutOldKeys,
    Refresh,
    Rekey,
}

impl Work {
    const ALL: [Self; 7] = [
        Self::Add,
        Self::AddMany,
        Self::Sign,
        Self::Publish,
        Self::PublishWithoutOldKeys,
        Self::Refresh,
        Self::Rekey,
    ];

    fn run(self, repository: &mut Repository) {
        self.try_run(repository).expect("works");
    }

    fn try_run(self, repository: &mut Repository) -> Result<(), RepoError> {
        let path = repository.folder().join("images/new");
        match self {
            Self::Add => {
                let new = NewTarget {
                    source: path,
                    name: "new".into(),
                    custom: None,
                    visibility: Visibility::Public,
                };
                drop(repository.add_targets(&[new], None)?);
            }
            Self::AddMany => {
                let new = MANY.map(|name| NewTarget {
                    source: path.with_file_name(name),
                    name: name.into(),
                    custom: None,
                    visibility: Visibility::Public,
                });
                drop(repository.add_targets(&new, None)?);
            }
            Self::Sign => drop(repository.sign(&[])?),
            Self::Publish => drop(repository.publish(Outgoing::Sign)?),
            Self::PublishWithoutOldKeys => {
                drop(repository.publish(Outgoing::Lost)?);
            }
            Self::Refresh => drop(repository.refresh(Due::Now, Outgoing::Sign)?),
            Self::Rekey => {
                let change = DelegationChange {
                    keys: Some(vec![uri("supplier2")]),
                    ..DelegationChange::default()
                };
                repository.change_delegation("supplier", change)?;
            }
        }
        Ok(())
    }
}

/// More than two batches.
const MANY: [&str; 5] = ["new", "m1", "m2", "m3", "m4"];

/// The process that is killed; does nothing when the tests are run.
#[test]
fn child() {
    let (Ok(folder), Ok(work), Ok(now)) = (
        std::env::var(FOLDER),
        std::env::var(WORK),
        std::env::var(NOW),
    ) else {
        return;
    };
    let now: UtcTime = now.parse().expect("a time");
    let secrets = countersign_signing::Secrets::unattended(&folder);
    let mut repository = Repository::open(Path::new(&folder), now, secrets).expect("opens");
    let mut works = Work::ALL.into_iter();
    let work = works.find(|known| format!("{known:?}") == work);
    if let Err(error) = work.expect("known work").try_run(&mut repository) {
        assert_eq!(error.name(), "disk-full", "{error}");
        std::process::exit(FAILED);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("lists") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&from, &to),
            false => drop(fs::copy(&from, &to).expect("copies")),
        }
    }
}

fn copy_of(sandbox: &Sandbox) -> Sandbox {
    let other = Sandbox::with_keys(&[]);
    copy(sandbox.path(), other.path());
    Sandbox {
        now: sandbox.now,
        ..other
    }
}

/// Runs `work` on copies of the sandbox, killed or out of disk space at every point in turn, and
/// hands each copy with the number of its point to `check`.
fn killed_at_every_point(sandbox: &Sandbox, work: Work, check: impl Fn(&Sandbox, usize)) {
    stopped_at_every_point(sandbox, work, (CRASH_AT, CRASHED), &check);
    stopped_at_every_point(sandbox, work, (FAIL_AT, FAILED), &check);
}

fn stopped_at_every_point(
    sandbox: &Sandbox,
    work: Work,
    (variable, code): (&str, i32),
    check: &impl Fn(&Sandbox, usize),
) {
    let mut points = 0;
    loop {
        let killed = copy_of(sandbox);
        let exe = std::env::current_exe().expect("this test");
        let child = Command::new(exe)
            .args(["--exact", "kill_tests::child", "--test-threads=1"])
            .env(FOLDER, killed.path())
            .env(WORK, format!("{work:?}"))
            .env(NOW, sandbox.now.to_string())
            .env(variable, (points + 1).to_string())
            .output()
            .expect("runs");
        match child.status.code() {
            Some(stopped) if stopped == code => points += 1,
            Some(0) => break,
            _ => panic!("{}", String::from_utf8_lossy(&child.stdout)),
        }
        check(&killed, points);
    }
    assert!(points > 3, "{work:?} has only {points} points");
}

/// Killed at any point: clients of the state before accept what they find, each of them follows
/// to what the second run makes of it, and to what comes after that.
fn check_publish(sandbox: &Sandbox, before: &Client, work: Work, expected: &[u8]) {
    let at = |killed: &Sandbox, client: &Client| Client {
        public: killed.public(),
        ..client.clone()
    };
    killed_at_every_point(sandbox, work, |killed, point| {
        let say = |what: &str| format!("{work:?} killed at {point}: {what}");
        let mut met = at(killed, before);
        let refreshed = met.refresh(killed.now);
        assert!(refreshed.is_ok(), "{}: {refreshed:?}", say("half-way"));
        let refreshed = Client::new(killed).refresh(killed.now);
        assert!(refreshed.is_ok(), "{}: {refreshed:?}", say("half-way, new"));

        // Somebody goes on editing instead of running it again.
        let other = copy_of(killed);
        other.add("after", b"after");
        other.release();
        for client in [&met, before, &Client::new(&other)] {
            let got = at(&other, client).get("after", other.now);
            assert_eq!(got.as_deref(), Ok(&b"after"[..]), "{}", say("the next"));
        }

        work.run(&mut killed.open());
        assert_eq!(killed.open().lacking().expect("looks"), [""; 0]);
        for client in [&met, before, &Client::new(killed)] {
            let got = at(killed, client).get("new", killed.now);
            assert_eq!(got.as_deref(), Ok(expected), "{}", say("run again"));
        }
        let found = crate::verify(&killed.public(), killed.now, &crate::Silent).expect("looks");
        assert!(found.faults.is_empty(), "{:?}", found.faults);
        assert!(!killed.public().join(crate::files::UNFINISHED).exists());
    });
}

/// Published, followed by a client, and with the next release signed.
fn ready(sandbox: &Sandbox) -> Client {
    sandbox.add("new", b"old");
    sandbox.release();
    let mut client = Client::new(sandbox);
    client.refresh(sandbox.now).expect("accepted");
    sandbox.add("new", b"new");
    client
}

#[test]
fn killed_while_publishing() {
    let sandbox = Sandbox::started();
    let client = ready(&sandbox);
    sandbox.delegate("targets", "supplier", "fw/*");
    sandbox.add_to("supplier", "fw/a", b"1").expect("trusted");
    sandbox.open().sign(&[]).expect("signs");
    check_publish(&sandbox, &client, Work::Publish, b"new");
}

#[test]
fn killed_while_publishing_bins() {
    let sandbox = Sandbox::started();
    let client = ready(&sandbox);
    sandbox.make_key("bins");
    let bins = NewBins {
        from: "targets".into(),
        prefix: "bin".into(),
        count: 2,
        style: BinStyle::Succinct,
        signers: common::signers("bins"),
    };
    sandbox.open().add_bins(bins).expect("stages");
    sandbox.open().sign(&[]).expect("signs");
    check_publish(&sandbox, &client, Work::Publish, b"new");
}

#[test]
fn killed_while_rotating_all_online_keys() {
    let sandbox = Sandbox::started();
    let client = ready(&sandbox);
    for role in [RoleType::Targets, RoleType::Snapshot, RoleType::Timestamp] {
        rotate(&sandbox, role);
    }
    sandbox.open().sign(&[]).expect("signs");
    check_publish(&sandbox, &client, Work::Publish, b"new");
}

fn rotate(sandbox: &Sandbox, role: RoleType) {
    let new = format!("new-{role}");
    sandbox.make_key(&new);
    let mut repository = sandbox.open();
    repository.add_root_key(role, &uri(&new)).expect("adds");
    let old = keys::public(&uri(role.name()), &sandbox.secrets()).expect("a key");
    let id = Key::new(&old).id();
    repository
        .remove_root_key(role, id.as_str())
        .expect("removes");
}

/// The old key is lost, so there is a window between two renames, and nowhere else.
#[test]
fn killed_while_rotating_without_the_old_key() {
    let sandbox = Sandbox::started();
    let before = ready(&sandbox);
    rotate(&sandbox, RoleType::Timestamp);
    fs::remove_file(sandbox.path().join("keys/timestamp.pem")).expect("lost");
    sandbox.open().sign(&[]).expect("signs what it can");
    let work = Work::PublishWithoutOldKeys;
    killed_at_every_point(&sandbox, work, |killed, point| {
        let mut met = Client {
            public: killed.public(),
            ..before.clone()
        };
        // Whether it is refused depends on the point; what it keeps must not lead astray.
        let accepted = met.refresh(killed.now).is_ok();
        let new_root = killed.metadata("2.root.json").exists();
        let undecided = !killed.path().join("state/roots/2.root.json").exists();
        assert!(
            accepted || new_root,
            "point {point}: refused outside the window"
        );
        assert!(
            !(undecided && new_root),
            "point {point}: public before it was decided"
        );
        work.run(&mut killed.open());
        for client in [&mut met, &mut Client::new(killed)] {
            let got = client.get("new", killed.now).expect("accepted");
            assert_eq!(got, b"new", "point {point}");
        }
    });
}

#[test]
fn killed_while_refreshing() {
    let mut sandbox = Sandbox::started();
    let client = ready(&sandbox);
    sandbox.open().discard(&[]).expect("discards");
    sandbox.later(DAY);
    check_publish(&sandbox, &client, Work::Refresh, b"old");
}

#[test]
fn killed_while_publishing_for_the_first_time() {
    let sandbox = Sandbox::started();
    sandbox.add("new", b"new");
    sandbox.open().sign(&[]).expect("signs");
    killed_at_every_point(&sandbox, Work::Publish, |killed, point| {
        if killed.metadata("timestamp.json").exists() {
            Client::new(killed)
                .refresh(killed.now)
                .unwrap_or_else(|error| panic!("point {point}: {error}"));
        }
        Work::Publish.run(&mut killed.open());
        let got = Client::new(killed).get("new", killed.now);
        assert_eq!(got.expect("accepted"), b"new", "point {point}");
    });
}

/// Without consistent snapshots clients may be refused while it runs; afterwards never.
#[test]
fn killed_without_consistent_snapshots() {
    let mut policy = simple_policy();
    policy.consistent_snapshot = false;
    let sandbox = Sandbox::started_with(&policy);
    let before = ready(&sandbox);
    sandbox.open().sign(&[]).expect("signs");
    killed_at_every_point(&sandbox, Work::Publish, |killed, point| {
        let client = Client {
            public: killed.public(),
            ..before.clone()
        };
        let mut met = client.clone();
        let _ = met.refresh(killed.now);
        Work::Publish.run(&mut killed.open());
        for mut client in [met, client, Client::new(killed)] {
            let got = client.get("new", killed.now).expect("accepted");
            assert_eq!(got, b"new", "point {point}");
        }
    });
}

#[test]
fn killed_while_staging_and_signing() {
    let sandbox = Sandbox::published();
    sandbox.image("new", b"new");
    killed_at_every_point(&sandbox, Work::Add, |killed, point| {
        Work::Add.run(&mut killed.open());
        killed.release();
        let got = Client::new(killed).get("new", killed.now);
        assert_eq!(got.expect("accepted"), b"new", "point {point}");
    });
    sandbox.add("new", b"new");
    killed_at_every_point(&sandbox, Work::Sign, |killed, point| {
        killed.release();
        let got = Client::new(killed).get("new", killed.now);
        assert_eq!(got.expect("accepted"), b"new", "point {point}");
    });
}

/// Into bins, so that several drafts change.
#[test]
fn killed_while_staging_many_images() {
    let sandbox = Sandbox::started();
    sandbox.make_key("bins");
    let bins = NewBins {
        from: "targets".into(),
        prefix: "bin".into(),
        count: 4,
        style: BinStyle::Succinct,
        signers: common::signers("bins"),
    };
    sandbox.open().add_bins(bins).expect("stages");
    sandbox.release();
    for name in MANY {
        sandbox.image(name, name.as_bytes());
    }
    killed_at_every_point(&sandbox, Work::AddMany, |killed, point| {
        Work::AddMany.run(&mut killed.open());
        assert!(!killed.path().join("staged/taken-in").exists());
        killed.release();
        for name in MANY {
            let got = Client::new(killed).get(name, killed.now);
            assert_eq!(got.expect("accepted"), name.as_bytes(), "point {point}");
        }
    });
}

/// Wherever it is killed: the role can be signed, whether the change is discarded, left as it is or
/// made again.
#[test]
fn killed_while_staging_new_keys_of_a_delegated_role() {
    let sandbox = Sandbox::published();
    sandbox.delegate("targets", "supplier", "fw/*");
    sandbox.release();
    sandbox.make_key("supplier2");
    let before = Client::new(&sandbox);
    let goes_on = |sandbox: &Sandbox, say: &str| {
        sandbox.add_to("supplier", "fw/a", b"1").expect("trusted");
        sandbox.release();
        let mut client = Client {
            public: sandbox.public(),
            ..before.clone()
        };
        let got = client.get("fw/a", sandbox.now);
        assert_eq!(got.as_deref(), Ok(&b"1"[..]), "{say}");
    };
    killed_at_every_point(&sandbox, Work::Rekey, |killed, point| {
        let discarded = copy_of(killed);
        discarded.open().discard(&[]).expect("discards");
        goes_on(&discarded, &format!("killed at {point}, discarded"));
        goes_on(&copy_of(killed), &format!("killed at {point}"));
        Work::Rekey.run(&mut killed.open());
        goes_on(killed, &format!("killed at {point}, run again"));
    });
}
