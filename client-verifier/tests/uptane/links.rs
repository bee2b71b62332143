//! Files that belong together, and their sizes (5.4.4.4 to 5.4.4.6; 5.4.3.3).

use countersign_metadata::MetaFile;
use countersign_metadata::json::{Object, Value};
use countersign_verifier::{Attack, Code, Limits, Profile, Reject};

use crate::world::car::Car;
use crate::world::{DIRECTOR, IMAGE, ROLES, World, check, image, refused};

const BOTH: [&str; 2] = [DIRECTOR, IMAGE];

/// Changes the entry that `parent` has for the next file of `role`.
fn entry(world: &mut World, repository: &str, role: &'static str, change: fn(&mut Object)) {
    let parent = match role {
        "snapshot" => "timestamp",
        _ => "snapshot",
    };
    world.repo(repository).edit(parent, move |signed| {
        let Some(Value::Object(meta)) = signed.get_mut("meta") else {
            panic!("it has meta");
        };
        let Some(Value::Object(entry)) = meta.get_mut(&format!("{role}.json")) else {
            panic!("it lists {role}");
        };
        change(entry);
    });
}

#[test]
fn the_snapshot_has_the_hashes_that_timestamp_lists() {
    for repository in BOTH {
        // Validly signed, of the right version and length, and not the one that is named.
        let attack = |world: &mut World| {
            let repo = world.repo(repository);
            repo.serve("snapshot", |file| {
                let text = String::from_utf8(file).unwrap();
                Some(
                    text.replacen("\"signatures\"", "\"signatureS\"", 1)
                        .into_bytes(),
                )
            });
        };
        let expected = (Code::MetadataHash, "snapshot", repository);
        assert_eq!(refused(attack, expected), Attack::MixAndMatch);
    }
}

#[test]
fn timestamp_has_to_list_a_known_hash_of_snapshot() {
    let unknown = || Object::from([("sha3-256".to_owned(), "00".into())]);
    for repository in BOTH {
        let without = |world: &mut World| {
            entry(world, repository, "snapshot", |entry| {
                entry.remove("hashes");
            });
        };
        refused(without, (Code::Malformed, "timestamp", repository));
        let attack = |world: &mut World| {
            world.repo(repository).edit("timestamp", move |signed| {
                let entry = Object::from([
                    ("version".to_owned(), 2u64.into()),
                    ("hashes".to_owned(), unknown().into()),
                ]);
                let meta = Object::from([("snapshot.json".to_owned(), entry.into())]);
                signed.insert("meta".into(), meta.into());
            });
        };
        refused(attack, (Code::Malformed, "timestamp", repository));
    }
    // A TUF client leaves it to the repository.
    let mut world = World::new();
    entry(&mut world, IMAGE, "snapshot", |entry| {
        entry.remove("hashes");
    });
    world.publish();
    let mut car = world.primary();
    car.image_as(Profile::Tuf, world.now, &world.image.files)
        .unwrap();
}

#[test]
fn the_snapshot_has_the_version_that_timestamp_names() {
    for repository in BOTH {
        let attack = |world: &mut World| {
            let later = world.repo(repository).snapshot.header.version + 5;
            world.repo(repository).set("snapshot", "version", later);
        };
        let expected = (Code::VersionMismatch, "snapshot", repository);
        assert_eq!(refused(attack, expected), Attack::MixAndMatch);
    }
}

#[test]
fn every_targets_file_has_the_version_that_snapshot_names() {
    for (repository, role) in [
        (DIRECTOR, "targets"),
        (IMAGE, "targets"),
        (IMAGE, "supplier"),
    ] {
        let attack = |world: &mut World| {
            let later = world.repo(repository).header(role).version + 5;
            world.repo(repository).set(role, "version", later);
        };
        let expected = (Code::VersionMismatch, role, repository);
        assert_eq!(refused(attack, expected), Attack::MixAndMatch);
    }
}

#[test]
fn where_snapshot_lists_hashes_they_count() {
    for (repository, role) in [
        (DIRECTOR, "targets"),
        (IMAGE, "targets"),
        (IMAGE, "supplier"),
    ] {
        let attack = |world: &mut World| {
            entry(world, repository, role, |entry| {
                let other = MetaFile::describing(1, b"another file").hashes.unwrap();
                entry.insert("hashes".into(), other.to_value());
            });
        };
        refused(attack, (Code::MetadataHash, role, repository));
        let attack = |world: &mut World| {
            entry(world, repository, role, |entry| {
                entry.insert("length".into(), 7u64.into());
            });
        };
        // What is longer than listed is not even read to its end.
        let expected = (Code::TooLarge, role, repository);
        assert_eq!(refused(attack, expected), Attack::EndlessData);
    }
}

#[test]
fn snapshot_has_to_list_targets() {
    for repository in BOTH {
        let mut world = World::new();
        world
            .repo(repository)
            .set("snapshot", "meta", Object::new());
        world.publish();
        let mut car = world.primary();
        let reject = car.cycle(&world).unwrap_err();
        check(&reject, (Code::RoleNotInSnapshot, "targets", repository));
    }
}

#[test]
fn no_file_is_read_beyond_its_bound() {
    for (repository, role) in ROLES {
        let attack = |world: &mut World| {
            // More than a Timestamp may have, and more than its parent lists of a Snapshot.
            world.repo(repository).serve(role, |mut file| {
                file.resize(1 << 20, b' ');
                Some(file)
            });
        };
        let mut world = World::new();
        let mut car = world.primary();
        car.limits = Limits {
            targets_len: 1 << 16,
            delegated_len: 1 << 16,
            ..car.limits
        };
        car.cycle(&world).unwrap();
        let mut evil = world.clone();
        attack(&mut evil);
        evil.publish();
        let reject = car.cycle(&evil).unwrap_err();
        check(&reject, (Code::TooLarge, role, repository));
        assert_eq!(reject.attack(), Attack::EndlessData);
        world.publish();
        assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    }
    for repository in BOTH {
        let attack = |world: &mut World| {
            let repo = world.repo(repository);
            repo.serve("root", |mut file| {
                file.resize(1 << 20, b' ');
                Some(file)
            });
            repo.publish_root();
        };
        refused(attack, (Code::TooLarge, "root", repository));
    }
}

#[test]
fn the_two_repositories_are_not_mixed_up() {
    // Each served in the place of the other.
    let mut world = World::new();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    let honest = world.clone();
    std::mem::swap(&mut world.director.files, &mut world.image.files);
    let reject = car.cycle(&world).unwrap_err();
    check(&reject, (Code::SignatureThreshold, "timestamp", DIRECTOR));
    assert_eq!(car.cycle(&honest).unwrap().images.len(), 2);
}

#[test]
fn files_of_different_days_are_not_combined() {
    for (repository, role) in &ROLES[..6] {
        if *role == "timestamp" {
            continue;
        }
        let mut world = World::new();
        let mut car = world.primary();
        car.cycle(&world).unwrap();
        let yesterday = world.repo(repository).file(role).unwrap().clone();
        world
            .repo(repository)
            .serve(role, move |_| Some(yesterday.clone()));
        world.publish();
        let reject = car.cycle(&world).unwrap_err();
        assert_eq!((&*reject.role, &*reject.repository), (*role, *repository));
        assert_eq!(reject.attack(), Attack::MixAndMatch);
        world.publish();
        assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    }
}

#[test]
fn a_changed_byte_changes_nothing_that_is_believed() {
    let mut world = World::new();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    world
        .image
        .list("targets", "pcu.img", image("newer", "pcu-a", 6));
    world.direct("pcu.img", &[("P1", "pcu-a")]);
    world.publish();
    let approved = |car: &mut Car, world: &World| {
        let update = car.cycle(world)?;
        let images = update.images.iter();
        Ok(images
            .map(|image| (image.path().clone(), image.file().clone()))
            .collect::<Vec<_>>())
    };
    let honest: Result<_, Reject> = approved(&mut car.clone(), &world);
    let honest = honest.unwrap();
    for (repository, role) in ROLES {
        let length = world.repo(repository).file(role).unwrap().len();
        for at in (0..length).step_by(41) {
            let mut changed = world.clone();
            let mut file = world.repo(repository).file(role).unwrap().clone();
            file[at] ^= 1;
            changed.repo(repository).serve_now(role, file);
            let mut car = car.clone();
            if let Ok(images) = approved(&mut car, &changed) {
                assert_eq!(images, honest, "byte {at} of {role}");
            }
            assert_eq!(approved(&mut car, &world).unwrap(), honest);
        }
    }
}
