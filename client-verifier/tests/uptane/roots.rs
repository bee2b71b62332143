//! The chain of Roots (5.4.4.3), rotation, and recovery from stolen keys.

use countersign_verifier::{Attack, Code, Limits};

use crate::world::repo::Repo;
use crate::world::{DIRECTOR, IMAGE, ROLES, World, check, ecu, refused};

const TOP: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];
const BOTH: [&str; 2] = [DIRECTOR, IMAGE];

/// A version so high that no honest file will ever follow it.
const FAR: u64 = (1 << 31) - 1;

#[test]
fn roots_are_followed_one_by_one() {
    for repository in BOTH {
        let mut world = World::new();
        let mut car = world.primary();
        car.cycle(&world).unwrap();
        world.repo(repository).rotate(&TOP);
        world.repo(repository).rotate(&TOP);
        world.publish();
        car.steps("");
        assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
        let start = format!("{repository}: fetch");
        let fetched = car.steps(&start);
        let roots = [
            "2.root.json",
            "3.root.json",
            "4.root.json",
            "timestamp.json",
        ];
        let expected: Vec<_> = roots.iter().map(|name| format!("{start} {name}")).collect();
        assert_eq!(fetched[..4], expected);
    }
}

#[test]
fn a_root_needs_the_keys_before_it_and_its_own() {
    for repository in BOTH {
        for old_only in [true, false] {
            let attack = |world: &mut World| {
                let repo = world.repo(repository);
                let old = repo.keys["root"].clone();
                repo.keys.remove("root");
                let new = repo.add_key("root");
                let signers = if old_only { old } else { vec![new] };
                repo.signed_by("root", &signers);
                repo.publish_root();
            };
            let expected = (Code::SignatureThreshold, "root", repository);
            assert_eq!(refused(attack, expected), Attack::ArbitrarySoftware);
        }
    }
}

#[test]
fn a_root_carries_the_next_version() {
    for repository in BOTH {
        for version in [1u64, 3] {
            let attack = |world: &mut World| {
                let repo = world.repo(repository);
                repo.set("root", "version", version);
                repo.set("root", "x-note", "not the Root of that version");
                repo.publish_root();
            };
            let expected = (Code::RootVersion, "root", repository);
            assert_eq!(refused(attack, expected), Attack::Rollback);
        }
    }
}

#[test]
fn only_the_last_root_has_to_be_fresh() {
    for repository in BOTH {
        let mut world = World::new();
        let mut car = world.primary();
        world
            .repo(repository)
            .set("root", "expires", "2029-01-01T00:00:00Z");
        world.repo(repository).publish_root();
        let mut ended = car.clone();
        let reject = ended.cycle(&world).unwrap_err();
        check(&reject, (Code::Expired, "root", repository));
        assert_eq!(reject.attack(), Attack::Freeze);
        world.repo(repository).publish_root();
        for car in [&mut car, &mut ended] {
            assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
        }
    }
}

#[test]
fn endless_roots_end_and_an_honest_long_chain_goes_on() {
    for repository in BOTH {
        let mut world = World::new();
        let mut car = world.primary();
        car.limits = Limits {
            root_versions: 3,
            ..car.limits
        };
        for _ in 0..5 {
            world.repo(repository).rotate(&TOP);
        }
        world.publish();
        let reject = car.cycle(&world).unwrap_err();
        check(&reject, (Code::TooManyRoots, "root", repository));
        assert_eq!(reject.attack(), Attack::EndlessData);
        assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    }
}

#[test]
fn keys_that_were_taken_away_sign_nothing_any_more() {
    for (repository, role) in &ROLES[..6] {
        let mut world = World::new();
        let mut car = world.primary();
        let stolen = world.repo(repository).keys[*role].clone();
        world.repo(repository).rotate(&[role]);
        world.publish();
        car.cycle(&world).unwrap();
        world.repo(repository).signed_by(role, &stolen);
        world.publish();
        let reject = car.cycle(&world).unwrap_err();
        check(&reject, (Code::SignatureThreshold, role, repository));
        world.publish();
        assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    }
}

/// A thief of these keys publishes `role` with a version far ahead, and the car believes it.
fn fast_forwarded(repository: &str, role: &str) -> (World, crate::world::car::Car) {
    let mut world = World::new();
    let mut car = world.primary();
    let honest = world.clone();
    world.repo(repository).header(role).version = FAR;
    world.publish();
    car.cycle(&world).unwrap();
    // The Director and the Image repository go on from what they know.
    let mut recovered = honest;
    recovered.publish();
    recovered.publish();
    (recovered, car)
}

#[test]
fn versions_far_ahead_stay_floors_until_keys_are_rotated() {
    for (repository, role) in ROLES {
        let (world, mut car) = fast_forwarded(repository, role);
        let reject = car.cycle(&world).unwrap_err();
        let code = match role {
            "timestamp" | "snapshot" => Code::VersionRollback,
            // Snapshot lists the others.
            _ => Code::SnapshotEntryRollback,
        };
        check(&reject, (code, role, repository));
        assert_eq!(reject.attack(), Attack::Rollback);
    }
}

#[test]
fn versions_far_ahead_are_forgotten_with_the_keys_that_signed_them() {
    for (repository, role) in ROLES {
        let (mut world, mut car) = fast_forwarded(repository, role);
        // Whoever lists a version far ahead had these keys too.
        let stolen: &[&str] = match role {
            "timestamp" => &["timestamp"],
            "snapshot" => &["timestamp", "snapshot"],
            _ => &["timestamp", "snapshot", "targets"],
        };
        world.repo(repository).rotate(stolen);
        if role == "supplier" {
            world.image.keys.remove("supplier");
            world.image.add_key("supplier");
            world.delegate("targets", &[("supplier", &["brake/*"])]);
        }
        world.publish();
        assert_eq!(car.cycle(&world).unwrap().images.len(), 2, "{role}");
    }
}

#[test]
fn a_rotation_does_not_make_release_counters_be_forgotten() {
    let mut world = World::new();
    let mut car = world.primary();
    for image in car.cycle(&world).unwrap().images {
        car.confirm(&image);
    }
    world.director.rotate(&TOP);
    world.image.rotate(&TOP);
    world.described("targets", "pcu.img", |custom| custom.release_counter = 4);
    world.direct("pcu.img", &[("P1", "pcu-a")]);
    world.publish();
    let reject = car.cycle(&world).unwrap_err();
    check(&reject, (Code::ReleaseCounterRollback, "targets", IMAGE));
}

#[test]
fn a_secondary_that_is_behind_follows_every_root_that_it_is_handed() {
    let mut world = World::new();
    let mut secondary = world.secondary(ecu("S1", "brake-b"));
    secondary.cycle(&world).unwrap();
    for _ in 0..3 {
        let rotate = |repo: &mut Repo| repo.rotate(&TOP);
        rotate(&mut world.director);
        rotate(&mut world.image);
    }
    world.publish();
    secondary.steps("");
    let update = secondary.cycle(&world).unwrap();
    assert_eq!(update.images.len(), 1);
    assert_eq!(secondary.steps("director: save Root").len(), 3);
}

#[test]
fn a_gap_in_the_roots_ends_the_chain_where_it_is() {
    let mut world = World::new();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    world.director.serve("root", |_| None);
    world.director.rotate(&TOP);
    world.director.rotate(&TOP);
    world.publish();
    let reject = car.cycle(&world).unwrap_err();
    check(&reject, (Code::SignatureThreshold, "timestamp", DIRECTOR));
}
