//! Rollback, freeze and replay within one vehicle (5.4.4.4 to 5.4.4.6). What is about the clock
//! itself is in `time`, what is about other vehicles in `vehicle`.

use countersign_metadata::json::{Object, Value};
use countersign_verifier::{Attack, Code};

use crate::world::repo::{Lists, Repo};
use crate::world::{DIRECTOR, IMAGE, ROLES, World, check, refused};

const BOTH: [&str; 2] = [DIRECTOR, IMAGE];

/// Of a world that was published twice, `role` goes back by one version.
fn back(repo: &mut Repo, role: &str) {
    repo.header(role).version -= 2;
}

/// Is published under the version that the car trusts.
fn again(repo: &mut Repo, role: &str) {
    repo.header(role).version -= 1;
}

fn twice_published() -> World {
    let mut world = World::new();
    world.publish();
    world
}

#[test]
fn a_timestamp_does_not_go_back() {
    for repository in BOTH {
        let attack = |world: &mut World| back(world.repo(repository), "timestamp");
        let expected = (Code::VersionRollback, "timestamp", repository);
        let attack = crate::world::refused_in(twice_published(), attack, expected);
        assert_eq!(attack, Attack::Rollback);
    }
}

#[test]
fn a_snapshot_does_not_go_back_under_a_newer_timestamp() {
    for repository in BOTH {
        let attack = |world: &mut World| back(world.repo(repository), "snapshot");
        let expected = (Code::VersionRollback, "snapshot", repository);
        let attack = crate::world::refused_in(twice_published(), attack, expected);
        assert_eq!(attack, Attack::Rollback);
    }
}

#[test]
fn a_targets_file_does_not_go_back_under_a_newer_snapshot() {
    for (repository, role) in [
        (DIRECTOR, "targets"),
        (IMAGE, "targets"),
        (IMAGE, "supplier"),
    ] {
        let attack = |world: &mut World| back(world.repo(repository), role);
        let expected = (Code::SnapshotEntryRollback, role, repository);
        let attack = crate::world::refused_in(twice_published(), attack, expected);
        assert_eq!(attack, Attack::Rollback);
    }
}

#[test]
fn targets_do_not_go_back_where_the_snapshot_is_forgotten() {
    for repository in BOTH {
        let mut world = twice_published();
        let mut car = world.primary();
        car.cycle(&world).unwrap();
        world.repo(repository).rotate(&["timestamp"]);
        back(world.repo(repository), "targets");
        world.publish();
        let reject = car.cycle(&world).unwrap_err();
        check(&reject, (Code::VersionRollback, "targets", repository));
    }
}

#[test]
fn a_targets_file_that_was_listed_stays_listed() {
    for (repository, role) in [
        (DIRECTOR, "targets"),
        (IMAGE, "targets"),
        (IMAGE, "supplier"),
    ] {
        let attack = |world: &mut World| {
            world.repo(repository).edit("snapshot", move |signed| {
                let Some(Value::Object(meta)) = signed.get_mut("meta") else {
                    panic!("a Snapshot has meta");
                };
                meta.remove(&format!("{role}.json"));
            });
        };
        let expected = (Code::SnapshotEntryRemoved, role, repository);
        let mut world = World::new();
        // A refusal of Snapshot, of which the entry is told.
        let mut car = world.primary();
        car.cycle(&world).unwrap();
        attack(&mut world);
        world.publish();
        let reject = car.cycle(&world).unwrap_err();
        check(&reject, expected);
        assert_eq!(reject.attack(), Attack::Rollback);
        let file = world.repo(repository).file("snapshot").unwrap().clone();
        assert!(!car.trusts(repository, &file));
        world.publish();
        car.cycle(&world).unwrap();
    }
}

#[test]
fn a_trusted_version_does_not_change_its_content() {
    for (repository, role) in ROLES {
        let attack = |world: &mut World| {
            let repo = world.repo(repository);
            again(repo, role);
            repo.set(role, "x-note", "other content");
            // Otherwise it would not even be fetched.
            repo.snapshot_lists = Lists::Hashes;
        };
        let expected = (Code::SameVersion, role, repository);
        assert_eq!(refused(attack, expected), Attack::MixAndMatch);
    }
}

#[test]
fn a_file_of_the_version_that_is_trusted_is_not_fetched_again() {
    for (repository, role) in [
        (DIRECTOR, "targets"),
        (IMAGE, "targets"),
        (IMAGE, "supplier"),
    ] {
        let mut world = World::new();
        let mut car = world.primary();
        car.cycle(&world).unwrap();
        let repo = world.repo(repository);
        again(repo, role);
        repo.set(role, "x-note", "other content");
        world.publish();
        let other = world.repo(repository).file(role).unwrap().clone();
        assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
        assert!(!car.trusts(repository, &other));
    }
}

#[test]
fn a_trusted_version_may_be_signed_anew_or_written_in_another_way() {
    let mut world = World::new();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    for (repository, role) in ROLES {
        let repo = world.repo(repository);
        again(repo, role);
        repo.write(role, |file| format!(" {file}\n"));
    }
    // What Timestamp says of Snapshot changes with its bytes.
    for repository in BOTH {
        world.repo(repository).header("timestamp").version += 1;
    }
    world.publish();
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
}

#[test]
fn a_file_that_has_expired_is_refused() {
    for (repository, role) in ROLES {
        let attack = |world: &mut World| {
            let repo = world.repo(repository);
            repo.set(role, "expires", "2029-12-31T23:59:59Z");
        };
        let expected = (Code::Expired, role, repository);
        assert_eq!(refused(attack, expected), Attack::Freeze);
    }
}

#[test]
fn a_file_is_good_until_it_expires_and_not_at_that_second() {
    for (repository, role) in ROLES {
        let attack = |world: &mut World| {
            let now = world.now.to_string();
            world.repo(repository).set(role, "expires", now);
        };
        refused(attack, (Code::Expired, role, repository));
        let mut world = World::new();
        let soon = world.now.plus_seconds(1).unwrap().to_string();
        world.repo(repository).set(role, "expires", soon);
        world.publish();
        assert_eq!(world.primary().cycle(&world).unwrap().images.len(), 2);
    }
}

#[test]
fn what_is_trusted_expires_too() {
    for (repository, hours) in [(DIRECTOR, 24), (IMAGE, 24)] {
        let mut world = World::new();
        let mut car = world.primary();
        car.cycle(&world).unwrap();
        let frozen = world.clone();
        world.pass(hours);
        world.publish();
        // All files of this repository are those of the day before.
        *world.repo(repository) = match repository {
            DIRECTOR => frozen.director,
            _ => frozen.image,
        };
        let reject = car.cycle(&world).unwrap_err();
        check(&reject, (Code::Expired, "timestamp", repository));
        assert_eq!(reject.attack(), Attack::Freeze);
    }
}

#[test]
fn nothing_new_costs_two_roots_and_two_timestamps() {
    let world = World::new();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    car.steps("");
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    let log = car.steps("");
    let expected = [
        "director: fetch 2.root.json",
        "director: fetch timestamp.json",
        "image: fetch 2.root.json",
        "image: fetch timestamp.json",
    ];
    assert_eq!(log, expected);
}

#[test]
fn the_mark_tells_whether_what_the_director_wants_is_known() {
    let mut world = World::new();
    let mut car = world.primary();
    let first = car.cycle(&world).unwrap().mark;
    assert_eq!(car.director(&world).unwrap().mark(), first);
    // A new version is another mark, even with the same content.
    world.publish();
    let second = car.director(&world).unwrap().mark();
    assert_eq!(second.version, first.version + 1);
    assert_ne!(second.digest, first.digest);
}

#[test]
fn a_cycle_that_broke_off_goes_on_where_it_was() {
    // However far it came, each file that was saved is used and nothing is lost.
    for (repository, role) in ROLES {
        let mut world = World::new();
        let mut car = world.primary();
        car.cycle(&world).unwrap();
        let honest = world.clone();
        world.repo(repository).serve(role, |_| None);
        world.publish();
        let reject = car.cycle(&world).unwrap_err();
        check(&reject, (Code::MetadataMissing, role, repository));
        assert_eq!(reject.attack(), Attack::None);
        let mut whole = honest;
        whole.publish();
        car.steps("");
        assert_eq!(car.cycle(&whole).unwrap().images.len(), 2);
        let saved = car.steps("");
        assert!(
            saved
                .iter()
                .any(|step| step.starts_with(&format!("{repository}: save")))
        );
    }
}

#[test]
fn a_version_is_at_least_one_and_an_integer() {
    let versions: [Value; 4] = [0u64.into(), "2".into(), Value::Null, Object::new().into()];
    for version in versions {
        for (repository, role) in ROLES {
            let version = version.clone();
            let attack = |world: &mut World| world.repo(repository).set(role, "version", version);
            refused(attack, (Code::Malformed, role, repository));
        }
    }
}
