//! What both repositories have to say the same of, and what an ECU runs already (5.4.4.2 step 10).

use countersign_metadata::json::Object;
use countersign_metadata::uptane::{Confidentiality, Mapping};
use countersign_metadata::{Hashes, TargetFile};
use countersign_verifier::{Attack, Code};

use crate::world::{DIRECTOR, IMAGE, World, check, hardware, image, not_directed, refused, serial};

const MISMATCH: (Code, &str, &str) = (Code::DirectorImageMismatch, "targets", IMAGE);

#[test]
fn an_image_that_both_have_signed_for_is_directed() {
    let world = World::new();
    let mut images = world.primary().cycle(&world).unwrap().images;
    images.sort_by(|a, b| a.path().cmp(b.path()));
    let [brake, pcu] = &images[..] else {
        panic!("two images");
    };
    assert_eq!(brake.ecu().serial, serial("S1"));
    assert_eq!(pcu.ecu().serial, serial("P1"));
    assert_eq!((brake.release_counter(), pcu.release_counter()), (3, 5));
    assert_eq!(pcu.file().hashes, Hashes::of(b"pcu"));
    // Of the files that lead there, the Timestamps are the first to expire.
    assert_eq!(
        pcu.valid_until(),
        world.now.plus_seconds(24 * 3600).unwrap()
    );
}

#[test]
fn other_content_at_the_director_is_refused() {
    for file in [
        TargetFile::describing(b"pcX"),
        TargetFile::describing(b"longer"),
    ] {
        let attack = |world: &mut World| {
            world.direct_as("pcu.img", file, &[("P1", "pcu-a")], 5);
        };
        assert_eq!(not_directed(attack, MISMATCH), Attack::ArbitrarySoftware);
    }
}

#[test]
fn the_same_hashes_with_another_length_are_refused() {
    let attack = |world: &mut World| world.director.listed("targets", "pcu.img").length += 1;
    not_directed(attack, MISMATCH);
}

#[test]
fn every_hash_has_to_be_the_same() {
    let one_differs = |world: &mut World| {
        let hashes = &mut world.director.listed("targets", "pcu.img").hashes;
        hashes.sha512 = Hashes::of(b"pcX").sha512;
    };
    not_directed(one_differs, MISMATCH);
    let one_is_missing = |world: &mut World| {
        world.director.listed("targets", "pcu.img").hashes.sha512 = None;
    };
    not_directed(one_is_missing, MISMATCH);
}

#[test]
fn an_image_that_only_the_director_lists_is_not_found() {
    let attack = |world: &mut World| {
        world.direct_nothing();
        let file = image("malware", "pcu-a", 9);
        world.direct_as("malware.img", file, &[("P1", "pcu-a")], 9);
    };
    not_directed(attack, (Code::TargetNotFound, "", IMAGE));
}

#[test]
fn a_bundle_with_one_bad_image_is_refused_as_a_whole() {
    let attack = |world: &mut World| {
        world.direct_as(
            "malware.img",
            image("malware", "lamp-c", 9),
            &[("S2", "lamp-c")],
            9,
        );
    };
    not_directed(attack, (Code::TargetNotFound, "", IMAGE));
}

#[test]
fn an_image_that_only_the_image_repository_lists_goes_nowhere() {
    let mut world = World::new();
    world.direct_nothing();
    world.publish();
    assert!(world.primary().cycle(&world).unwrap().images.is_empty());
}

#[test]
fn the_director_knows_the_hardware_of_each_ecu() {
    let attack = |world: &mut World| world.direct("pcu.img", &[("P1", "brake-b")]);
    let expected = (Code::HardwareMismatch, "targets", DIRECTOR);
    assert_eq!(not_directed(attack, expected), Attack::ArbitrarySoftware);
}

#[test]
fn the_image_repository_says_which_hardware_an_image_is_for() {
    let attack = |world: &mut World| {
        world.described("targets", "pcu.img", |custom| {
            custom.hardware_ids = vec![hardware("pcu-x"), hardware("pcu-y")];
        });
    };
    not_directed(attack, (Code::HardwareMismatch, "targets", IMAGE));
}

#[test]
fn an_image_for_other_hardware_is_no_image_although_both_say_so() {
    let attack =
        |world: &mut World| world.direct("brake/fw.img", &[("S1", "brake-b"), ("S2", "lamp-c")]);
    not_directed(attack, (Code::HardwareMismatch, "supplier", IMAGE));
}

#[test]
fn one_image_may_be_for_several_kinds_of_hardware() {
    let mut world = World::new();
    world.described("supplier", "brake/fw.img", |custom| {
        custom.hardware_ids.push(hardware("lamp-c"));
    });
    world.direct("brake/fw.img", &[("S1", "brake-b"), ("S2", "lamp-c")]);
    world.publish();
    assert_eq!(world.primary().cycle(&world).unwrap().images.len(), 3);
}

#[test]
fn the_release_counters_have_to_be_the_same() {
    for counter in [4, 6] {
        let attack = |world: &mut World| {
            world.directed("pcu.img", |custom| custom.release_counter = counter);
        };
        not_directed(attack, MISMATCH);
    }
}

#[test]
fn an_image_older_than_the_installed_one_is_refused_although_both_have_signed_it() {
    let mut world = World::new();
    let mut car = world.primary();
    world
        .image
        .list("targets", "pcu-old.img", image("old", "pcu-a", 4));
    world.publish();
    for image in car.cycle(&world).unwrap().images {
        car.confirm(&image);
    }
    world.direct_nothing();
    world.direct("pcu-old.img", &[("P1", "pcu-a")]);
    world.publish();
    let reject = car.cycle(&world).unwrap_err();
    check(&reject, (Code::ReleaseCounterRollback, "targets", IMAGE));
    assert_eq!(reject.attack(), Attack::Rollback);
    // Going back is a release of its own.
    world.described("targets", "pcu-old.img", |custom| {
        custom.release_counter = 6
    });
    world.direct("pcu-old.img", &[("P1", "pcu-a")]);
    world.publish();
    assert_eq!(car.cycle(&world).unwrap().images.len(), 1);
}

#[test]
fn what_counts_is_what_was_installed_and_not_what_was_listed() {
    let mut world = World::new();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    // Counter 5 was directed and never proved itself.
    world.described("targets", "pcu.img", |custom| custom.release_counter = 4);
    world.direct("pcu.img", &[("P1", "pcu-a")]);
    world.publish();
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
}

#[test]
fn counters_of_other_hardware_and_other_ecus_say_nothing() {
    let mut world = World::new();
    let mut car = world.primary();
    for image in car.cycle(&world).unwrap().images {
        car.confirm(&image);
    }
    // The ECU was replaced by one of another kind, with the same serial.
    let installed = car.installed.get_mut("P1").unwrap();
    installed.hardware_id = hardware("pcu-before");
    installed.release_counter = 1000;
    car.installed.get_mut("S1").unwrap().release_counter = 3;
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    world.publish();
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
}

#[test]
fn one_name_with_one_counter_is_one_content() {
    let mut world = World::new();
    let mut car = world.primary();
    for image in car.cycle(&world).unwrap().images {
        car.confirm(&image);
    }
    world
        .image
        .list("targets", "pcu.img", image("other", "pcu-a", 5));
    world.direct("pcu.img", &[("P1", "pcu-a")]);
    world.publish();
    let reject = car.cycle(&world).unwrap_err();
    check(&reject, (Code::SameVersion, "targets", IMAGE));
    world
        .image
        .list("targets", "pcu.img", image("other", "pcu-a", 6));
    world.direct("pcu.img", &[("P1", "pcu-a")]);
    world.publish();
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
}

#[test]
fn what_only_the_image_repository_may_state_is_malformed_at_the_director() {
    for name in [
        "hardwareIds",
        "version",
        "class",
        "installer",
        "dependencies",
        "conflicts",
        "encryption",
    ] {
        let attack = |world: &mut World| {
            world.directed("pcu.img", |custom| {
                custom.extra.insert(name.into(), "x".into());
            });
        };
        refused(attack, (Code::Malformed, "targets", DIRECTOR));
    }
}

#[test]
fn an_image_without_what_uptane_asks_for_is_malformed() {
    let at_director = |world: &mut World| {
        world.director.listed("targets", "pcu.img").custom = None;
    };
    refused(at_director, (Code::Malformed, "targets", DIRECTOR));
    let at_image = |world: &mut World| {
        world.image.listed("targets", "pcu.img").custom = Some(Object::new());
    };
    not_directed(at_image, (Code::Malformed, "targets", IMAGE));
}

#[test]
fn a_confidential_image_is_not_taken_in_plain() {
    let attack = |world: &mut World| {
        world.described("targets", "pcu.img", |custom| {
            custom.confidentiality = Confidentiality::Required;
        });
    };
    let expected = (Code::EncryptionRequired, "targets", IMAGE);
    assert_eq!(not_directed(attack, expected), Attack::Eavesdrop);
}

#[test]
fn a_path_that_leaves_its_directory_is_unsafe_whoever_names_it() {
    for name in [
        "../pcu.img",
        "/pcu.img",
        "a//b",
        "a/./b",
        "a\u{7f}b",
        "a\\b",
    ] {
        let attack = |world: &mut World| {
            world.director.edit("targets", move |signed| {
                let countersign_metadata::json::Value::Object(targets) =
                    signed.get_mut("targets").unwrap()
                else {
                    panic!("targets are an object");
                };
                let file = targets.remove("pcu.img").unwrap();
                targets.insert(name.into(), file);
            });
        };
        refused(attack, (Code::UnsafeFilename, "targets", DIRECTOR));
    }
}

#[test]
fn a_mapping_that_is_content_with_one_repository_directs_nothing() {
    let mapping = |paths: &str, repositories: &str, threshold: u32| {
        let text = format!(
            r#"{{"repositories":{{"director":["https://d"],"image":["https://i"]}},
                "mapping":[{{"paths":["{paths}"],"repositories":[{repositories}],
                "threshold":{threshold},"terminating":true}}]}}"#
        );
        Mapping::parse(text.as_bytes()).unwrap()
    };
    let world = World::new();
    let both = r#""director","image""#;
    for bad in [
        mapping("*", both, 1),
        mapping("*", r#""director""#, 1),
        mapping("other/*", both, 2),
    ] {
        let mut car = world.primary();
        car.mapping = bad;
        let reject = car.cycle(&world).unwrap_err();
        assert_eq!(reject.code, Code::RepositoryMapping, "{reject}");
        car.mapping = mapping("*", both, 2);
        assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
    }
}

#[test]
fn whoever_holds_keys_of_both_repositories_is_believed() {
    // The limit of the design: only keys that the thief has not (offline, a supplier's), hardware
    // ids and release counters still stand in the way.
    let mut world = World::new();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    world
        .image
        .list("targets", "pcu.img", image("malware", "pcu-a", 6));
    world.direct("pcu.img", &[("P1", "pcu-a")]);
    world.publish();
    assert_eq!(car.cycle(&world).unwrap().images.len(), 2);
}

#[test]
fn whoever_holds_the_directors_keys_can_only_choose_among_signed_images() {
    // The Director's three online keys are stolen; Root takes them away, and all is well again.
    let mut world = World::new();
    let mut car = world.primary();
    car.cycle(&world).unwrap();
    let honest = world.clone();
    let malware = image("malware", "pcu-a", 6);
    world.direct_as("pcu.img", malware, &[("P1", "pcu-a")], 6);
    for role in ["timestamp", "snapshot", "targets"] {
        world.director.header(role).version = 1 << 40;
    }
    world.director.publish();
    let reject = car.cycle(&world).unwrap_err();
    check(&reject, MISMATCH);
    let mut recovered = honest;
    recovered
        .director
        .rotate(&["timestamp", "snapshot", "targets"]);
    recovered.publish();
    assert_eq!(car.cycle(&recovered).unwrap().images.len(), 2);
}
